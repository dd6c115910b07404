"""Changes to a flag: pure functions from one flag to the next, and whether a change takes access away."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from headgate.core import bucket, limits
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.clauses import same
from headgate.core.documents import refuse
from headgate.core.flag import stored_bytes
from headgate.core.model import STAGES, Clause, Flag, Kill, Reach, RoutePolicy, Rule, Stage, Unit
from headgate.core.routes import PASSES, RouteTable, live_flags
from headgate.core.ruleset import lineages


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who made a change, when (RFC 3339), and as which revision."""

    revision: int
    at: str
    by: str


def stamped(flag: Flag, version: int, stamp: Stamp) -> Flag:
    """Return the flag as it will be stored. A long list that was lost starts at this revision."""
    long = flag.members
    if long is not None and long.since > stamp.revision:
        long = replace(long, since=stamp.revision)
    return replace(
        flag, version=version, revision=stamp.revision, updated_at=stamp.at, updated_by=stamp.by, members=long
    )


def with_stage(flag: Flag, stage: Stage, steps: int | None, unit: Unit | None) -> Flag:
    """Set the stage. Percent (in steps) and unit may change with it."""
    return replace(flag, stage=stage, steps=flag.steps if steps is None else steps, unit=unit or flag.unit)


def with_members(
    flag: Flag, *, add: tuple[Iterable[str], Iterable[str]], remove: tuple[Iterable[str], Iterable[str]]
) -> tuple[Flag, int, int]:
    """Add and remove users and orgs inline, without a limit. Return the flag, and how many were added and removed."""
    users = (flag.allow.users | set(add[0])) - set(remove[0])
    orgs = (flag.allow.orgs | set(add[1])) - set(remove[1])
    added = len(users - flag.allow.users) + len(orgs - flag.allow.orgs)
    removed = len(flag.allow.users - users) + len(flag.allow.orgs - orgs)
    return replace(flag, allow=replace(flag.allow, users=frozenset(users), orgs=frozenset(orgs))), added, removed


def with_kill(flag: Flag, kill: Kill) -> Flag:
    """Kill the flag. While it is killed, the reach only rises; a kill that adds nothing returns the same flag."""
    held = flag.killed
    if held is None:
        return replace(flag, killed=kill)
    sooner = kill.reach is Reach.DRAIN is held.reach and (kill.drain_until or "") < (held.drain_until or "")
    return replace(flag, killed=kill) if kill.reach.rank > held.reach.rank or sooner else flag


def without_kill(flag: Flag) -> Flag:
    """Lift the kill. Stage, percent, and lists were never changed by it."""
    return replace(flag, killed=None)


def kept(before: Flag | None, after: Flag) -> Flag:
    """Return the flag that replaces another: it keeps the other's kill, and its long list unless it has its own."""
    if before is None:
        return after
    return replace(after, killed=before.killed, members=after.members or before.members)


def shrinks(before: Flag | None, after: Flag | None) -> bool:
    """Whether the change takes access away, judged by structure at the current stage, as if not killed."""
    if before is None or before.stage is Stage.ADMIN_ONLY:
        return False
    if after is None or STAGES.index(after.stage) < STAGES.index(before.stage):
        return True
    if not set(after.requires) <= set(before.requires):
        return True
    if after.stage is Stage.GA:
        return False
    return _list_shrinks(before, after) or _bucket_shrinks(before, after)


def _list_shrinks(before: Flag, after: Flag) -> bool:
    if not (before.allow.users <= after.allow.users and before.allow.orgs <= after.allow.orgs):
        return True
    if after.members is not None and after.members != before.members and after.members.changed.get("removed"):
        return True
    return not all(any(_is_looser(new, old) for new in after.allow.rules) for old in before.allow.rules)


def _is_looser(new: Rule, old: Rule) -> bool:
    return all(any(_is_same(clause, known) for known in old.clauses) for clause in new.clauses)


def _is_same(new: Clause, old: Clause) -> bool:
    """Python treats 1 and true as equal; the operators do not."""
    if (new.attribute, new.op, new.kind) != (old.attribute, old.op, old.kind):
        return False
    left, right = (list(value) if isinstance(value, tuple) else [value] for value in (new.value, old.value))
    return len(left) == len(right) and all(map(same, left, right))


def _bucket_shrinks(before: Flag, after: Flag) -> bool:
    if before.stage is not Stage.PERCENTAGE or before.steps == 0:
        return False
    return after.steps < before.steps or bucket.scale(after) != bucket.scale(before)


def check_parents(before: Mapping[str, Flag], changed: Mapping[str, Flag], after: Mapping[str, Flag]) -> None:
    """Refuse changed flags whose parents do not exist, and changes that make a lineage circular or too deep: a changed
    flag's own, or that of a flag that depends on it. What was so before may stay. Raises `Invalid`.
    """
    for flag in changed.values():
        held = before.get(flag.key)
        for index, parent in enumerate(flag.requires):
            was_so = held is not None and parent in held.requires and parent not in before
            if parent not in after and not was_so:
                refuse(f"requires.{index}", "this flag does not exist")
    held_lines = lineages(before)
    for key, line in lineages(after).items():
        if line is None and (key in changed or key not in before or held_lines[key] is not None):
            refuse("requires", f"gives {key} a cycle of parents, a chain of more than {limits.MAX_DEPTH}, "
                               f"or more than {limits.MAX_ANCESTORS} ancestors; name fewer parents")  # fmt: skip


def check_size(flag: Flag) -> None:
    """Refuse a flag that is too large to store. Raises `Refusal`."""
    if stored_bytes(flag) > limits.MAX_FLAG_BYTES:
        raise Refusal(Slug.TOO_LARGE, f"a flag must be at most {limits.MAX_FLAG_BYTES} bytes of JSON")


def check_no_emails(users: Iterable[str]) -> None:
    """Refuse email addresses as user ids: they are personal data, and people change them. Raises `Invalid`."""
    if any("@" in user for user in users):
        refuse("users", "must be opaque ids, not email addresses")


def routes_shrink(before: RouteTable, after: RouteTable, access: str | None) -> bool:
    """Whether a route would accept fewer credentials or require more flags. A route no longer listed is `entry`."""
    return any(
        _policy_shrinks(old.get(name) or RoutePolicy(name), new.get(name) or RoutePolicy(name), access)
        for old, new in ((before.routes, after.routes), (before.procedures, after.procedures))
        for name in old.keys() | new.keys()
    )


def _policy_shrinks(before: RoutePolicy, after: RoutePolicy, access: str | None) -> bool:
    if not PASSES[before.route_class] <= PASSES[after.route_class]:
        return True
    return not set(live_flags(after, access)) <= set(live_flags(before, access))
