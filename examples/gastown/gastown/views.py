"""What a caller sees of a town. Decides nothing: `towns.strategy_for` decides the effective strategy."""

from collections.abc import Iterable
from typing import Any

from gastown.towns import Agent, Kind, Thing, Town, strategy_for
from headgate.sdk.caller import Caller


def town_view(town: Town, caller: Caller) -> dict[str, Any]:
    """Return the town. `merge_strategy` is the effective one; `merge_strategy_set` is the one that was set, or null."""
    return listed_view(town) | {
        "rig_count": town.rigs,
        "merge_strategy": strategy_for(caller, town).value,
        "merge_strategy_set": town.choice.strategy.value if town.choice else None,
        "container": container_view(town),
    }


def listed_view(town: Town) -> dict[str, Any]:
    """Return the town as lists show it: members that never change."""
    return {
        "id": town.id,
        "name": town.name,
        "owner": {town.owner.kind.value: town.owner.id},
        "created_by": town.created_by,
        "created_at": town.created_at,
    }


def container_view(town: Town) -> dict[str, Any]:
    """Return the town's container, running or stopped."""
    if town.container is None:
        return {"town": town.id, "state": "stopped"}
    return {
        "town": town.id,
        "state": "running",
        "id": town.container.id,
        "started_at": town.container.started_at,
    }


def thing_view(town: Town, thing: Thing) -> dict[str, Any]:
    """Return a rig, a convoy, or a molecule."""
    return {
        "id": thing.id,
        "town": town.id,
        "name": thing.name,
        "created_by": thing.created_by,
        "created_at": thing.created_at,
    }


def status_view(town: Town, caller: Caller, things: Iterable[Thing], agents: Iterable[Agent]) -> dict[str, Any]:
    """Return the town with everything in it."""
    held: dict[Kind, list[dict[str, Any]]] = {kind: [] for kind in Kind}
    for thing in things:
        held[thing.kind].append(thing_view(town, thing))
    return town_view(town, caller) | {
        "rigs": held[Kind.RIG],
        "convoys": held[Kind.CONVOY],
        "molecules": held[Kind.MOLECULE],
        "agents": [agent_view(agent) for agent in agents],
    }


def agent_view(agent: Agent) -> dict[str, Any]:
    """Return an agent. `last_heartbeat` and `done_at` are null if it never sent them."""
    return {"id": agent.id, "last_heartbeat": agent.last_heartbeat or None, "done_at": agent.done_at or None}
