"""`headgate audit verify`: verify the audit log's chain, against heads that were saved elsewhere."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import checkpoints, failures, render
from headgate_cli.audit_file import verified_digests, verified_file
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
        str | None, option("--anchor", metavar="REV:DIGEST", help="A head saved earlier; the log must contain it.")
    ] = None,
    checkpoint: Annotated[
        Path | None, option("--checkpoint", metavar="FILE", help="Checkpoints; the log must contain each.")
    ] = None,
    key: Annotated[
        str | None,
        option("--key", metavar="FILE|THUMBPRINT", help="The audit key. Default: FILE.key of the checkpoints."),
    ] = None,
    file: Annotated[
        Path | None, option("--file", metavar="FILE", help="Verify an exported log instead of the API's.")
    ] = None,
) -> None:
    """Verify the log's chain by recomputing every digest.

    Exits with 1 at the first broken link. A log that was cut off or rewritten together with its head has an intact
    chain: to detect that, pass checkpoints, or as --anchor a head that this command printed earlier.

    Example: headgate audit verify --checkpoint heads.jsonl
    """
    from headgate.core.audit import GENESIS

    witnessed = _witnessed(lambda: client_of(ctx), checkpoint, key)
    noted = _with_anchor({} if witnessed is None else witnessed.digests, anchor)
    if file is not None:
        digests = verified_file(file, noted)
        last = max(digests, default=0)
        head: dict[str, Any] = {"revision": last, "digest": digests.get(last, GENESIS)}
    else:
        client = client_of(ctx)
        head = stream_head(client)
        digests = verified_digests(oldest_first(client, int(head.get("revision", 0))), head, noted)
    _show(ctx, head, len(digests), witnessed)


def _show(ctx: typer.Context, head: Mapping[str, Any], count: int, witnessed: "_Witnessed | None") -> None:
    if settings_of(ctx).as_json:
        render.show_json({"verified": True, "head": head, **({} if witnessed is None else witnessed.document)})
        return
    lines = [f"verified: {count} entries, the chain is intact"]
    lines += [] if witnessed is None else [witnessed.told]
    render.show_lines([*lines, f"head {head.get('revision')}:{head.get('digest')}"])


@dataclass(frozen=True, slots=True)
class _Witnessed:
    """The valid checkpoints, and the key that signed them."""

    checkpoints: "Sequence[Checkpoint]"
    key: TrustedKey

    @property
    def digests(self) -> dict[int, str]:
        """The digests that the chain must contain, by revision."""
        return {found.revision: found.digest for found in self.checkpoints if found.revision > 0}

    @property
    def document(self) -> dict[str, Any]:
        """The checkpoints for `--json`."""
        counts = {"count": len(self.checkpoints), "last": self.checkpoints[-1].revision if self.checkpoints else None}
        return {"checkpoints": {**counts, "thumbprint": self.key.thumbprint, "pinned": self.key.pinned or None}}

    @property
    def told(self) -> str:
        """The checkpoints in words."""
        last = f", the last at revision {self.checkpoints[-1].revision}" if self.checkpoints else ""
        return f"{len(self.checkpoints)} checkpoints match{last}, signed by {self.key.told}"


def _witnessed(client: "Callable[[], Client]", path: Path | None, key: str | None) -> _Witnessed | None:
    if path is None:
        if key is not None:
            raise failures.usage("--key needs --checkpoint FILE")
        return None
    trusted = checkpoints.trusted_key(path, key, lambda: checkpoints.fetched_key(client()))
    return _Witnessed(checkpoints.read_checkpoints(path, trusted.public), trusted)


def _with_anchor(noted: dict[int, str], text: str | None) -> dict[int, str]:
    if text is None:
        return noted
    revision, _, digest = text.partition(":")
    if not re.fullmatch(r"[1-9][0-9]{0,11}", revision) or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise failures.usage("--anchor must be REVISION:DIGEST, as headgate audit verify prints the head")
    if noted.get(int(revision), digest) != digest:
        raise failures.usage("--anchor contradicts a checkpoint: one of them was forged")
    return {**noted, int(revision): digest}
