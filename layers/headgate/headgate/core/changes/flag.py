"""Changes to a flag: pure functions from one flag to the next, and what no change may do to the rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from headgate.core import limits
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import Invalid, refuse
from headgate.core.flag import STANDARD_CLAIMS, stored_bytes
from headgate.core.model import NOTHING, Flag, Kill, Profile, Reach, Stage, Unit
from headgate.core.ruleset import lineages, ruleset
from headgate.core.snapshot import Snapshot


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


def check_parents(
    before: Mapping[str, Flag],
    changed: Mapping[str, Flag],
    after: Mapping[str, Flag],
    paths: Mapping[str, str] = NOTHING,
) -> None:
    """Refuse changed flags whose parents do not exist, and changes that make a lineage circular or too deep: a changed
    flag's own, or that of a flag that depends on it. What was so before may stay. `paths` says where each changed flag
    is in the body. Raises `Invalid`.
    """
    for flag in changed.values():
        held = before.get(flag.key)
        for index, parent in enumerate(flag.requires):
            was_so = held is not None and parent in held.requires and parent not in before
            if parent not in after and not was_so:
                what = "would be deleted" if parent in before else "does not exist"
                refuse(f"{paths.get(flag.key, '')}requires.{index}", f"{flag.key} requires a flag that {what}")
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


def check_claims(profile: Profile, flags: Mapping[str, Flag], changed: Mapping[str, str]) -> None:
    """Refuse a claim with two sources, of which one could grant what the other denies. Raises `Invalid`.

    `changed` says where each changed flag is in the body, and the profile, under the empty key.
    """
    owners: dict[str, list[str]] = {name: [""] for name in profile.claims}
    for key, flag in flags.items():
        if flag.claim is not None:
            owners.setdefault(flag.claim, []).append(key)
    faults = []
    for key, path in changed.items():
        for claim in filter(None, (flags[key].claim,)) if key else profile.claims:
            place = path + ("claim" if key else f"token.claims.{claim}")
            if claim in STANDARD_CLAIMS:
                faults.append((place, "is the name of a standard claim"))
            other = next((owner for owner in owners[claim] if owner != key), None)
            if other is not None:
                whose = f"flag {other}" if other else "the token profile"
                faults.append((place, f"{whose} has a claim of this name"))
    if faults:
        raise Invalid(faults)


def check_kill_stays(before: Snapshot, after: Snapshot) -> None:
    """Refuse to move `access` away from a killed flag, or to delete that flag. Raises `Refusal`.

    Sessions depend on the access flag alone, so either would undo a kill of any reach without lifting it.
    """
    access = before.profile.access
    flag = before.rules.given.get(access or "")
    if flag is None or flag.killed is None or (after.profile.access == access and flag.key in after.rules.given):
        return
    raise Refusal(
        Slug.ACCESS_KILLED,
        f"{access} is killed, and moving access to another flag or deleting this one would end the kill; restore it "
        "first (set its stage to admin_only before that to let nobody in)",
    )


def with_flag(snapshot: Snapshot, flag: Flag) -> Snapshot:
    """Return the rules with this flag."""
    flags = {**snapshot.rules.given, flag.key: flag}
    return replace(snapshot, rules=ruleset(flags, snapshot.revision, snapshot.rules))


def without_flag(snapshot: Snapshot, key: str) -> Snapshot:
    """Return the rules without this flag."""
    flags = {name: flag for name, flag in snapshot.rules.given.items() if name != key}
    return replace(snapshot, rules=ruleset(flags, snapshot.revision, snapshot.rules))
