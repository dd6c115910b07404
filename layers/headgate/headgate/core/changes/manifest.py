"""The manifest: flags, route policies, and token profile in one document, compared with the rules in force.

A member that the manifest omits from a flag keeps its live value, so applying a manifest again does not undo what
operators have changed since. A flag that it omits stays, unless pruning is requested.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from headgate.core import limits
from headgate.core.changes.flag import check_claims, check_kill_stays, check_parents, kept
from headgate.core.changes.refusal import Place
from headgate.core.changes.routes import openings
from headgate.core.changes.shrink import losses
from headgate.core.documents import Invalid, Reader, canonical, is_key, refuse
from headgate.core.flag import OWN_MEMBERS, flag_document, parse_flag, salt_for
from headgate.core.model import Flag, Json, Profile
from headgate.core.profile import check_told, parse_profile, profile_document
from headgate.core.routes import RouteTable, parse_routes, routes_document
from headgate.core.ruleset import ruleset
from headgate.core.snapshot import Snapshot

PROFILE_MEMBERS = ("access", "max_stale", "token")
MANIFEST_MEMBERS = (*PROFILE_MEMBERS, "flags", "routes")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the document asks for. A part that it does not name is None and stays unchanged."""

    flags: tuple[dict[str, Any], ...] | None
    routes: RouteTable | None
    profile: Profile | None


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One change that applying would make. `target` is `flag`, `routes`, or `profile`.

    `losses` and `openings` are the places where all steps together take access away or open a route, in this one.
    """

    target: str
    action: str
    key: str | None
    before: Any
    after: Any
    losses: tuple[Place, ...] = ()
    openings: tuple[Place, ...] = ()

    @property
    def shrinks(self) -> bool:
        """Whether it takes access away."""
        return bool(self.losses)

    @property
    def opens(self) -> bool:
        """Whether it opens a route."""
        return bool(self.openings)

    @property
    def summary(self) -> dict[str, Any]:
        """The step as apply reports it."""
        return {"target": self.target, "action": self.action, "flag": self.key, "shrinks": self.shrinks}


def parse_manifest(document: Json) -> Manifest:
    """Read a manifest. `plan_manifest` checks its flags against those in force. Raises `Invalid` with every fault."""
    read = Reader(document, known=MANIFEST_MEMBERS)
    routes, profile = None, None
    try:
        if "routes" in read.members:
            routes = parse_routes(read.members["routes"])
    except Invalid as fault:
        read.faults.extend(fault.faults)
    try:
        if any(name in read.members for name in PROFILE_MEMBERS):
            profile = parse_profile({name: read.members[name] for name in PROFILE_MEMBERS if name in read.members})
    except Invalid as fault:
        read.faults.extend(fault.faults)
    flags = read.objects("flags", limits.MAX_FLAGS)
    keys = [item.get("key") if isinstance(item, dict) else None for item in flags]
    for index, key in enumerate(keys):
        if not isinstance(key, str) or not is_key(key):
            read.fault(f"flags.{index}.key", "must match ^[a-z0-9][a-z0-9._-]{0,63}$")
        elif key in keys[:index]:
            read.fault(f"flags.{index}.key", "is listed twice")
    read.check()
    return Manifest(tuple(flags) if "flags" in read.members else None, routes, profile)


def plan_manifest(
    manifest: Manifest, snapshot: Snapshot, *, new_salt: Callable[[], str], prune: bool
) -> list[PlanStep]:
    """Return the changes in the order of applying: parents before children, profile, routes, deletions.

    `new_salt` makes the salt of a new flag that names none. Raises `Invalid` with every fault, and `Refusal` if the
    changes would end the kill of the access flag.
    """
    live = snapshot.rules.given
    wanted = _wanted_flags(manifest, snapshot, new_salt)
    flags = wanted if _prunes(manifest, prune) else {**live, **wanted}
    if len(flags) > max(limits.MAX_FLAGS, len(live)):
        refuse("flags", f"would make more than {limits.MAX_FLAGS} flags")
    places = {key: f"flags.{index}." for index, key in enumerate(wanted)}
    check_parents(live, wanted, flags, places)
    profile, routes = manifest.profile or snapshot.profile, manifest.routes or snapshot.routes
    check_claims(profile, flags, places if manifest.profile is None else {**places, "": ""})
    check_told(profile, flags, routes)
    steps = [*_flag_steps(wanted, snapshot)]
    documents = profile_document(snapshot.profile), profile_document(profile)
    if _differs(*documents):
        steps.append(PlanStep("profile", "replace", None, *documents))
    listed = {"routes": routes_document(snapshot.routes)}, {"routes": routes_document(routes)}
    if _differs(*listed):
        steps.append(PlanStep("routes", "replace", None, *listed))
    steps.extend(PlanStep("flag", "delete", key, flag, None) for key, flag in live.items() if key not in flags)
    after = outcome(snapshot, steps)
    check_kill_stays(snapshot, after)
    return _judged(steps, losses(snapshot, after), openings(snapshot, after))


def _judged(steps: Iterable[PlanStep], lost: Iterable[Place], opened: Iterable[Place]) -> list[PlanStep]:
    """Return the steps, each with its places."""

    def of(step: PlanStep, places: Iterable[Place]) -> tuple[Place, ...]:
        return tuple(one for one in places if one.target == step.target and (step.key is None or one.key == step.key))

    return [replace(step, losses=of(step, lost), openings=of(step, opened)) for step in steps]


def outcome(snapshot: Snapshot, steps: Iterable[PlanStep]) -> Snapshot:
    """Return the rules after the steps. Kills and long lists stay."""
    flags = dict(snapshot.rules.given)
    routes, profile = snapshot.routes, snapshot.profile
    for step in steps:
        if step.target == "routes":
            routes = parse_routes(step.after["routes"])
        elif step.target == "profile":
            profile = parse_profile(step.after)
        elif step.after is None:
            flags.pop(step.before.key, None)
        else:
            flags[step.after.key] = kept(step.before, step.after)
    rules = ruleset(flags, snapshot.revision, snapshot.rules)
    return replace(snapshot, rules=rules, routes=routes, profile=profile)


def _prunes(manifest: Manifest, prune: bool) -> bool:
    """A manifest without `flags` deletes no flag."""
    return prune and manifest.flags is not None


def _differs(left: Any, right: Any) -> bool:
    """Compare as JSON: Python treats 1 and true as equal."""
    return canonical(left) != canonical(right)


def _wanted_flags(manifest: Manifest, snapshot: Snapshot, new_salt: Callable[[], str]) -> dict[str, Flag]:
    wanted: dict[str, Flag] = {}
    faults: list[tuple[str, str]] = []
    for index, document in enumerate(manifest.flags or ()):
        live = snapshot.rules.given.get(document["key"])
        held = _own(live) if live is not None and not live.quarantined else {}
        try:
            wanted[document["key"]] = parse_flag(
                {**held, **document}, salt=salt_for(document, live, new_salt), path=f"flags.{index}"
            )
        except Invalid as fault:
            faults.extend(fault.faults)
    if faults:
        raise Invalid(faults)
    return wanted


def _own(flag: Flag) -> dict[str, Any]:
    return {name: value for name, value in flag_document(flag).items() if name in OWN_MEMBERS}


def _flag_steps(wanted: dict[str, Flag], snapshot: Snapshot) -> Iterator[PlanStep]:
    for key in _parents_first(wanted):
        flag, live = wanted[key], snapshot.rules.given.get(key)
        if live is None:
            yield PlanStep("flag", "create", key, None, flag)
        elif live.quarantined or _differs(_own(live), _own(flag)):
            yield PlanStep("flag", "replace", key, live, flag)


def _parents_first(flags: dict[str, Flag]) -> list[str]:
    ordered: dict[str, None] = {}

    def visit(key: str) -> None:
        if key in flags and key not in ordered:
            for parent in flags[key].requires:
                visit(parent)
            ordered[key] = None

    for key in flags:
        visit(key)
    return list(ordered)


def manifest_document(snapshot: Snapshot) -> dict[str, Any]:
    """Return the rules in force as a manifest. Flags whose record cannot be read are left out."""
    return {
        **profile_document(snapshot.profile),
        "flags": [_own(flag) for _key, flag in sorted(snapshot.rules.given.items()) if not flag.quarantined],
        "routes": routes_document(snapshot.routes),
    }
