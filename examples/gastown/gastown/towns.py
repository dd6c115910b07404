"""What a town is, and what its rules allow a caller. Pure: no clock, no store, no event.

The gate has already decided whether the caller may use the route. What remains is what only the service knows: who
owns a town, how many rigs it has, and whether its container runs. `Caller.allows` reads the flags that the route asks
about.
"""

from dataclasses import dataclass
from enum import StrEnum

from headgate.sdk.caller import SESSION, Caller

ACCESS, MULTI_RIG, PR_MERGE = "gastown-access", "gastown-multi-rig", "gastown-pr-merge"


class OwnerKind(StrEnum):
    """What owns a town: its creator or an org."""

    USER = "user"
    ORG = "org"


class Strategy(StrEnum):
    """How finished work is merged."""

    DIRECT = "direct"
    PR = "pr"


class Kind(StrEnum):
    """What a town contains."""

    RIG = "rig"
    CONVOY = "convoy"
    MOLECULE = "molecule"


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a town."""

    kind: OwnerKind
    id: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A merge strategy that was set, and the gate's revision that allowed it."""

    strategy: Strategy
    revision: int


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. `started_at` is RFC 3339."""

    id: str
    started_at: str


@dataclass(frozen=True, slots=True)
class Town:
    """A town. `rigs` is their number. `container` is None if it is stopped."""

    id: str
    name: str
    owner: Owner
    created_by: str
    created_at: str
    rigs: int = 0
    choice: Choice | None = None
    container: Container | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    """A rig, a convoy, or a molecule. `created_by` is a user's id, or an agent's for a convoy that an agent started."""

    kind: Kind
    id: str
    name: str
    created_by: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent: when it sent its last heartbeat and when it reported that it was done (RFC 3339, or empty)."""

    id: str
    last_heartbeat: str = ""
    done_at: str = ""


def owners(caller: Caller) -> tuple[Owner, ...]:
    """Return the owners that the caller may act for: the user and each of the user's orgs."""
    return (Owner(OwnerKind.USER, caller.subject), *(Owner(OwnerKind.ORG, org) for org in caller.orgs))


def is_theirs(caller: Caller, owner: Owner) -> bool:
    """Whether the owner is the caller or one of their orgs. Ids are compared byte for byte."""
    return owner in owners(caller)


def speaks_for(caller: Caller, town: Town) -> bool:
    """Whether the caller is a machine of this town. One town's agent may not act in another."""
    return caller.credential == SESSION and caller.session == f"town:{town.id}"


def is_open_to(caller: Caller, org: str) -> bool:
    """Whether the caller may use Gastown for this org. If the path did not name it, the gate decided for any."""
    return caller.org_flags is None or caller.allows(ACCESS, org)


def allows(caller: Caller, flag: str, town: Town) -> bool:
    """Whether a flag that the route asks about is on, in an org's town for that org."""
    return caller.allows(flag, town.owner.id if town.owner.kind is OwnerKind.ORG else None)


def may_add_rig(caller: Caller, town: Town) -> bool:
    """Whether the caller may add a rig. Only the first one requires no flag."""
    return town.rigs == 0 or allows(caller, MULTI_RIG, town)


def may_start_container(caller: Caller, town: Town) -> bool:
    """Whether the caller may start a container, which is new use on any route."""
    return allows(caller, ACCESS, town)


def may_choose(caller: Caller, strategy: Strategy, town: Town) -> bool:
    """Whether the caller may choose this strategy. `direct` requires no flag."""
    return strategy is Strategy.DIRECT or allows(caller, PR_MERGE, town)


def strategy_for(caller: Caller, town: Town) -> Strategy:
    """Return the effective strategy: `pr` only if it was set and this request shows that the flag is on, else `direct`.

    A route that asks has the live value. A route that only reads does not ask, so that it needs no live decision: the
    flag then counts as on if no rule has changed since the choice was allowed, or if the token was issued with the flag
    on. A route that acts on the strategy must ask.
    """
    if town.choice is None or town.choice.strategy is Strategy.DIRECT:
        return Strategy.DIRECT
    if PR_MERGE in caller.asks:
        shown = allows(caller, PR_MERGE, town)
    else:
        shown = caller.revision <= town.choice.revision or PR_MERGE in caller.entitlements
    return Strategy.PR if shown else Strategy.DIRECT
