"""The long part of a flag's list: who is on it as of a flag's document, derived from each member's history.

A member's history is its events in the order in which they were written. `[revision, 1]` means added, `[revision, 0]`
removed, by a change at that revision. `["<ordinal>", 1]` means added by an import, which takes effect at the revision
that the flag's document gives for its ordinal. An import that the document does not name has no effect: it is open or
abandoned. So a flag's document is enough to tell who was on the list at that time, whatever was written since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from headgate.core.model import Flag, LongList

Member = tuple[str, str]
"""Kind and id."""

MemberEvent = tuple[int | str, bool]
"""When (a revision, or an import's ordinal as text), and whether the member was added."""

KINDS = ("user", "org")
FOREVER = 10**12
"""Greater than every revision: revisions have at most 12 digits."""


@dataclass(frozen=True, slots=True)
class Standpoint:
    """What a flag's document says about membership.

    `switched` is the revision at which each import took effect, by ordinal. Nothing counts before `floor`.
    """

    revision: int
    switched: Mapping[str, int]
    floor: int = 0

    @classmethod
    def of(cls, flag: Flag, *, now: bool = False) -> "Standpoint":
        """The standpoint of a stored flag. With `now`, changes of single members written since then count, too."""
        long = flag.members or LongList()
        switched = {str(ordinal): revision for ordinal, revision in long.imports}
        return cls(FOREVER if now else flag.revision, switched, long.since)

    def holds(self, events: Iterable[MemberEvent]) -> bool:
        """Whether the member with this history was on the list then: the last event in effect decides."""
        last, came = self.floor, False
        for when, is_in in events:
            since = self.switched.get(when) if isinstance(when, str) else when
            if since is not None and last <= since <= self.revision:
                last, came = since, is_in
        return came

    def kept(self, events: Iterable[MemberEvent], ordinal: int | None) -> tuple[MemberEvent, ...]:
        """Return the history without events of abandoned imports. Those of the open import (`ordinal`) stay."""
        return tuple(
            one for one in events if isinstance(one[0], int) or one[0] in self.switched or one[0] == f"{ordinal}"
        )


def staged(events: Iterable[MemberEvent], ordinal: int | None) -> bool | None:
    """What the open import has staged for the member: True to add, False to remove, None for nothing."""
    return next((came for when, came in events if when == f"{ordinal}"), None)


def chained(digest: str, lines: Iterable[str]) -> str:
    """Return the running digest of an import's ids after these lines. It starts as 64 zeros."""
    for line in lines:
        digest = sha256(f"{digest}\n{line}".encode("utf-8", "surrogatepass")).hexdigest()
    return digest
