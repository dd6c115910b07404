"""Towns and what is in them, as items of the table and back. It must not know how the table is asked.

Keys are prefixes with the id behind: a kind of owner holds no `#`, so no owner's id can reach into another's list.
"""

from collections.abc import Mapping
from typing import Any

from gastown.towns import Agent, Choice, Container, Kind, Owner, OwnerKind, Strategy, Thing, Town

Item = Mapping[str, Mapping[str, Any]]  # as DynamoDB types it
Plain = dict[str, str | int]

TOWN, AGENT = "TOWN", "AGENT"
KINDS: Mapping[str, Kind] = {kind.value.upper(): kind for kind in Kind}


def town_partition(town_id: str) -> str:
    """Where a town and everything in it lies."""
    return f"TOWN#{town_id}"


def mail_partition(town_id: str) -> str:
    """Where a town's letters lie: apart, so that reading a town does not read them."""
    return f"MAIL#{town_id}"


def owner_partition(owner: Owner) -> str:
    """Where an owner's list of towns lies."""
    return f"OWNER#{owner.kind}#{owner.id}"


def child_key(town_id: str, kind: str, child_id: str) -> Plain:
    """The key of something in a town."""
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
    """A new town: no rig, no strategy, no container yet."""
    return {"pk": town_partition(town.id), "sk": TOWN, "rigs": 0, **_created(town)}


def index_item(town: Town) -> Plain:
    """The town in its owner's list."""
    return {"pk": owner_partition(town.owner), "sk": f"TOWN#{town.id}", **_created(town)}


def thing_item(town: Town, thing: Thing) -> Plain:
    """A rig, a convoy or a molecule."""
    said: Plain = {
        "id": thing.id,
        "name": thing.name,
        "created_by": thing.created_by,
        "created_at": thing.created_at,
    }
    return {**child_key(town.id, thing.kind.value.upper(), thing.id), **said}


def town_from(item: Item) -> Town:
    """Raises KeyError or ValueError for what this module did not write."""
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
    """Raises KeyError for what this module did not write."""
    plain = _plain(item)
    kind = KINDS[str(plain["sk"]).partition("#")[0]]
    texts = {name: str(plain[name]) for name in ("id", "name", "created_by", "created_at")}
    return Thing(kind, **texts)


def agent_from(item: Item) -> Agent:
    """Raises KeyError for what this module did not write."""
    plain = _plain(item)
    agent_id = str(plain["sk"]).partition("#")[2]
    return Agent(agent_id, str(plain.get("last_heartbeat", "")), str(plain.get("done_at", "")))


def typed(plain: Mapping[str, str | int]) -> dict[str, dict[str, str]]:
    """As DynamoDB types it: strings and whole numbers are all there is."""
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in plain.items()}


def _plain(item: Item) -> Plain:
    return {name: int(value["N"]) if "N" in value else str(value["S"]) for name, value in item.items()}
