"""The audit chain: each entry contains the digest of the one before it, so edits, deletions, and reordering show.

The digest is the SHA-256 of the entry's canonical JSON without its own `digest`: UTF-8, members sorted by code point,
no whitespace (as in RFC 8785 for the values used here). The `prev` of the first entry is 64 zeros.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from headgate.core.documents import canonical

GENESIS = "0" * 64
RESTORES = frozenset(("restore.begin", "restore.confirm"))
"""The actions whose entries may skip revisions: a restored table goes on above the highest revision ever seen."""
Entry = Mapping[str, Any]


def digest(entry: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of everything in the entry except its digest."""
    covered = {name: value for name, value in entry.items() if name != "digest"}
    return sha256(canonical(covered).encode()).hexdigest()


def sealed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry with its digest."""
    return {**entry, "digest": digest(entry)}


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain is broken, and why."""

    revision: int
    what: str


def is_sealed(entry: Mapping[str, Any]) -> bool:
    """Whether the entry's digest matches its content."""
    try:
        return bool(entry.get("digest") == digest(entry))
    except (ValueError, RecursionError):  # it has no canonical JSON, so we did not write it
        return False


def follows(entry: Mapping[str, Any], revision: int) -> bool:
    """Whether the entry may follow this revision: as the next one, or after a restore as any later one."""
    number = entry.get("revision")
    if type(number) is not int or number <= revision:
        return False
    return number == revision + 1 or entry.get("action") in RESTORES


def verify_chain(
    entries: Iterable[Mapping[str, Any]],
    head: Mapping[str, Any] | None = None,
    anchors: Mapping[int, str] | None = None,
) -> Break | None:
    """Verify entries, oldest first from revision 1. Compare their end with the head (`revision`, `digest`) if given.

    `anchors` are digests by revision that were kept elsewhere. Only they reveal that entries were cut off together with
    the head, or that the whole chain was rewritten. Return the first break, or None.
    """
    anchors = anchors or {}
    previous, revision = GENESIS, 0
    for entry in entries:
        if not follows(entry, revision):
            return Break(revision + 1, "this revision is missing or out of order")
        skipped = [known for known in anchors if revision < known < entry["revision"]]
        if skipped:
            return Break(min(skipped), "a restored table lost this revision, which an anchor or checkpoint has: verify "
                         "it in a log exported before the restore")  # fmt: skip
        revision = entry["revision"]
        if entry.get("prev") != previous:
            return Break(revision, "its prev is not the digest of the entry before it")
        if not is_sealed(entry):
            return Break(revision, "its content was changed")
        previous = entry["digest"]
        if anchors.get(revision, previous) != previous:
            return Break(revision, "its digest differs from the anchor or checkpoint: the log was rewritten")
    return _ends_wrong(revision, previous, head, anchors)


def _ends_wrong(revision: int, digest: str, head: Mapping[str, Any] | None, anchors: Mapping[int, str]) -> Break | None:
    """Return a break if the chain, valid so far, does not end where it should."""
    if head is not None and (head.get("revision"), head.get("digest")) != (revision, digest):
        return Break(revision + 1, "the chain does not end at the revision and digest of the head")
    if max(anchors, default=0) > revision:
        return Break(revision + 1, f"entries were cut off: an anchor or checkpoint has revision {max(anchors)}")
    return None
