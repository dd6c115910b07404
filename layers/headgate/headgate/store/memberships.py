"""Which long lists a subject is on: one batched read per subject, cached.

A membership is cached by flag, the flag's version, kind, and id. It can change only when the version does, so no cached
one is ever wrong, and a removal counts as soon as the flag's new version is known: at once for mint and live decisions.
A list that cannot be read is reported as unread and lets nobody in.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from headgate.core.allow import is_member_id
from headgate.core.listing import Listing, concerned
from headgate.core.members import Member, Standpoint
from headgate.core.model import Flag, Subject
from headgate.core.ruleset import Ruleset
from headgate.store.items import member_key
from headgate.store.members import AT_ONCE, read_held
from headgate.store.port import Item, Key, Throttled, Unavailable

HELD = 20_000
"""Cached memberships, at most: about 6 MB. A subject with three orgs needs four for each long list."""
HELD_FOR = 300.0
"""Seconds that a membership is cached, at most, so that ids of people do not stay in memory for days."""

Read = Callable[[tuple[Key, ...]], Mapping[Key, Item]]
Name = tuple[str, int, str, str]
"""Flag, its version, kind, id."""


class Lists:
    """One per execution environment. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._held: OrderedDict[Name, tuple[bool, float]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, rules: Ruleset, subject: Subject, keys: Iterable[str], read: Read) -> Listing:
        """Return the subject with the long lists it is on, among those that decisions on `keys` depend on."""
        if not rules.long or subject.admin:
            return Listing(subject)
        asked = {key: _names(rules.flags[key], subject) for key in concerned(rules, keys)}
        known = self._known([name for names in asked.values() for name in names])
        unknown = [name for names in asked.values() if not any(map(known.get, names))
                   for name in names if name not in known]  # fmt: skip
        with suppress(Unavailable, Throttled):
            for begin in range(0, len(unknown), AT_ONCE):
                known |= self._look_up(rules, unknown[begin : begin + AT_ONCE], read)
        listed = frozenset(key for key, names in asked.items() if any(map(known.get, names)))
        missing = frozenset(key for key, names in asked.items() if not all(name in known for name in names))
        return Listing(replace(subject, listed=listed) if listed else subject, missing - listed)

    def _known(self, names: Sequence[Name]) -> dict[Name, bool]:
        now = self._clock()
        known: dict[Name, bool] = {}
        with self._lock:
            for name in names:
                is_on, at = self._held.get(name, (False, 0.0))
                if 0 <= now - at < HELD_FOR and name in self._held:
                    self._held.move_to_end(name)
                    known[name] = is_on
        return known

    def _look_up(self, rules: Ruleset, names: Sequence[Name], read: Read) -> dict[Name, bool]:
        stands = {flag: Standpoint.of(rules.flags[flag]) for flag in {name[0] for name in names}}
        keys = {name: member_key(name[0], *name[2:]) for name in names}
        items = read(tuple(keys.values()))
        found = {name: stands[name[0]].holds(read_held(items.get(key)).events) for name, key in keys.items()}
        self._keep(found)
        return found

    def _keep(self, found: Mapping[Name, bool]) -> None:
        now = self._clock()
        with self._lock:
            for name, is_on in found.items():
                self._held[name] = (is_on, now)
                self._held.move_to_end(name)
            while len(self._held) > HELD:
                self._held.popitem(last=False)


def _names(flag: Flag, subject: Subject) -> list[Name]:
    """What to look up: only kinds that the long part has, and only ids that can be members."""
    long = flag.members
    members: list[Member] = []
    if long is not None and long.users and subject.user:
        members.append(("user", subject.user))
    if long is not None and long.orgs:
        members.extend(("org", org) for org in dict.fromkeys(subject.orgs))
    return [(flag.key, flag.version, kind, name) for kind, name in members if is_member_id(name)]
