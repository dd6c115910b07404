"""Member items: the history of each id on the long part of a flag's list. `core.members` explains them."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from headgate.core.documents import canonical
from headgate.core.members import Member, MemberEvent, Standpoint
from headgate.core.model import Flag
from headgate.store.items import SHARDS, every_item, member_key, members_in
from headgate.store.port import Item, Key, Put, Table, Unavailable

AT_ONCE = 100
"""Items in one batched read."""


@dataclass(frozen=True, slots=True)
class MemberItem:
    """A member item as stored; version 0 if there is none."""

    version: int = 0
    events: tuple[MemberEvent, ...] = ()

    def put(self, flag: str, member: Member, events: Sequence[MemberEvent]) -> Put:
        """Return the write of its next version, on the condition that it was not changed since it was read."""
        pk, sk = member_key(flag, *member)
        body = canonical([[when, int(came)] for when, came in events])
        item: Item = {"pk": pk, "sk": sk, "version": self.version + 1, "events": body}
        return Put(item, equals=("version", self.version)) if self.version else Put(item, absent=True)


NO_ITEM = MemberItem()


def read_held(item: Item | None) -> MemberItem:
    """Read a member item. Raises `Unavailable` if it cannot be read."""
    if item is None:
        return NO_ITEM
    try:
        events = tuple(_event(*pair) for pair in json.loads(str(item["events"])))
        return MemberItem(int(item["version"]), events)
    except (KeyError, ValueError, TypeError, RecursionError):
        raise Unavailable("member") from None


def _event(when: int | str, came: int) -> MemberEvent:
    if type(when) not in (int, str) or came not in (0, 1):
        raise ValueError("not an event")
    return when, came == 1


def keys_of(flag: str, members: Collection[Member]) -> dict[Member, Key]:
    """Where the items of these members are stored."""
    return {member: member_key(flag, *member) for member in members}


def histories(table: Table, flag: str, members: Collection[Member]) -> dict[Member, MemberItem]:
    """Read the items of these members, 100 at a time."""
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
    """Yield every member of a kind who was ever in member items: partition, id, item; starting after a place."""
    for part in SHARDS[SHARDS.index(shard) if shard else 0 :]:
        first = f"{kind}#{after}" if part == shard else f"{kind}#"
        for item in every_item(table, members_in(flag, part), after=first, before=f"{kind}$", at_once=at_once):
            yield part, str(item["sk"]).partition("#")[2], read_held(item)


def on_long(flag: Flag, held: Mapping[Member, MemberItem]) -> frozenset[Member]:
    """Which of these members are on the flag's long list."""
    stand = Standpoint.of(flag)
    return frozenset(member for member, one in held.items() if stand.holds(one.events))


def events_of(held: Mapping[Member, MemberItem]) -> dict[Member, tuple[MemberEvent, ...]]:
    """The events of each member."""
    return {member: one.events for member, one in held.items()}
