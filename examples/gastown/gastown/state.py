"""Keeps towns in the worker's own DynamoDB table. It must not know callers or flags.

A method that returns a bool says False when somebody was quicker: the town changed or went. Look again, decide again.

  pk                    sk                written by    holds
  TOWN#<id>             TOWN              Town          name, owner, count of rigs, merge strategy, container
  TOWN#<id>             <KIND>#<id>       Thing         a rig, a convoy, a molecule
  TOWN#<id>             AGENT#<id>        Agent         last heartbeat, done; gone 30 days after the last (`expires`)
  MAIL#<town id>        <agent>#<id>      mail          one letter; gone after 7 days (`expires`)
  OWNER#<kind>#<id>     TOWN#<town id>    Town          the list of an owner's towns
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from gastown.records import (
    AGENT,
    KINDS,
    TOWN,
    agent_from,
    child_key,
    index_item,
    mail_partition,
    owner_partition,
    thing_from,
    thing_item,
    town_from,
    town_item,
    town_partition,
    typed,
)
from gastown.towns import Agent, Choice, Container, Owner, Thing, Town

LISTED_TOWNS = 1_000
"""At most so many towns are listed: what fits an answer of 6 MB with room to spare."""
AGENT_LIFE, MAIL_LIFE = 30 * 86_400, 7 * 86_400
"""Seconds until DynamoDB's TTL may drop them."""

_LOST = frozenset({"None", "ConditionalCheckFailed", "TransactionConflict"})
_LOST_ALONE = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})
_EXISTS = "attribute_exists(pk)"


T = TypeVar("T")


class Unavailable(Exception):
    """The store did not answer, refused, or held what nobody here wrote."""


def dynamodb() -> Any:
    """A client that gives up in time: 0.5 s to connect, 1 s to read, three attempts in all."""
    config = Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 3, "mode": "standard"})
    return botocore.session.get_session().create_client("dynamodb", config=config)


