"""Who gains and who loses by a change: the decision before and after it, for known subjects.

The gate knows only the subjects that an operator names, that have a live session, or that are on a list. For all
others, the preview reports the share of the bucket.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from headgate.core import bucket
from headgate.core.changes.placement import with_inline
from headgate.core.decision import decide
from headgate.core.flag import percent_number
from headgate.core.limits import PERCENT_STEPS
from headgate.core.members import Member
from headgate.core.model import Decision, Flag, Stage, Subject
from headgate.core.ruleset import Ruleset, ruleset

SAMPLES = 10
"""Subjects shown of those that gain, and of those that lose."""
KNOWN = 10_000
"""Subjects in one preview, at most."""
DECIDED = 1_000_000
"""Subjects times flags with their ancestors in one preview, at most: about 1 s of a function's time, of the 30 s that
API Gateway allows."""


class Source(StrEnum):
    """How a subject is known."""

    NAMED = "named"
    SESSION = "session"
    LISTED = "listed"


@dataclass(frozen=True, slots=True)
class Known:
    """A subject, and how it is known."""

    subject: Subject
    source: Source


@dataclass(frozen=True, slots=True)
class Move:
    """A subject for whom the flag changes."""

    known: Known
    before: Decision
    after: Decision


@dataclass(frozen=True, slots=True)
class Effect:
    """How many subjects gain and lose a flag, and the first of each."""

    gains: int
    loses: int
    gaining: tuple[Move, ...] = ()
    losing: tuple[Move, ...] = ()


def crowd(
    named: Iterable[Subject], inside: Iterable[Subject], listed_subjects: Iterable[Subject], most: int
) -> tuple[tuple[Known, ...], bool]:
    """Return the known subjects, at most `most`, and whether that is all of them.

    Named subjects come first, then sessions (the first of each user), then list members. A user who is already known is
    not repeated as a bare id.
    """
    found = [Known(subject, Source.NAMED) for subject in named]
    users = {known.subject.user for known in found}
    for source, subjects in ((Source.SESSION, inside), (Source.LISTED, listed_subjects)):
        for subject in subjects:
            if subject.user is not None and subject.user in users:
                continue
            if len(found) >= most:
                return tuple(found[:most]), False
            users.add(subject.user)
            found.append(Known(subject, source))
    return tuple(found[:most]), len(found) <= most


def listed_subjects(rules: Sequence[Ruleset], first: Iterable[str]) -> Iterator[Subject]:
    """Yield each user and each org on any flag's list once, alone. The lists of the flags in `first` come first."""
    users: set[str] = set()
    orgs: set[str] = set()
    every = sorted({key for held in rules for key in held.flags})
    for key in dict.fromkeys((*first, *every)):
        allows = [held.flags[key].allow for held in rules if key in held.flags]
        for user in sorted({user for allow in allows for user in allow.users} - users):
            users.add(user)
            yield Subject(user)
        for org in sorted({org for allow in allows for org in allow.orgs} - orgs):
            orgs.add(org)
            yield Subject(None, (org,))


def long_lists(rules: Sequence[Ruleset], keys: Iterable[str]) -> frozenset[str]:
    """The flags whose long lists can affect `keys`, before or after the change, at any stage."""
    found = (up for held in rules for key in keys for up in (key, *held.lineage.get(key, ())))
    return frozenset(key for key in found if any(_is_long(held.flags.get(key)) for held in rules))


def _is_long(flag: Flag | None) -> bool:
    return flag is not None and flag.members is not None and flag.members.users + flag.members.orgs > 0


def unfolded(rules: Ruleset, on: Mapping[str, Collection[Member]]) -> Ruleset:
    """Return the rules with known members of long lists inside the flags, so that one decision fits all subjects."""
    flags = dict(rules.given)
    for key, members in on.items():
        if key in flags:
            flags[key] = replace(flags[key], members=None, allow=with_inline(flags[key].allow, members))
    return ruleset(flags, rules.revision)


def dependents(before: Ruleset, after: Ruleset, keys: Iterable[str]) -> tuple[str, ...]:
    """The other flags that depend on one of these, sorted."""
    changed = set(keys)
    hanging = {
        key for rules in (before, after) for key, above in rules.lineage.items() if not changed.isdisjoint(above)
    }
    return tuple(sorted(hanging - changed))


def effect(before: Ruleset, after: Ruleset, key: str, known: Iterable[Known]) -> Effect:
    """Return what the change does to one flag."""
    gains = loses = 0
    gaining: list[Move] = []
    losing: list[Move] = []
    for one in known:
        was = decide(before, key, one.subject, gate=True)
        now = decide(after, key, one.subject, gate=True)
        if was.value is now.value:
            continue
        gains, loses = gains + now.value, loses + was.value
        sample = gaining if now.value else losing
        if len(sample) < SAMPLES:
            sample.append(Move(one, was, now))
    return Effect(gains, loses, tuple(gaining), tuple(losing))


def share(before: Flag | None, after: Flag | None) -> dict[str, Any]:
    """The percent of units that the bucket lets in, before and after, and that gain and lose by the change.

    Lists and parents do not count. A change of unit, salt, algorithm, or hash key redraws all buckets, so some lose
    while as many others gain.
    """
    was, now = _steps(before), _steps(after)
    gains, loses = max(0, now - was), max(0, was - now)
    if _scale(before) != _scale(after):
        gains = now * (PERCENT_STEPS - was) // PERCENT_STEPS
        loses = was * (PERCENT_STEPS - now) // PERCENT_STEPS
    return {
        "before": {"percent": percent_number(was), "unit": before.unit.value if before else None},
        "after": {"percent": percent_number(now), "unit": after.unit.value if after else None},
        "gains": percent_number(gains),
        "loses": percent_number(loses),
    }


def _steps(flag: Flag | None) -> int:
    if flag is None or flag.killed is not None or flag.stage in (Stage.ADMIN_ONLY, Stage.ALLOWLIST):
        return 0
    return PERCENT_STEPS if flag.stage is Stage.GA else flag.steps


def _scale(flag: Flag | None) -> tuple[Any, ...] | None:
    return None if flag is None else bucket.scale(flag)


def effect_document(found: Effect) -> dict[str, Any]:
    """Return the counts, and the samples with the reasons before and after."""
    samples = {"gains": [_sample(move) for move in found.gaining], "loses": [_sample(move) for move in found.losing]}
    return {"gains": found.gains, "loses": found.loses, "samples": samples}


def _sample(move: Move) -> Mapping[str, Any]:
    subject = move.known.subject
    user = None if subject.user is None else _printable(subject.user)
    return {
        "subject": {"user": user, "orgs": [_printable(org) for org in subject.orgs], "admin": subject.admin},
        "source": move.known.source.value,
        "before": {"value": move.before.value, "reason": move.before.reason.value},
        "after": {"value": move.after.value, "reason": move.after.reason.value},
    }


def _printable(text: str) -> str:
    """Replace lone surrogates, which JSON can express and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
