"""The audit chain: each entry holds the digest of the one before, so an edit, a deletion or a reordering shows.

The digest is SHA-256 over the entry's canonical JSON without its own `digest`: UTF-8, members sorted by code point,
no blanks (as RFC 8785 has it for the values used here). The first entry's `prev` is 64 zeros.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from headgate.core.documents import canonical

GENESIS = "0" * 64
Entry = Mapping[str, Any]


def digest(entry: Mapping[str, Any]) -> str:
    """SHA-256 in hex over everything in the entry but its digest."""
    covered = {name: value for name, value in entry.items() if name != "digest"}
    return sha256(canonical(covered).encode()).hexdigest()


def sealed(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with its digest."""
    return {**entry, "digest": digest(entry)}


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold."""

    revision: int
    what: str


def is_sealed(entry: Mapping[str, Any]) -> bool:
    """Whether the entry is as it was written."""
    try:
        return bool(entry.get("digest") == digest(entry))
    except (ValueError, RecursionError):  # what no canonical JSON can hold was never written by us
        return False


def verify_chain(
    entries: Iterable[Mapping[str, Any]],
    head: Mapping[str, Any] | None = None,
    noted: Mapping[int, str] | None = None,
) -> Break | None:
    """Walk entries, oldest first from revision 1, and against the head (`revision`, `digest`) when given.

    `noted` are digests by revision that were kept elsewhere: only they tell of entries cut from the end together with
    the head, or of a chain that was written anew as a whole.
    """
    noted = noted or {}
    previous, revision = GENESIS, 0
    for entry in entries:
        revision += 1
        if entry.get("revision") != revision:
            return Break(revision, "this revision is missing or out of order")
        if entry.get("prev") != previous:
            return Break(revision, "it does not follow from the entry before")
        if not is_sealed(entry):
            return Break(revision, "its content was changed")
        previous = entry["digest"]
        if noted.get(revision, previous) != previous:
            return Break(revision, "it is not the entry that was noted: the log was rewritten")
    return _ends_wrong(revision, previous, head, noted)


def _ends_wrong(revision: int, digest: str, head: Mapping[str, Any] | None, noted: Mapping[int, str]) -> Break | None:
    """Whether a chain that holds so far ends where it should."""
    if head is not None and (head.get("revision"), head.get("digest")) != (revision, digest):
        return Break(revision + 1, "the chain does not end where the head says")
    if max(noted, default=0) > revision:
        return Break(revision + 1, f"entries were cut off: revision {max(noted)} was noted")
    return None