class TownTable:
    """The worker's table. Every method raises `Unavailable`."""

    def __init__(self, name: str, api: Any) -> None:
        self._name, self._api = name, api

    def create(self, town: Town) -> None:
        """Keep a new town, and list it with its owner."""
        puts = [{"Put": self._of(Item=typed(item))} for item in (town_item(town), index_item(town))]
        self._call("transact_write_items", TransactItems=puts)

    def find(self, town_id: str) -> Town | None:
        """The town as it is now."""
        found = self._call("get_item", **self._at(town_id), ConsistentRead=True)
        return _read(town_from, found["Item"]) if "Item" in found else None

    def towns_of(self, owners: Sequence[Owner]) -> list[Town]:
        """Their towns as created: id, name, owner, by whom and when; what changes later is not in the list."""
        towns: list[Town] = []
        for owner in owners:
            for item in self._partition(owner_partition(owner)):
                if len(towns) == LISTED_TOWNS:
                    return towns
                towns.append(_read(town_from, item))
        return towns

    def contents(self, town: Town) -> tuple[list[Thing], list[Agent]]:
        """Everything that the town holds, and its agents."""
        things, agents = [], []
        for item in self._partition(town_partition(town.id)):
            kind = item["sk"]["S"].partition("#")[0]
            if kind in KINDS:
                things.append(_read(thing_from, item))
            elif kind == AGENT:
                agents.append(_read(agent_from, item))
        return things, agents

    def add_rig(self, town: Town, rig: Thing, *, only_first: bool) -> bool:
        """Keep a rig and count it. With `only_first`, of two at once the second finds no empty town."""
        condition, values = _EXISTS, {":one": 1}
        if only_first:
            condition, values = f"{_EXISTS} AND rigs = :none", values | {":none": 0}
        count = self._change(town, "ADD rigs :one", condition, values)
        return self._put(town, rig, {"Update": count})

    def add(self, town: Town, thing: Thing) -> bool:
        """Keep a convoy or a molecule, if the town still stands."""
        return self._put(town, thing, {"ConditionCheck": self._at(town.id) | {"ConditionExpression": _EXISTS}})

    def choose(self, town: Town, choice: Choice | None) -> bool:
        """Set the merge strategy, or unset it."""
        if choice is None:
            return self._update(town, "REMOVE strategy, strategy_revision", _EXISTS)
        values = {":strategy": choice.strategy.value, ":revision": choice.revision}
        return self._update(town, "SET strategy = :strategy, strategy_revision = :revision", _EXISTS, values)

    def start_container(self, town: Town, container: Container) -> bool:
        """Keep that the container runs, if none runs yet."""
        values: dict[str, str | int] = {":id": container.id, ":at": container.started_at}
        free = f"{_EXISTS} AND attribute_not_exists(container_id)"
        return self._update(town, "SET container_id = :id, container_started_at = :at", free, values)

    def stop_container(self, town: Town) -> bool:
        """Keep that no container runs."""
        return self._update(town, "REMOVE container_id, container_started_at", _EXISTS)

    def note(self, town: Town, agent: Agent, *, seconds: int) -> Agent:
        """Keep what is new of an agent and give all that is known; empty members stay as they were.

        `seconds` is now, since the epoch.
        """
        news = {"last_heartbeat": agent.last_heartbeat, "done_at": agent.done_at}
        values: dict[str, str | int] = {f":{name}": value for name, value in news.items() if value}
        values[":expires"] = seconds + AGENT_LIFE
        change = "SET " + ", ".join(f"{name[1:]} = {name}" for name in values)
        where = self._of(Key=typed(child_key(town.id, AGENT, agent.id)), ReturnValues="ALL_NEW")
        kept = self._call("update_item", **where, UpdateExpression=change, ExpressionAttributeValues=typed(values))
        return _read(_noted, kept)

    def send(self, town: Town, agent: str, letter: dict[str, str | int], *, seconds: int) -> None:
        """Keep a letter (`id` and whatever it says) for an agent."""
        key = {"pk": mail_partition(town.id), "sk": f"{agent}#{letter['id']}"}
        self._call("put_item", **self._of(Item=typed(letter | key | {"expires": seconds + MAIL_LIFE})))

    def delete(self, town: Town) -> bool:
        """Delete the town, last of all itself: what breaks off half-way can be deleted again.

        What somebody adds at that very moment stays behind, where nobody reaches it.
        """
        for partition in (mail_partition(town.id), town_partition(town.id)):
            for item in self._partition(partition):
                if item["sk"]["S"] != TOWN:
                    self._call("delete_item", **self._of(Key={name: item[name] for name in ("pk", "sk")}))
        index = index_item(town)
        listed = self._of(Key=typed({"pk": index["pk"], "sk": index["sk"]}))
        return self._transact([{"Delete": listed}, {"Delete": self._at(town.id)}])

    # -- inside

    def _of(self, **members: Any) -> dict[str, Any]:
        return {"TableName": self._name, **members}

    def _at(self, town_id: str) -> dict[str, Any]:
        return self._of(Key=typed({"pk": town_partition(town_id), "sk": TOWN}))

    def _change(self, town: Town, change: str, condition: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
        request = self._at(town.id) | {"UpdateExpression": change, "ConditionExpression": condition}
        return request | {"ExpressionAttributeValues": typed(values)} if values else request

    def _update(self, town: Town, change: str, condition: str, values: dict[str, Any] | None = None) -> bool:
        return self._won("update_item", **self._change(town, change, condition, values))

    def _put(self, town: Town, thing: Thing, beside: dict[str, Any]) -> bool:
        """An attempt whose answer got lost may have been carried out: then the next finds the thing there already."""
        item = typed(thing_item(town, thing))
        put = {"Put": self._of(Item=item, ConditionExpression="attribute_not_exists(pk)")}
        if self._transact([beside, put]):
            return True
        key = {name: item[name] for name in ("pk", "sk")}
        return "Item" in self._call("get_item", **self._of(Key=key, ConsistentRead=True))

    def _transact(self, items: list[dict[str, Any]]) -> bool:
        return self._won("transact_write_items", TransactItems=items)

    def _partition(self, pk: str) -> Iterator[dict[str, Any]]:
        request = self._of(
            KeyConditionExpression="pk = :pk", ExpressionAttributeValues=typed({":pk": pk}), ConsistentRead=True
        )
        while True:
            page = self._call("query", **request)
            yield from _read(_items, page)
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _won(self, operation: str, **request: Any) -> bool:
        try:
            self._call(operation, **request)
        except _Lost:
            return False
        return True

    def _call(self, operation: str, **request: Any) -> Any:
        try:
            return getattr(self._api, operation)(**request)
        except ClientError as error:
            raise _failure(error) from None
        except BotoCoreError as error:
            raise Unavailable(type(error).__name__) from None


class _Lost(Unavailable):
    """Somebody was quicker."""


def _failure(error: ClientError) -> Unavailable:
    code = error.response["Error"]["Code"]
    if code == "TransactionCanceledException":
        reasons = {reason.get("Code", "") for reason in error.response.get("CancellationReasons", ())}
        return _Lost(code) if reasons and reasons <= _LOST else Unavailable(code)
    return _Lost(code) if code in _LOST_ALONE else Unavailable(code)


def _items(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = page["Items"]
    return items


def _noted(answer: Mapping[str, Any]) -> Agent:
    return agent_from(answer["Attributes"])


def _read(decode: Callable[[Any], T], item: Any) -> T:
    try:
        return decode(item)
    except (KeyError, ValueError):
        raise Unavailable("a stored item does not parse") from None
