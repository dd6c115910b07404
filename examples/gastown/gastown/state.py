"""Stores towns in the worker's own DynamoDB table. It must not know callers or flags.

A method that returns a bool returns False if another request changed or deleted the town: read it and decide again.

  pk                    sk                written by    contains
  TOWN#<id>             TOWN              Town          name, owner, count of rigs, merge strategy, container
  TOWN#<id>             <KIND>#<id>       Thing         a rig, a convoy, a molecule
  TOWN#<id>             AGENT#<id>        Agent         last heartbeat, done; expires 30 days after the last (`expires`)
  MAIL#<town id>        <agent>#<id>      mail          one letter; expires after 7 days (`expires`)
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
"""Maximum towns in a list, which fit Lambda's 6 MB response with room to spare."""
AGENT_LIFE, MAIL_LIFE = 30 * 86_400, 7 * 86_400
"""Seconds until DynamoDB's TTL may delete them."""

_LOST = frozenset({"None", "ConditionalCheckFailed", "TransactionConflict"})
_LOST_ALONE = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})
_EXISTS = "attribute_exists(pk)"


T = TypeVar("T")


class Unavailable(Exception):
    """The store did not answer, refused, or returned an item that this module did not write."""


def dynamodb() -> Any:
    """Return a client with short limits: 0.5 s to connect, 1 s to read, three attempts."""
    config = Config(connect_timeout=0.5, read_timeout=1, retries={"total_max_attempts": 3, "mode": "standard"})
    return botocore.session.get_session().create_client("dynamodb", config=config)


class TownTable:
    """The worker's table. Every method raises `Unavailable`."""

    def __init__(self, name: str, api: Any) -> None:
        self._name, self._api = name, api

    def create(self, town: Town) -> None:
        """Store a new town, and add it to its owner's list."""
        puts = [{"Put": self._of(Item=typed(item))} for item in (town_item(town), index_item(town))]
        self._call("transact_write_items", TransactItems=puts)

    def find(self, town_id: str) -> Town | None:
        """Return the town as it is now."""
        found = self._call("get_item", **self._at(town_id), ConsistentRead=True)
        return _read(town_from, found["Item"]) if "Item" in found else None

    def towns_of(self, owners: Sequence[Owner]) -> list[Town]:
        """Return the owners' towns as created: id, name, owner, creator, and time, without later changes."""
        towns: list[Town] = []
        for owner in owners:
            for item in self._partition(owner_partition(owner)):
                if len(towns) == LISTED_TOWNS:
                    return towns
                towns.append(_read(town_from, item))
        return towns

    def contents(self, town: Town) -> tuple[list[Thing], list[Agent]]:
        """Return everything in the town, and its agents."""
        things, agents = [], []
        for item in self._partition(town_partition(town.id)):
            kind = item["sk"]["S"].partition("#")[0]
            if kind in KINDS:
                things.append(_read(thing_from, item))
            elif kind == AGENT:
                agents.append(_read(agent_from, item))
        return things, agents

    def add_rig(self, town: Town, rig: Thing, *, only_first: bool) -> bool:
        """Store a rig and count it. With `only_first`, only one of two concurrent requests succeeds."""
        condition, values = _EXISTS, {":one": 1}
        if only_first:
            condition, values = f"{_EXISTS} AND rigs = :none", values | {":none": 0}
        count = self._change(town, "ADD rigs :one", condition, values)
        return self._put(town, rig, {"Update": count})

    def add(self, town: Town, thing: Thing) -> bool:
        """Store a convoy or a molecule, if the town still exists."""
        return self._put(town, thing, {"ConditionCheck": self._at(town.id) | {"ConditionExpression": _EXISTS}})

    def choose(self, town: Town, choice: Choice | None) -> bool:
        """Set or unset the merge strategy."""
        if choice is None:
            return self._update(town, "REMOVE strategy, strategy_revision", _EXISTS)
        values = {":strategy": choice.strategy.value, ":revision": choice.revision}
        return self._update(town, "SET strategy = :strategy, strategy_revision = :revision", _EXISTS, values)

    def start_container(self, town: Town, container: Container) -> bool:
        """Record that the container runs, if none does yet."""
        values: dict[str, str | int] = {":id": container.id, ":at": container.started_at}
        free = f"{_EXISTS} AND attribute_not_exists(container_id)"
        return self._update(town, "SET container_id = :id, container_started_at = :at", free, values)

    def stop_container(self, town: Town) -> bool:
        """Record that no container runs."""
        return self._update(town, "REMOVE container_id, container_started_at", _EXISTS)

    def note(self, town: Town, agent: Agent, *, seconds: int) -> Agent:
        """Record news of an agent and return all that is known. Empty members are not changed.

        `seconds` is the current Unix time.
        """
        news = {"last_heartbeat": agent.last_heartbeat, "done_at": agent.done_at}
        values: dict[str, str | int] = {f":{name}": value for name, value in news.items() if value}
        values[":expires"] = seconds + AGENT_LIFE
        change = "SET " + ", ".join(f"{name[1:]} = {name}" for name in values)
        where = self._of(Key=typed(child_key(town.id, AGENT, agent.id)), ReturnValues="ALL_NEW")
        kept = self._call("update_item", **where, UpdateExpression=change, ExpressionAttributeValues=typed(values))
        return _read(_noted, kept)

    def send(self, town: Town, agent: str, letter: dict[str, str | int], *, seconds: int) -> None:
        """Store a letter (`id` and its other members) for an agent."""
        key = {"pk": mail_partition(town.id), "sk": f"{agent}#{letter['id']}"}
        self._call("put_item", **self._of(Item=typed(letter | key | {"expires": seconds + MAIL_LIFE})))

    def delete(self, town: Town) -> bool:
        """Delete the town's contents and then the town, so that an interrupted deletion can be repeated.

        Anything that is added at the same time remains in the table, unreachable.
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
        """A retry finds the thing already stored if an earlier attempt succeeded and its answer was lost."""
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
    """Another request was faster."""


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
        raise Unavailable("a stored item cannot be parsed") from None
