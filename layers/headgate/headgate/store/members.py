"""Member items: the history of each id on the long part of a flag's list (core/members says what it means)."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from headgate.core.documents import canonical
from headgate.core.members import Member, MemberEvent, Standpoint
from headgate.core.model import Flag
from headgate.store.items import member_key, members_in
from headgate.store.port import Item, Key, Put, Table, Unavailable

SHARDS = "0123456789abcdef"
AT_ONCE = 100
"""Items of one batched read."""


@dataclass(frozen=True, slots=True)
class MemberItem:
    """A member item as it lies there; version 0 where there is none."""

    version: int = 0
    events: tuple[MemberEvent, ...] = ()

    def put(self, flag: str, member: Member, events: Sequence[MemberEvent]) -> Put:
        """The write of its next version, as long as it is as it was read."""
        pk, sk = member_key(flag, *member)
        body = canonical([[when, int(came)] for when, came in events])
        item: Item = {"pk": pk, "sk": sk, "version": self.version + 1, "events": body}
        return Put(item, equals=("version", self.version)) if self.version else Put(item, absent=True)


NO_ITEM = MemberItem()


def read_held(item: Item | None) -> MemberItem:
    """A member item. One that cannot be read is no answer: raises `Unavailable`."""
    if item is None:
        return NO_ITEM
    try:
        events = tuple(_event(*pair) for pair in json.loads(str(item["events"])))
        return MemberItem(int(item["version"]), events)
    except (KeyError, ValueError, TypeError, RecursionError):
        raise Unavailable("member") from None


def _event(when: int | str, came: int) -> MemberEvent:
    if type(when) not in (int, str) or came not in (0, 1):
        raise ValueError("no event")
    return when, came == 1


def keys_of(flag: str, members: Collection[Member]) -> dict[Member, Key]:
    """Where these lie."""
    return {member: member_key(flag, *member) for member in members}


def histories(table: Table, flag: str, members: Collection[Member]) -> dict[Member, MemberItem]:
    """The items of these members, by batched reads of 100."""
    keys = list(keys_of(flag, members).items())
    found: dict[Member, MemberItem] = {}
    for begin in range(0, len(keys), AT_ONCE):
        part = keys[begin : begin + AT_ONCE]
        items = table.get([key for _member, key in part])
        found |= {member: read_held(items.get(key)) for member, key in part}
    return found


def walk(
    table: Table, flag: str, kind: str, *, shard: str = "", after: str = "", at_once: int | None = None
) -> Iterator[tuple[str, str, MemberItem]]:
    """Everybody of a kind who ever was in member items: partition, id, item; from the one after a place on."""
    for part in SHARDS[SHARDS.index(shard) if shard else 0 :]:
        cursor: str | None = f"{kind}#{after}" if part == shard else f"{kind}#"
        while cursor is not None:
            page = table.query(members_in(flag, part), after=cursor, before=f"{kind}$", limit=at_once)
            for item in page.items:
                yield part, str(item["sk"]).partition("#")[2], read_held(item)
            cursor = page.next


def on_long(flag: Flag, held: Mapping[Member, MemberItem]) -> frozenset[Member]:
    """Those of these who stand on the flag's long list."""
    stand = Standpoint.of(flag)
    return frozenset(member for member, one in held.items() if stand.holds(one.events))


def events_of(held: Mapping[Member, MemberItem]) -> dict[Member, tuple[MemberEvent, ...]]:
    """The histories alone."""
    return {member: one.events for member, one in held.items()}
