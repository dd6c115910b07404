"""What a town is, and what its rules say of a caller. Pure: no clock, no store, no event.

The gate decided already whether the route is open to the caller. What is left is what only the service knows: whose a
town is, how many rigs it has, whether its container runs. `Caller.allows` answers the flags that the route asks about.
"""

from dataclasses import dataclass
from enum import StrEnum

from headgate.sdk.caller import SESSION, Caller

ACCESS, MULTI_RIG, PR_MERGE = "gastown-access", "gastown-multi-rig", "gastown-pr-merge"


class OwnerKind(StrEnum):
    """A town belongs to its creator or to an org. The two never mix."""

    USER = "user"
    ORG = "org"


class Strategy(StrEnum):
    """How finished work is merged."""

    DIRECT = "direct"
    PR = "pr"


class Kind(StrEnum):
    """What a town holds."""

    RIG = "rig"
    CONVOY = "convoy"
    MOLECULE = "molecule"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a town is."""

    kind: OwnerKind
    id: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A merge strategy as it was set, and the gate's revision at which that was allowed."""

    strategy: Strategy
    revision: int


@dataclass(frozen=True, slots=True)
class Container:
    """A running container. `started_at` is RFC 3339."""

    id: str
    started_at: str


@dataclass(frozen=True, slots=True)
class Town:
    """A town. `rigs` counts them; a container that does not run is None."""

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
    """A rig, a convoy or a molecule. `created_by` is a user's id, or an agent's for a convoy that an agent began."""

    kind: Kind
    id: str
    name: str
    created_by: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Agent:
    """What is known of an agent: when it last spoke and when it said that it was done (RFC 3339, or empty)."""

    id: str
    last_heartbeat: str = ""
    done_at: str = ""


def owners(caller: Caller) -> tuple[Owner, ...]:
    """Everybody in whose name the caller may act: the user and each of the user's orgs."""
    return (Owner(OwnerKind.USER, caller.subject), *(Owner(OwnerKind.ORG, org) for org in caller.orgs))


def is_theirs(caller: Caller, owner: Owner) -> bool:
    """Ids are compared byte for byte, and an org's id is never a user's."""
    return owner in owners(caller)


def speaks_for(caller: Caller, town: Town) -> bool:
    """Whether this is a machine of that very town: one town's agent has no business in the next."""
    return caller.credential == SESSION and caller.session == f"town:{town.id}"


def may_add_rig(caller: Caller, town: Town) -> bool:
    """The first rig is anybody's who came in; from the second on the flag must be on."""
    return town.rigs == 0 or caller.allows(MULTI_RIG)


def may_start_container(caller: Caller) -> bool:
    """Waking a container widens use, on whatever route it happens."""
    return caller.allows(ACCESS)


def may_choose(caller: Caller, strategy: Strategy) -> bool:
    """Everybody may go back to `direct`."""
    return strategy is Strategy.DIRECT or caller.allows(PR_MERGE)


def strategy_for(caller: Caller, town: Town) -> Strategy:
    """The effective strategy: `pr` only if it was set and this request shows the flag to be on, else `direct`.

    A route that asks knows it live. A route that only reads asks nothing (reading costs no live decision), so it goes
    by what it has: no rule has changed since the choice was allowed, or the token was made with the flag on. Whoever
    acts on the strategy must ask.
    """
    if town.choice is None or town.choice.strategy is Strategy.DIRECT:
        return Strategy.DIRECT
    if PR_MERGE in caller.asks:
        shown = caller.allows(PR_MERGE)
    else:
        shown = caller.revision <= town.choice.revision or PR_MERGE in caller.entitlements
    return Strategy.PR if shown else Strategy.DIRECT
