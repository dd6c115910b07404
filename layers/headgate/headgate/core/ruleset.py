"""All flags at one revision, made ready to decide on: the lineage of each flag is worked out once, here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headgate.core.limits import MAX_DEPTH
from headgate.core.model import Evaluator, Flag, LongList, Stage


@dataclass(frozen=True, slots=True)
class Ruleset:
    """`lineage[key]` holds every ancestor of a flag: it is on only while each of them is on for the subject.

    `given` are the flags as they were given: what is built on them is not built on a quarantine that may be over.
    `long` names the flags whose decision may hang on the long part of their list.
    `evaluators` are the flags compiled so far: a cold start pays for what it uses. A plain dict: its lookup is on the
    path of every decision, and a subclass that compiles on a miss costs 15 ns more at each (of 100).
    """

    flags: Mapping[str, Flag]
    given: Mapping[str, Flag]
    lineage: Mapping[str, tuple[str, ...]]
    revision: int = 0
    long: frozenset[str] = frozenset()
    evaluators: dict[str, Evaluator] = field(default_factory=dict, compare=False, repr=False)


def ruleset(flags: Mapping[str, Flag], revision: int = 0) -> Ruleset:
    """Build the rules. A flag in a cycle, or too deep, is quarantined: it denies (admins in), the rest is served."""
    lineage: dict[str, tuple[str, ...]] = {}
    ready = dict(flags)
    for key, flag in flags.items():
        ancestors = ancestry(flags, key)
        if ancestors is None:
            ready[key] = replace(flag, stage=Stage.ADMIN_ONLY, requires=(), quarantined=True)
        lineage[key] = ancestors or ()
    long = frozenset(key for key, flag in ready.items() if flag.members is not None and _reads_long(flag, flag.members))
    return Ruleset(ready, flags, lineage, revision, long)


def _reads_long(flag: Flag, long: LongList) -> bool:
    """At `admin_only` and while killed no list is looked at."""
    return bool(long.users or long.orgs) and flag.killed is None and flag.stage is not Stage.ADMIN_ONLY


def ancestry(flags: Mapping[str, Flag], key: str) -> tuple[str, ...] | None:
    """Every ancestor of a flag, nearest first; None when its parents form a cycle or go too deep."""
    found: dict[str, None] = {}
    level = flags[key].requires
    for _depth in range(MAX_DEPTH + 1):
        if not level:
            return tuple(found)
        if key in level:
            return None
        found.update(dict.fromkeys(level))
        level = tuple(dict.fromkeys(up for parent in level if parent in flags for up in flags[parent].requires))
    return None
