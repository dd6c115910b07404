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

IDS_READ = 1_001
"""Member items that one request reads at most, whoever asks: a user and its 1,000 orgs, in one long list."""
HELD = 20_000
"""Cached memberships, at most: about 6 MB. A subject with three orgs needs four for each long list."""
HELD_FOR = 300.0
"""Seconds that a membership is cached, at most, so that ids of people do not stay in memory for days."""

Read = Callable[[tuple[Key, ...]], Mapping[Key, Item]]
Name = tuple[str, int, str, str]
"""Flag, its version, kind, id."""


def ids_looked_up(rules: Ruleset) -> int:
    """Return how many ids of one subject are looked up in each long list: the user, then the first orgs."""
    return max(1, IDS_READ // max(1, len(rules.long)))


class Lists:
    """One per execution environment. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._held: OrderedDict[Name, tuple[bool, float]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, rules: Ruleset, subjects: Sequence[Subject], keys: Iterable[str], read: Read) -> list[Listing]:
        """Return each subject with the long lists it is on, among those that decisions on `keys` depend on."""
        if not rules.long or all(subject.admin for subject in subjects):
            return [Listing(subject) for subject in subjects]
        flags = [rules.flags[key] for key in concerned(rules, keys)]
        most = ids_looked_up(rules)
        asked = [{} if one.admin else {flag.key: _names(flag, one, most) for flag in flags} for one in subjects]
        every = [names for each in asked for names in each.values()]
        known = self._known([name for names in every for name in names])
        unknown = list(dict.fromkeys(name for names in every if not any(map(known.get, names))
                                     for name in names if name not in known))[:IDS_READ]  # fmt: skip
        with suppress(Unavailable, Throttled):
            for begin in range(0, len(unknown), AT_ONCE):
                known |= self._look_up(rules, unknown[begin : begin + AT_ONCE], read)
        return [_listing(subject, each, known) for subject, each in zip(subjects, asked, strict=True)]

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


def _listing(subject: Subject, asked: Mapping[str, Sequence[Name]], known: Mapping[Name, bool]) -> Listing:
    listed = frozenset(key for key, names in asked.items() if any(map(known.get, names)))
    missing = frozenset(key for key, names in asked.items() if not all(name in known for name in names))
    return Listing(replace(subject, listed=listed) if listed else subject, missing - listed)


def _names(flag: Flag, subject: Subject, most: int) -> list[Name]:
    """What to look up: only kinds that the long part has, and only ids that can be members.

    At most `most` ids, whatever else is asked: a subject's orgs beyond them are not listed in any decision.
    """
    long = flag.members
    members: list[Member] = []
    if long is not None and long.users and subject.user:
        members.append(("user", subject.user))
    if long is not None and long.orgs:
        orgs = (subject.acting_org,) if subject.acting_org else subject.orgs
        members.extend(("org", org) for org in dict.fromkeys(orgs))
    return [(flag.key, flag.version, kind, name) for kind, name in members if is_member_id(name)][:most]
