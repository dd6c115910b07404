"""All flags at one revision, made ready to decide on: the lineage of each flag is worked out once, here."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from headgate.core.compile import Evaluator, compile_flag
from headgate.core.limits import MAX_DEPTH
from headgate.core.model import Flag, Stage


@dataclass(frozen=True, slots=True)
class Ruleset:
    """`lineage[key]` holds every ancestor of a flag: it is on only while each of them is on for the subject.

    `given` are the flags as they were given: what is built on them is not built on a quarantine that may be over.
    """

    flags: Mapping[str, Flag]
    given: Mapping[str, Flag]
    lineage: Mapping[str, tuple[str, ...]]
    evaluators: "Evaluators"
    revision: int = 0


class Evaluators(dict[str, Evaluator]):
    """The compiled flags, each compiled when it is first asked for: a cold start pays for what it uses."""

    __slots__ = ("_flags", "_lineage", "_revision")

    def __init__(self, flags: Mapping[str, Flag], lineage: Mapping[str, tuple[str, ...]], revision: int) -> None:
        super().__init__()
        self._flags, self._lineage, self._revision = flags, lineage, revision

    def __missing__(self, key: str) -> Evaluator:
        """Compile a flag. `KeyError` when there is no such flag."""
        flag = self._flags[key]
        parents = tuple(self._flags.get(parent) for parent in self._lineage[key])
        evaluator = self[key] = compile_flag(flag, parents, self._revision)
        return evaluator


def ruleset(flags: Mapping[str, Flag], revision: int = 0) -> Ruleset:
    """Build the rules. A flag in a cycle, or too deep, is quarantined: it denies (admins in), the rest is served."""
    lineage: dict[str, tuple[str, ...]] = {}
    ready = dict(flags)
    for key, flag in flags.items():
        ancestors = ancestry(flags, key)
        if ancestors is None:
            ready[key] = replace(flag, stage=Stage.ADMIN_ONLY, requires=(), quarantined=True)
        lineage[key] = ancestors or ()
    return Ruleset(ready, flags, lineage, Evaluators(ready, lineage, revision), revision)


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
