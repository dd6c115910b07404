"""Choose where the ids of a change are stored: inline while there is room, otherwise in member items.

Removals apply to both. Callers do not see where an id is stored: the list is the union of both parts.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from headgate.core import limits
from headgate.core.documents import canonical
from headgate.core.flag import stored_bytes
from headgate.core.members import KINDS, Member
from headgate.core.model import Allow, Flag, Json, LongList


@dataclass(frozen=True, slots=True)
class Placed:
    """The flag with its new inline part, the member items to change (True adds, False removes), and the counts."""

    flag: Flag
    moved: Mapping[Member, bool]
    added: int
    removed: int


def place(
    flag: Flag, *, add: Iterable[Member], remove: Iterable[Member], long: Collection[Member], most: int
) -> Placed:
    """Plan a change. `long` are those of the ids that are in member items; at most `most` ids fit inline."""
    out = list(dict.fromkeys(remove))
    new = [one for one in dict.fromkeys(add) if one not in long and not is_inline(flag.allow, one)]
    gone = [one for one in out if one in long or is_inline(flag.allow, one)]
    kept = without(flag.allow, out)
    fits = _fitting(replace(flag, allow=kept), new, most)
    moved = dict.fromkeys(new[fits:], True) | {one: False for one in out if one in long}
    return Placed(replace(flag, allow=with_inline(kept, new[:fits])), moved, len(new), len(gone))


def is_inline(allow: Allow, member: Member) -> bool:
    """Whether the member is in the inline part."""
    kind, name = member
    return name in (allow.users if kind == "user" else allow.orgs)


def inline(allow: Allow) -> list[Member]:
    """Return everybody in the inline part, sorted."""
    return [("user", name) for name in sorted(allow.users)] + [("org", name) for name in sorted(allow.orgs)]


def without(allow: Allow, members: Iterable[Member]) -> Allow:
    """Return the list with these removed from its inline part."""
    gone = frozenset(members)
    users = (name for name in allow.users if ("user", name) not in gone)
    return replace(allow, users=frozenset(users), orgs=frozenset(n for n in allow.orgs if ("org", n) not in gone))


def with_inline(allow: Allow, members: Collection[Member]) -> Allow:
    """Return the list with these added to its inline part."""
    users = allow.users.union(name for kind, name in members if kind == "user")
    return replace(allow, users=users, orgs=allow.orgs.union(name for kind, name in members if kind == "org"))


def _fitting(flag: Flag, members: Collection[Member], most: int) -> int:
    """How many of these fit inline, in order."""
    count, size = len(flag.allow.users) + len(flag.allow.orgs), stored_bytes(flag)
    for number, (_kind, name) in enumerate(members):
        count, size = count + 1, size + len(canonical(name).encode()) + 1
        if count > most or size > limits.INLINE_BYTES:
            return number
    return len(members)


def with_moved(flag: Flag, moved: Mapping[Member, bool], revision: int) -> Flag:
    """Return the flag after these member items changed at `revision`. Its document names all of them."""
    if not moved:
        return flag
    held = flag.members or LongList()
    users, orgs = (sum(1 if adds else -1 for (kind, _), adds in moved.items() if kind == one) for one in KINDS)
    names: dict[str, Json] = {
        name: {f"{kind}s": sorted(one for (of, one), adds in moved.items() if of == kind and adds is wanted)
               for kind in KINDS}
        for name, wanted in (("added", True), ("removed", False))
    }  # fmt: skip
    added = sum(moved.values())
    changed = {"revision": revision, "added": added, "removed": len(moved) - added, "ids": names}
    return replace(flag, members=replace(held, users=held.users + users, orgs=held.orgs + orgs, changed=changed))
