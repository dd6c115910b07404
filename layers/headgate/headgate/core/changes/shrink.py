"""What a change takes away: every place where it could remove somebody's access (design.md §11, "Shrink").

Two states of the rules are compared by structure, flag by flag, claim by claim, and route by route: whoever passed
before must still pass, whatever the other flags' stages are, and as if no flag were killed. A route policy is compared
with the policy that is in force without it, which is `entry`, so that a removal and a new listing add up.

Every member of `Flag`, `Profile`, and `RoutePolicy` that lets anybody in is judged here, and nowhere else.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from headgate.core.bucket import scale
from headgate.core.changes.flag import with_flag
from headgate.core.changes.refusal import Place
from headgate.core.changes.routes import is_open, route_losses
from headgate.core.clauses import COMPARABLE, same
from headgate.core.documents import canonical
from headgate.core.limits import PERCENT_STEPS
from headgate.core.model import STAGES, Clause, Flag, Json, Rule, Stage, Unit
from headgate.core.profile import ADMIN_CLAIM
from headgate.core.ruleset import Ruleset, ruleset
from headgate.core.snapshot import Snapshot


def losses(before: Snapshot, after: Snapshot) -> tuple[Place, ...]:
    """Return every place where the change could take access away from somebody; none if it is not a shrink."""
    old, new = before.rules, after.rules
    keys = [key for key, flag in old.given.items() if new.given.get(key) is not flag]
    flags = (place for key in keys for place in _losses_at(key, old, new))
    return (*flags, *_claim_losses(before, after), *_access_losses(before, after), *route_losses(before, after))


def _losses_at(key: str, old: Ruleset, new: Ruleset) -> Iterator[Place]:
    before, after = old.flags[key], new.flags.get(key)
    if after is None:
        yield from _deletion_losses(before, new)
        return
    found = [*_own_losses(before, after)]
    if before.stage is not Stage.ADMIN_ONLY:
        found += _parent_losses(before, after, old, new)
    yield from _places(key, found)


def flag_losses(before: Flag, after: Flag, rules: Snapshot | None) -> tuple[Place, ...]:
    """As `losses`, for the replacement of one flag.

    Other flags matter only if it gets other parents or another claim. Without `rules`, no other source of its claim is
    known; a flag that gains a parent needs them.
    """
    if before.requires == after.requires and before.claim == after.claim:
        return tuple(_places(before.key, _own_losses(before, after)))
    rules = rules or Snapshot(ruleset({before.key: before}))
    return losses(rules, with_flag(rules, after))


def _places(key: str, found: Iterable[tuple[str, str]]) -> Iterator[Place]:
    return (Place("flag", key, f"flags.{key}.{member}", message) for member, message in found)


def _own_losses(before: Flag, after: Flag) -> Iterator[tuple[str, str]]:
    yield from _value_losses(before, after)
    if before.stage is Stage.ADMIN_ONLY:
        return
    if STAGES.index(after.stage) < STAGES.index(before.stage):
        yield "stage", f"{before.stage} → {after.stage}"
    if after.stage in (Stage.ALLOWLIST, Stage.PERCENTAGE):
        yield from _list_losses(before, after)
    if before.stage is after.stage is Stage.PERCENTAGE:
        yield from _share_losses(before, after)


def _deletion_losses(before: Flag, new: Ruleset) -> Iterator[Place]:
    """A deleted parent also closes its dependents for good, since its key is retired."""
    key = before.key
    if before.stage is not Stage.ADMIN_ONLY:
        yield Place("flag", key, f"flags.{key}", "is deleted: only admins would pass")
    for child, lineage in sorted(new.lineage.items()):
        if key in lineage:
            yield Place("flag", key, f"flags.{child}.requires", f"depends on {key}: only admins would pass")


def _value_losses(before: Flag, after: Flag) -> Iterator[tuple[str, str]]:
    """Clients that read the value must not get for "on" what means off."""
    if after.on is before.on and after.off is before.off:
        return
    if not same(before.on, before.off) and (same(after.on, after.off) or same(after.on, before.off)):
        yield "values", "on gets the value that means off"


def _parent_losses(before: Flag, after: Flag, old: Ruleset, new: Ruleset) -> Iterator[tuple[str, str]]:
    for parent in after.requires:
        if parent not in old.lineage[before.key] and not is_open(new, parent):
            yield "requires", f"{parent} is added"


def _list_losses(before: Flag, after: Flag) -> Iterator[tuple[str, str]]:
    old, new = before.allow, after.allow
    for kind, gone in (("users", old.users - new.users), ("orgs", old.orgs - new.orgs)):
        if gone:
            yield f"allow.{kind}", f"{len(gone)} removed"
    if after.members is not None and after.members != before.members and after.members.changed.get("removed"):
        yield "allow", f"{after.members.changed['removed']} removed"
    for index, rule in enumerate(old.rules):
        if not any(_is_looser(other, rule) for other in new.rules):
            yield f"allow.rules.{index}", "is removed or stricter"


def _is_looser(new: Rule, old: Rule) -> bool:
    return all(any(_follows(clause, known) for known in old.clauses) for clause in new.clauses)


def _follows(new: Clause, old: Clause) -> bool:
    """Whether the new clause holds wherever the old one does: it is the same, or its operand lets in more."""
    if (new.attribute, new.op, new.kind) != (old.attribute, old.op, old.kind):
        return False
    looser = _LOOSER.get(new.op)
    if looser is not None:
        return looser(new, old)
    left, right = (list(value) if isinstance(value, tuple) else [value] for value in (new.value, old.value))
    return len(left) == len(right) and all(map(same, left, right))


def _limit(clause: Clause) -> Json:
    return COMPARABLE[clause.kind](clause.value)


_LOOSER: Mapping[str, Callable[[Clause, Clause], bool]] = {
    "in": lambda new, old: all(any(same(value, known) for known in new.value) for value in old.value),
    "starts_with": lambda new, old: old.value.startswith(new.value),
    "ends_with": lambda new, old: old.value.endswith(new.value),
    "less": lambda new, old: bool(_limit(new) >= _limit(old)),
    "greater": lambda new, old: bool(_limit(new) <= _limit(old)),
}
"""Operators whose operand can be compared: does the new one let in at least what the old one does?"""


def _share_losses(before: Flag, after: Flag) -> Iterator[tuple[str, str]]:
    if before.steps == 0:
        return
    if after.steps < before.steps:
        yield "percent", "is lower"
    if after.steps == PERCENT_STEPS and after.unit is before.unit:
        return
    for name, old, new in zip(("unit", "salt", "algorithm", "hash_key"), scale(before), scale(after), strict=True):
        if old != new and (old, new) != (Unit.ORG, Unit.ORG_OR_USER):
            yield name, "is different: subjects get other buckets"


def _claim_losses(before: Snapshot, after: Snapshot) -> Iterator[Place]:
    """Judged by name: a claim may come from another source if that gives it to everyone who had it."""
    given = dict(_claims(after))
    for name, source in _claims(before):
        if name not in given or not _covers(given[name], source, before.rules):
            flag = source[0]
            path = f"token.claims.{name}" if flag is None else f"flags.{flag}.claim"
            message = f"claim {name} is dropped, or gets another source or value"
            yield Place("profile" if flag is None else "flag", flag, path, message)


_Source = tuple[str | None, Json]
"""Where a claim comes from: a flag's key, or a value of the profile."""


def _claims(snapshot: Snapshot) -> Iterator[tuple[str, _Source]]:
    yield from ((name, (None, value)) for name, value in snapshot.profile.claims.items())
    yield from ((flag.claim, (key, True)) for key, flag in snapshot.rules.given.items() if flag.claim)


def _covers(new: _Source, old: _Source, before: Ruleset) -> bool:
    """Whether everyone who had the claim from the old source gets it from the new one: admins have every flag."""
    if new[0] == old[0] and canonical(new[1]) == canonical(old[1]):
        return True
    flag = None if old[0] is None else before.flags[old[0]]
    if old[1] == ADMIN_CLAIM or (flag is not None and flag.stage is Stage.ADMIN_ONLY):
        return new[1] is True or new[1] == ADMIN_CLAIM
    return flag is not None and new[0] is None and new[1] is True


def _access_losses(before: Snapshot, after: Snapshot) -> Iterator[Place]:
    old, new = before.profile.access, after.profile.access
    if old is None or old == new:
        return
    if new is None or not (new in before.rules.lineage.get(old, ()) or is_open(after.rules, new)):
        yield Place("profile", None, "access", f"{old} → {new or 'none'}: tokens and entry routes require another flag")
