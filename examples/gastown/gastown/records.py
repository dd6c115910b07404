"""Converts towns and their contents to items of the table and back. It must not know how the table is queried.

A key is a prefix and then the id. The prefix of an owner's list contains no other `#`, so no owner's id can reach
another's list.
"""

from collections.abc import Mapping
from typing import Any

from gastown.towns import Agent, Choice, Container, Kind, Owner, OwnerKind, Strategy, Thing, Town

Item = Mapping[str, Mapping[str, Any]]  # with DynamoDB's types
Plain = dict[str, str | int]

TOWN, AGENT = "TOWN", "AGENT"
KINDS: Mapping[str, Kind] = {kind.value.upper(): kind for kind in Kind}


def town_partition(town_id: str) -> str:
    """Return the partition of a town and everything in it."""
    return f"TOWN#{town_id}"


def mail_partition(town_id: str) -> str:
    """Return the partition of a town's letters, a separate one, so that reading a town does not read them."""
    return f"MAIL#{town_id}"


def owner_partition(owner: Owner) -> str:
    """Return the partition of an owner's list of towns."""
    return f"OWNER#{owner.kind}#{owner.id}"


def child_key(town_id: str, kind: str, child_id: str) -> Plain:
    """Return the key of something in a town."""
    return {"pk": town_partition(town_id), "sk": f"{kind}#{child_id}"}


def _created(town: Town) -> Plain:
    return {
        "id": town.id,
        "name": town.name,
        "owner_kind": town.owner.kind.value,
        "owner": town.owner.id,
        "created_by": town.created_by,
        "created_at": town.created_at,
    }


def town_item(town: Town) -> Plain:
    """Return the item of a new town, with no rig, strategy, or container."""
    return {"pk": town_partition(town.id), "sk": TOWN, "rigs": 0, **_created(town)}


def index_item(town: Town) -> Plain:
    """Return the town's item in its owner's list."""
    return {"pk": owner_partition(town.owner), "sk": f"TOWN#{town.id}", **_created(town)}


def thing_item(town: Town, thing: Thing) -> Plain:
    """Return the item of a rig, a convoy, or a molecule."""
    members: Plain = {
        "id": thing.id,
        "name": thing.name,
        "created_by": thing.created_by,
        "created_at": thing.created_at,
    }
    return {**child_key(town.id, thing.kind.value.upper(), thing.id), **members}


def town_from(item: Item) -> Town:
    """Read a town. Raises KeyError or ValueError if this module did not write the item."""
    plain = _plain(item)
    choice = container = None
    if "strategy" in plain:
        choice = Choice(Strategy(str(plain["strategy"])), int(plain["strategy_revision"]))
    if "container_id" in plain:
        container = Container(str(plain["container_id"]), str(plain["container_started_at"]))
    return Town(
        id=str(plain["id"]),
        name=str(plain["name"]),
        owner=Owner(OwnerKind(str(plain["owner_kind"])), str(plain["owner"])),
        created_by=str(plain["created_by"]),
        created_at=str(plain["created_at"]),
        rigs=int(plain.get("rigs", 0)),
        choice=choice,
        container=container,
    )


def thing_from(item: Item) -> Thing:
    """Read a thing. Raises KeyError if this module did not write the item."""
    plain = _plain(item)
    kind = KINDS[str(plain["sk"]).partition("#")[0]]
    texts = {name: str(plain[name]) for name in ("id", "name", "created_by", "created_at")}
    return Thing(kind, **texts)


def agent_from(item: Item) -> Agent:
    """Read an agent. Raises KeyError if this module did not write the item."""
    plain = _plain(item)
    agent_id = str(plain["sk"]).partition("#")[2]
    return Agent(agent_id, str(plain.get("last_heartbeat", "")), str(plain.get("done_at", "")))


def typed(plain: Mapping[str, str | int]) -> dict[str, dict[str, str]]:
    """Return an item with DynamoDB's types; all values are strings or integers."""
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in plain.items()}


def _plain(item: Item) -> Plain:
    return {name: int(value["N"]) if "N" in value else str(value["S"]) for name, value in item.items()}
