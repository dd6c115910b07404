"""`headgate audit`: read the audit log, and its subcommands."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import render, wording
from headgate_cli.commands import audit_checkpoint, audit_export, audit_key, audit_reconcile, audit_verify, export
from headgate_cli.options import COMMON, AsOf, checked_time, option
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.client import Client

app = typer.Typer(invoke_without_command=True, epilog=COMMON)

LARGEST_PAGE = 1_000


@app.callback()
def audit(
    ctx: typer.Context,
    flag: Annotated[str | None, option(metavar="KEY", help="Only this flag.")] = None,
    actor: Annotated[str | None, option(metavar="ARN", help="Only by this caller, as an ARN or as shown here.")] = None,
    action: Annotated[str | None, option(metavar="NAME", help="Only this action, such as flag.kill.")] = None,
    after: Annotated[int | None, option(metavar="REV", min=0, help="Only after this revision.")] = None,
    before: Annotated[int | None, option(metavar="REV", min=0, help="Only before this revision.")] = None,
    since: Annotated[
        str | None, option(metavar="TIME", help="Only at this time or later.", callback=checked_time)
    ] = None,
    until: Annotated[str | None, option(metavar="TIME", help="Only before this time.", callback=checked_time)] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="The most entries to show.")] = 20,
    cursor: Annotated[str | None, option(metavar="NEXT", help="Continue after an earlier --json answer.")] = None,
    as_of: AsOf = None,
) -> None:
    """Read, export, and verify the audit log.

    Without a command: list entries, newest first, and say how many more there are. With --as-of: write the rules of
    that moment, rebuilt from the log, like headgate export --as-of.

    Example: headgate audit --flag access --limit 5
    """
    if ctx.invoked_subcommand is not None:
        return
    if as_of is not None:
        export.export(ctx, as_of)
        return
    query = {"flag": flag, "actor": actor, "action": action, "after": after, "before": before, "since": since,
             "until": until}  # fmt: skip
    entries, head, following = _read(client_of(ctx), query, limit, cursor)
    if settings_of(ctx).as_json:
        render.show_json({"entries": entries, "head": head, "next": following})
        return
    render.show_lines([wording.entry_line(entry) for entry in entries] or ["no entries"])
    more, _, beyond = _read(client_of(ctx), query, LARGEST_PAGE, following) if following else ([], None, None)
    if more:
        count = f"more than {len(more)}" if beyond else len(more)
        typer.echo(f"{count} more; to see them, pass --limit N or --before {entries[-1].get('revision')}", err=True)


def _read(
    client: "Client", query: Mapping[str, Any], limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], Any, str | None]:
    """Return at most `limit` entries, the head, and the cursor after them. A page may be short and not the last."""
    entries: list[dict[str, Any]] = []
    while True:
        asked = {**query, "limit": min(limit - len(entries), LARGEST_PAGE), "cursor": cursor}
        page = client.get("/admin/v1/audit", asked).document
        entries.extend(page.get("entries", []))
        cursor = page.get("next")
        if not cursor or len(entries) >= limit:
            return entries, page.get("head"), cursor


app.command("verify", epilog=COMMON)(audit_verify.verify)
app.command("export", epilog=COMMON)(audit_export.export_entries)
app.command("checkpoint", epilog=COMMON)(audit_checkpoint.make_checkpoint)
app.command("key", epilog=COMMON)(audit_key.show_key)
app.command("reconcile", epilog=COMMON)(audit_reconcile.reconcile)
