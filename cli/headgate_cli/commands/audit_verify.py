"""`headgate audit verify`: prove that nobody rewrote the log."""

import re
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from headgate_cli import failures, render
from headgate_cli.audit_stream import head_of, oldest_first
from headgate_cli.commands.options import option
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.settings import client_of, settings_of


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
