"""Sign the head of the audit stream, on request or by the clock, and keep what was signed in an S3 bucket.

Key-handling code is imported on first use, because the kill function loads this module and must start fast.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from headgate.core.audit import is_sealed
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import rfc3339
from headgate.edge import telemetry
from headgate.store.items import AUDIT, Head, audit_sk, head_of, read_entry
from headgate.store.port import Table, Unavailable

if TYPE_CHECKING:
    from headgate.tokens.keys import Signer


class Bucket(Protocol):
    """Where objects are kept (S3)."""

    def put(self, name: str, content: bytes) -> None:
        """Write a new object. Raises `Unavailable`."""


def signed_head(table: Table, signer: Callable[[], "Signer"], issuer: str, now: float) -> dict[str, Any]:
    """Return the checkpoint of the newest entry. Raises `Refusal`: a false head must not be signed."""
    from headgate.tokens.checkpoint import Checkpoint, sign_checkpoint
    from headgate.tokens.keys import NotP256

    head = _verified_head(table)
    checkpoint = Checkpoint(issuer=issuer, revision=head.revision, digest=head.digest, at=rfc3339(now))
    try:
        key = signer()
        signature = sign_checkpoint(key, checkpoint)
    except (Unavailable, NotP256):
        raise Refusal(Slug.UNAVAILABLE, "the audit key is not available; no checkpoint was made, try again") from None
    return {"revision": checkpoint.revision, "digest": checkpoint.digest, "at": checkpoint.at,
            "issuer": checkpoint.issuer, "kid": key.kid, "signature": signature}  # fmt: skip


def keep_checkpoint(
    table: Table, signer: Callable[[], "Signer"], bucket: Bucket, *, issuer: str, stack: str, now: float
) -> str:
    """Write a checkpoint of the newest entry into the bucket, and return the object's name, which sorts by revision.

    The object is one line of a checkpoint file. Raises `Refusal` and `Unavailable`.
    """
    try:
        made = signed_head(table, signer, issuer, now)
    except Refusal as refusal:
        telemetry.log("refused", function="checkpoint", code=refusal.slug)
        raise
    name = f"{stack}/{made['revision']:012d}-{made['at']}.json"
    bucket.put(name, json.dumps(made, separators=(",", ":")).encode() + b"\n")
    telemetry.log("checkpoint", {"Checkpoints": 1}, function="checkpoint", revision=made["revision"])
    return name


def _verified_head(table: Table) -> Head:
    """Return the head if its entry exists and matches. Raises `Refusal`."""
    head = head_of(table)
    if head.revision == 0:
        return head
    place = AUDIT, audit_sk(head.revision)
    item = table.get((place,)).get(place)
    try:
        entry = {} if item is None else read_entry(item)
    except (ValueError, KeyError, RecursionError):
        entry = {}
    if entry.get("digest") != head.digest or not is_sealed(entry):
        raise Refusal(Slug.CHAIN_BROKEN, f"the head does not match audit entry {head.revision}")
    return head
