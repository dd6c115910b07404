"""What a change of route policies takes away and what it opens (design.md §11, "Shrink" and "Opening").

A policy is compared with the one that is in force without it, which is `entry`, so that a removal and a new listing add
up. A route opens if its class admits another credential, or if a flag is no longer required. Taking a flag away counts
even if another flag requires it: that can be dropped later, and then nothing would ask.
"""

from collections.abc import Iterator

from headgate.core.changes.refusal import Place
from headgate.core.model import RouteClass, RoutePolicy, Stage
from headgate.core.routes import PASSES, Pass, RouteTable, live_flags
from headgate.core.ruleset import Ruleset
from headgate.core.snapshot import Snapshot

ANYONE = "anyone"
"""The credential of a caller that has none. Only class `open` admits it."""


def is_open(rules: Ruleset, key: str) -> bool:
    """Whether the flag is on for everybody, now: at `ga`, not killed, and all of its ancestors too."""
    found = (rules.flags.get(one) for one in (key, *rules.lineage.get(key, ())))
    return all(flag is not None and flag.stage is Stage.GA and flag.killed is None for flag in found)


def _pairs(before: RouteTable, after: RouteTable) -> Iterator[tuple[RoutePolicy, RoutePolicy]]:
    """Yield each policy that differs, with what it is afterwards. A route that is not listed is `entry`.

    A service's first policies replace nothing.
    """
    if before.version == 0:
        return
    for old, new in ((before.routes, after.routes), (before.procedures, after.procedures)):
        for name in {**old, **new}:
            pair = old.get(name) or RoutePolicy(name), new.get(name) or RoutePolicy(name)
            if pair[0] != pair[1]:
                yield pair


def _admitted(policy: RoutePolicy) -> frozenset[str]:
    """The credentials that the policy's class admits."""
    return PASSES[policy.route_class] | ({ANYONE} if policy.route_class is RouteClass.OPEN else frozenset())


def _decides_flags(policy: RoutePolicy) -> bool:
    """Whether the policy's flags keep anybody out: they are on for every admin."""
    return _admitted(policy) != {Pass.ADMIN}


def _required(policy: RoutePolicy, snapshot: Snapshot, other: Snapshot) -> frozenset[str]:
    """The flags that must be on. The first access flag that is set changes no route."""
    return frozenset(live_flags(policy, snapshot.profile.access or other.profile.access))


def route_losses(before: Snapshot, after: Snapshot) -> Iterator[Place]:
    """Yield every place where a route would refuse what it admitted, or would stop asking."""
    for old, new in _pairs(before.routes, after.routes):
        if _admitted(old) - _admitted(new):
            yield _route(new, "class", f"{old.route_class} → {new.route_class}")
        needed = _required(old, before, after)
        known = needed.union(*(before.rules.lineage.get(key, ()) for key in needed))
        added = sorted(_required(new, after, before) - known) if _decides_flags(old) and _decides_flags(new) else ()
        for key in added:
            if not is_open(after.rules, key):
                yield _route(new, "flags", f"{key or 'an access flag'} is added")
        for key in old.asks:
            if key not in new.asks:
                yield _route(new, "asks", f"{key} is removed")


def _route(policy: RoutePolicy, member: str, message: str) -> Place:
    return Place("routes", policy.name, f"routes.{policy.name}.{member}", message)


def openings(before: Snapshot, after: Snapshot) -> tuple[Place, ...]:
    """Return one place for each route that opens; none if no route does."""
    return tuple(_openings(before, after))


def _openings(before: Snapshot, after: Snapshot) -> Iterator[Place]:
    for old, new in _pairs(before.routes, after.routes):
        what = []
        if _admitted(new) - _admitted(old):
            what.append(f"{old.route_class} → {new.route_class}")
        taken = _taken(old, new, before, after) if _decides_flags(new) else []
        what += [f"{key} is no longer required" for key in taken]
        if what:
            yield Place("routes", new.name, f"routes.{new.name}", "; ".join(what))


def _taken(old: RoutePolicy, new: RoutePolicy, before: Snapshot, after: Snapshot) -> list[str]:
    """The flags that are no longer required. The access flag may be replaced by a flag that requires it."""
    needed = _required(new, after, before)
    known = needed.union(*(after.rules.lineage.get(key, ()) for key in needed))
    gone = _required(old, before, after) - needed
    return sorted(key for key in gone if key in old.flags or key not in known)
