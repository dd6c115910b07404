"""`headgate audit verify`: prove that nobody rewrote the log."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.core.audit import Entry
from headgate_cli import checkpoints, failures, render
from headgate_cli.audit_file import entries_in
from headgate_cli.audit_stream import oldest_first, stream_head
from headgate_cli.checkpoints import TrustedKey
from headgate_cli.options import option
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate.tokens.checkpoint import Checkpoint
    from headgate_cli.client import Client


def verify(
    ctx: typer.Context,
    anchor: Annotated[
        str | None, option("--anchor", metavar="REV:DIGEST", help="A head noted earlier, which must still be there.")
    ] = None,
    checkpoint: Annotated[
        Path | None, option("--checkpoint", metavar="FILE", help="Signed heads (audit checkpoint): each must be there.")
    ] = None,
    key: Annotated[
        str | None,
        option("--key", metavar="FILE|THUMBPRINT", help="The audit key; else FILE.key beside the checkpoints."),
    ] = None,
    file: Annotated[
        Path | None, option("--file", metavar="FILE", help="An exported log (audit export), instead of the API's.")
    ] = None,
) -> None:
    """Walk the whole chain and recompute every digest. Exits 1 at the first broken link.

    A chain that was cut off or rewritten together with its head is sound in itself: only what was noted elsewhere
    tells, checkpoints or the head that this prints, given as --anchor later.
    """
    from headgate.core.audit import verify_chain

    witnessed = _witnessed(lambda: client_of(ctx), checkpoint, key)
    noted = _with_anchor({} if witnessed is None else witnessed.digests, anchor)
    if file is not None:
        _tell(ctx, _walked(file, noted), witnessed)
        return
    client = client_of(ctx)
    head = stream_head(client)
    broken = verify_chain(oldest_first(client, int(head.get("revision", 0))), head, noted)
    if broken is not None:
        raise failures.chain_broken(broken.revision, f"{broken.what}; every link before it holds")
    _tell(ctx, head, witnessed)


def _walked(path: Path, noted: dict[int, str]) -> dict[str, Any]:
    """Where an exported log ends. Raises `Failure` where its chain does not hold; nobody else is asked."""
    from headgate.core.audit import GENESIS, verify_chain

    head: dict[str, Any] = {"revision": 0, "digest": GENESIS}

    def walked(entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            yield entry
            head.update(revision=entry["revision"], digest=entry["digest"])

    try:
        with path.open("rb") as file:
            broken = verify_chain(walked(entries_in(file)), None, noted)
    except OSError as error:
        raise failures.usage(f"{path}: {error.strerror}") from None
    if broken is not None:
        raise failures.chain_broken(broken.revision, f"{broken.what}; every link before it holds")
    return head


def _tell(ctx: typer.Context, head: dict[str, Any], witnessed: "_Witnessed | None") -> None:
    if settings_of(ctx).as_json:
        render.show_json({"verified": True, "head": head, **({} if witnessed is None else witnessed.document)})
        return
    told = [f"verified: {head.get('revision')} entries, each follows from the one before"]
    told += [] if witnessed is None else [witnessed.told]
    render.show_lines([*told, f"head {head.get('revision')}:{head.get('digest')}"])


@dataclass(frozen=True, slots=True)
class _Witnessed:
    """The checkpoints that hold, and the key that signed them."""

    checkpoints: "Sequence[Checkpoint]"
    key: TrustedKey

    @property
    def digests(self) -> dict[int, str]:
        """What must be found in the chain."""
        return {found.revision: found.digest for found in self.checkpoints if found.revision > 0}

    @property
    def document(self) -> dict[str, Any]:
        """For `--json`."""
        told = {"count": len(self.checkpoints), "last": self.checkpoints[-1].revision if self.checkpoints else None}
        return {"checkpoints": {**told, "thumbprint": self.key.thumbprint, "pinned": self.key.pinned or None}}

    @property
    def told(self) -> str:
        """In words."""
        last = f", the last at revision {self.checkpoints[-1].revision}" if self.checkpoints else ""
        return f"{len(self.checkpoints)} checkpoints hold{last}, signed by the {self.key.told}"


def _witnessed(client: "Callable[[], Client]", path: Path | None, key: str | None) -> _Witnessed | None:
    if path is None:
        if key is not None:
            raise failures.usage("--key goes with --checkpoint")
        return None
    trusted = checkpoints.trusted_key(path, key, lambda: checkpoints.fetched_key(client()))
    return _Witnessed(checkpoints.read_checkpoints(path, trusted.public), trusted)


def _with_anchor(noted: dict[int, str], text: str | None) -> dict[int, str]:
    if text is None:
        return noted
    revision, _, digest = text.partition(":")
    if not re.fullmatch(r"[1-9][0-9]{0,11}", revision) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise failures.usage("--anchor takes REVISION:DIGEST, as verify prints the head")
    if noted.get(int(revision), digest) != digest:
        raise failures.usage("the anchor contradicts a checkpoint: one of the two was forged")
    return {**noted, int(revision): digest}
