"""The long part of a flag's list: who was on it as of a flag's document, from the history of each member.

A member's history is its events in the order in which they were written: `[revision, 1]` came, `[revision, 0]` went by
a change of that revision; `["<ordinal>", 1]` came by an import, which counts from the revision that the flag's document
gives for its ordinal. An import that has none was not switched on (yet, or for good) and counts for nothing. So whoever
holds a flag's document can tell who was on the list then, whatever has been written since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from headgate.core.model import Flag, LongList

Member = tuple[str, str]
"""Kind and id."""

MemberEvent = tuple[int | str, bool]
"""When (a revision, or an import's ordinal as text), and whether the member came or went."""

KINDS = ("user", "org")
FOREVER = 10**12
"""Above every revision: these have 12 digits."""


@dataclass(frozen=True, slots=True)
class Standpoint:
    """A flag's document as membership hangs on it: its revision, since when each import counts, by ordinal, and before
    which revision nothing counts.
    """

    revision: int
    switched: Mapping[str, int]
    floor: int = 0

    @classmethod
    def of(cls, flag: Flag, *, now: bool = False) -> "Standpoint":
        """That of a flag as it is stored; `now` counts what changes of single members wrote since, too."""
        long = flag.members or LongList()
        switched = {str(ordinal): revision for ordinal, revision in long.imports}
        return cls(FOREVER if now else flag.revision, switched, long.since)

    def holds(self, events: Iterable[MemberEvent]) -> bool:
        """Whether who has this history was on the list then: the last event that counted by then says so."""
        last, came = self.floor, False
        for when, is_in in events:
            since = self.switched.get(when) if isinstance(when, str) else when
            if since is not None and last <= since <= self.revision:
                last, came = since, is_in
        return came

    def kept(self, events: Iterable[MemberEvent], ordinal: int | None) -> tuple[MemberEvent, ...]:
        """The history without the events of imports that were abandoned; those of the open one stay."""
        return tuple(
            one for one in events if isinstance(one[0], int) or one[0] in self.switched or one[0] == f"{ordinal}"
        )


def staged(events: Iterable[MemberEvent], ordinal: int | None) -> bool | None:
    """What the open import holds in store: True comes, False goes, None for nothing."""
    return next((came for when, came in events if when == f"{ordinal}"), None)


def chained(digest: str, lines: Iterable[str]) -> str:
    """The running digest of an import's ids, one after another; it begins at 64 zeros."""
    for line in lines:
        digest = sha256(f"{digest}\n{line}".encode("utf-8", "surrogatepass")).hexdigest()
    return digest
