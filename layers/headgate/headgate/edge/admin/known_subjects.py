"""The subjects of a preview: named, with a live session, or on a list. Long lists are looked up only for these."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from headgate.core.allow import is_member_id
from headgate.core.changes.preview import (
    DECIDED,
    KNOWN,
    Known,
    Source,
    crowd,
    dependents,
    effect,
    listed_subjects,
    long_lists,
    unfolded,
)  # fmt: skip
from headgate.core.members import Member
from headgate.core.model import Subject
from headgate.core.ruleset import Ruleset
from headgate.edge.admin.bodies import MembersBody, PreviewBody
from headgate.edge.admin.call import Admin
from headgate.store.members import histories, on_long

LOOKED_UP = 20_000
"""Member items that one preview reads: 200 batched reads. It reads only known subjects' entries on a long list."""
SESSIONS, SESSIONS_READ = 1_000, 5_000
"""Live sessions that a preview includes, and the session records that it reads for them."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """The subjects of a preview, and whether these are all known subjects."""

    known: tuple[Known, ...]
    complete: bool

    @property
    def document(self) -> dict[str, Any]:
        """The number of subjects from each source."""
        sources = [one.source for one in self.known]
        names = {"named": Source.NAMED, "sessions": Source.SESSION, "listed": Source.LISTED}
        return {**{name: sources.count(source) for name, source in names.items()}, "complete": self.complete}


def looked_at(
    admin: Admin, before: Ruleset, after: Ruleset, keys: Sequence[str], body: PreviewBody | None = None
) -> tuple[Ruleset, Ruleset, Crowd]:
    """Return the rules before and after, with the known subjects' entries on long lists, and these subjects."""
    named = [one.subject() for one in body.subjects] if body is not None else []
    inside = _inside(admin)
    seen = _crowd(inside, before, after, keys, named)
    hanging = (*keys, *dependents(before, after, keys))
    long = long_lists((before, after), hanging)
    if not long:
        return before, after, seen
    add, remove = (body.change.add, body.change.remove) if body is not None else (None, None)
    gone = frozenset((remove or MembersBody()).members)
    ids = dict.fromkeys((*gone, *(add or MembersBody()).members, *_ids(known.subject for known in seen.known)))
    asked = dict.fromkeys(islice(ids, LOOKED_UP // len(long)))
    on = {key: on_long(before.flags[key], histories(admin.table, key, asked)) for key in long if key in before.flags}
    left = {key: found - gone if body is not None and key == body.flag else found for key, found in on.items()}
    before, after = unfolded(before, on), unfolded(after, left)
    seen = _crowd(inside, before, after, keys, named)
    sure = tuple(one for one in seen.known if all(entry in asked for entry in _ids((one.subject,))))
    return before, after, Crowd(sure, complete=False)


def _ids(subjects: Iterable[Subject]) -> Iterator[Member]:
    """Yield the subjects' users and orgs, as a list may hold them."""
    for subject in subjects:
        entries = (("user", subject.user or ""), *(("org", org) for org in subject.orgs))
        yield from (entry for entry in entries if is_member_id(entry[1]))


def _crowd(
    live: tuple[list[Subject], bool], before: Ruleset, after: Ruleset, keys: Sequence[str], named: Sequence[Subject]
) -> Crowd:
    """Return the subjects for a change of these flags: named, inside, listed.

    The more flags and ancestors of these, the fewer subjects.
    """
    inside, all_inside = live
    asked = (*keys, *dependents(before, after, keys))
    flags = sum(1 + max(len(rules.lineage.get(key, ())) for rules in (before, after)) for key in asked)
    most = min(KNOWN, DECIDED // max(1, flags))
    known, all_known = crowd(named, inside, listed_subjects((after, before), keys), most)
    return Crowd(known, all_inside and all_known)


def _inside(admin: Admin) -> tuple[list[Subject], bool]:
    """Return the subjects of live sessions, newest first, and whether that is all of them."""
    now = admin.clock()
    records = [session for _record, session in islice(admin.sessions.every(), SESSIONS_READ + 1)]
    live = sorted((one for one in records if one.is_live(now)), key=lambda one: one.started_at, reverse=True)
    subjects = [Subject(one.subject, one.orgs, one.admin, one.attributes) for one in live[:SESSIONS]]
    return subjects, len(records) <= SESSIONS_READ and len(live) <= SESSIONS


def affected_flags(before: Ruleset, after: Ruleset, keys: Sequence[str], seen: Crowd) -> list[dict[str, Any]]:
    """Return the dependent flags whose decision changes for a subject, with counts."""
    found = ((key, effect(before, after, key, seen.known)) for key in dependents(before, after, keys))
    return [{"flag": key, "gains": one.gains, "loses": one.loses} for key, one in found if one.gains or one.loses]
