"""`headgate audit`: read the log of changes, and prove that nobody rewrote it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import failures, render, wording
from headgate_cli.commands.options import COMMON, option
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.client import Client

app = typer.Typer(help="Read the log of changes, or verify its chain.", invoke_without_command=True, epilog=COMMON)

WINDOW = 500  # revisions asked for at a time; the whole log is never held in memory
LARGEST_PAGE = 1_000


@app.callback()
def audit(
    ctx: typer.Context,
    flag: Annotated[str | None, option(metavar="KEY", help="Only this flag.")] = None,
    actor: Annotated[str | None, option(metavar="ARN", help="Only by this caller.")] = None,
    after: Annotated[int | None, option(metavar="REV", min=0, help="Only later than this revision.")] = None,
    before: Annotated[int | None, option(metavar="REV", min=0, help="Only earlier than this revision.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, newest first.")] = 20,
) -> None:
    """Read the log of changes, newest first: revision, time, change, reason, who."""
    if ctx.invoked_subcommand is not None:
        return
    query = {"flag": flag, "actor": actor, "after": after, "before": before, "limit": min(limit, LARGEST_PAGE)}
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


@app.command("verify", epilog=COMMON)
def verify_chain(
    ctx: typer.Context,
    anchor: Annotated[
        str | None, option("--anchor", metavar="REV:DIGEST", help="A head noted earlier, which must still be there.")
    ] = None,
) -> None:
    """Walk the whole chain and recompute every digest. Exits 1 at the first broken link.

    A chain that was rewritten whole is sound in itself: note the head that this prints, and give it as --anchor later.
    """
    from headgate.core.audit import verify

    noted = _anchor(anchor)
    client = client_of(ctx)
    head = head_of(client)
    last = int(head.get("revision", 0))
    broken = verify(_anchored(oldest_first(client, last), noted), head)
    if broken is not None:
        raise _broken(broken.revision, f"{broken.what}; all before it holds")
    if noted is not None and noted[0] > last:
        raise _broken(last + 1, "it ends before the anchor: entries were cut off")
    if settings_of(ctx).as_json:
        render.show_json({"verified": True, "head": head})
        return
    told = f"verified: {head.get('revision')} entries, each follows from the one before"
    render.show_lines([told, f"head {head.get('revision')}:{head.get('digest')}"])


def _anchor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    revision, _, digest = text.partition(":")
    if not re.fullmatch(r"[1-9][0-9]{0,11}", revision) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise failures.usage("--anchor takes REVISION:DIGEST, as verify prints the head")
    return int(revision), digest


def _anchored(entries: Iterator[dict[str, Any]], noted: tuple[int, str] | None) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if noted is not None and entry.get("revision") == noted[0] and entry.get("digest") != noted[1]:
            raise _broken(noted[0], "it is another entry than the anchor: the log was rewritten up to here or before")
        yield entry


def _broken(revision: int, what: str) -> Failure:
    return Failure(ExitCode.CHECK_FAILED, f"the chain breaks at revision {revision}", what, slug="chain-broken")


def head_of(client: "Client") -> dict[str, Any]:
    """The newest revision and its digest."""
    head = client.get("/admin/v1/audit", {"limit": 1}).document.get("head")
    return head if isinstance(head, dict) else {"revision": 0, "digest": ""}


def oldest_first(client: "Client", last: int) -> Iterator[dict[str, Any]]:
    """Every entry from revision 1 up to `last`, a window at a time: the API answers newest first."""
    for start in range(0, last, WINDOW):
        window = {"after": start, "before": min(start + WINDOW, last) + 1, "limit": WINDOW}
        entries = [entry for page in client.pages("/admin/v1/audit", window) for entry in page.get("entries", [])]
        yield from reversed(entries)
