"""All flags at one revision, ready for decisions: the lineage of each flag is computed once, here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headgate.core.limits import MAX_DEPTH
from headgate.core.model import Evaluator, Flag, LongList, Stage


@dataclass(frozen=True, slots=True)
class Ruleset:
    """`lineage[key]` holds every ancestor of a flag: the flag is on only while each of them is on for the subject.

    `given` are the flags before quarantine: later rules are built on them, since a later change may resolve a cycle.
    `long` names the flags whose decision may depend on the long part of their list. `evaluators` are the flags compiled
    so far, so that a cold start compiles only what it uses. It is a plain dict: its lookup is part of every decision,
    and a subclass that compiles on a miss costs 15 ns more each time (of 100).
    """

    flags: Mapping[str, Flag]
    given: Mapping[str, Flag]
    lineage: Mapping[str, tuple[str, ...]]
    revision: int = 0
    long: frozenset[str] = frozenset()
    evaluators: dict[str, Evaluator] = field(default_factory=dict, compare=False, repr=False)


def ruleset(flags: Mapping[str, Flag], revision: int = 0) -> Ruleset:
    """Build the rules. A flag in a cycle, or too deep, is quarantined: it denies everyone but admins."""
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
    """Lists have no effect at `admin_only` and while killed."""
    return bool(long.users or long.orgs) and flag.killed is None and flag.stage is not Stage.ADMIN_ONLY


def ancestry(flags: Mapping[str, Flag], key: str) -> tuple[str, ...] | None:
    """Every ancestor of a flag, nearest first; None if its parents form a cycle or go too deep."""
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
