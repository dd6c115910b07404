"""`headgate audit`: read the log of changes; and the commands below it."""

from typing import Annotated, Any

import typer

from headgate_cli import render, wording
from headgate_cli.commands import audit_checkpoint, audit_export, audit_key, audit_reconcile, audit_verify, export
from headgate_cli.options import COMMON, AsOf, checked_time, option
from headgate_cli.settings import client_of, settings_of

app = typer.Typer(help="Read the log of changes, or verify its chain.", invoke_without_command=True, epilog=COMMON)

LARGEST_PAGE = 1_000


@app.callback()
def audit(
    ctx: typer.Context,
    flag: Annotated[str | None, option(metavar="KEY", help="Only this flag.")] = None,
    actor: Annotated[str | None, option(metavar="ARN", help="Only by this caller.")] = None,
    action: Annotated[str | None, option(metavar="NAME", help="Only this action, as flag.kill.")] = None,
    after: Annotated[int | None, option(metavar="REV", min=0, help="Only later than this revision.")] = None,
    before: Annotated[int | None, option(metavar="REV", min=0, help="Only earlier than this revision.")] = None,
    since: Annotated[str | None, option(metavar="TIME", help="Only from then on.", callback=checked_time)] = None,
    until: Annotated[str | None, option(metavar="TIME", help="Only before then.", callback=checked_time)] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, newest first.")] = 20,
    as_of: AsOf = None,
) -> None:
    """Read the log of changes, newest first: revision, time, change, reason, who.

    With --as-of it is the rules of then that are read, rebuilt from the log: the same as headgate export --as-of.
    """
    if ctx.invoked_subcommand is not None:
        return
    if as_of is not None:
        export.export(ctx, as_of)
        return
    query = {"flag": flag, "actor": actor, "action": action, "after": after, "before": before, "since": since,
             "until": until, "limit": min(limit, LARGEST_PAGE)}  # fmt: skip
    entries: list[dict[str, Any]] = []
    head: Any = None
    for page in client_of(ctx).pages("/admin/v1/audit", query):
        head = head or page.get("head")
        entries.extend(page.get("entries", []))
        if len(entries) >= limit:
            break
    if settings_of(ctx).as_json:
        render.show_json({"entries": entries[:limit], "head": head})
        return
    render.show_lines([wording.entry_line(entry) for entry in entries[:limit]] or ["no entries"])


app.command("verify", epilog=COMMON)(audit_verify.verify)
app.command("export", epilog=COMMON)(audit_export.export_entries)
app.command("checkpoint", epilog=COMMON)(audit_checkpoint.make_checkpoint)
app.command("key", epilog=COMMON)(audit_key.show_key)
app.command("reconcile", epilog=COMMON)(audit_reconcile.reconcile)
