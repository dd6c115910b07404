"""`headgate audit verify`: prove that nobody rewrote the log."""

import re
from typing import Annotated

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
    broken = verify(oldest_first(client, int(head.get("revision", 0))), head, noted)
    if broken is not None:
        raise _broken(broken.revision, f"{broken.what}; every link before it holds")
    if settings_of(ctx).as_json:
        render.show_json({"verified": True, "head": head})
        return
    told = f"verified: {head.get('revision')} entries, each follows from the one before"
    render.show_lines([told, f"head {head.get('revision')}:{head.get('digest')}"])


def _anchor(text: str | None) -> dict[int, str]:
    if text is None:
        return {}
    revision, _, digest = text.partition(":")
    if not re.fullmatch(r"[1-9][0-9]{0,11}", revision) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise failures.usage("--anchor takes REVISION:DIGEST, as verify prints the head")
    return {int(revision): digest}


def _broken(revision: int, what: str) -> Failure:
    return Failure(ExitCode.CHECK_FAILED, f"the chain breaks at revision {revision}", what, slug="chain-broken")
