"""The table port on DynamoDB, with botocore. Timeouts limit each attempt, and a budget limits each read."""

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from headgate.store.port import (
    ConditionFailed,
    Contended,
    InvalidWrite,
    Item,
    Key,
    Page,
    Put,
    Throttled,
    Unavailable,
)  # fmt: skip

THROTTLES = frozenset(
    "ProvisionedThroughputExceededException ThrottlingException RequestLimitExceeded Throttling".split()
    + "ProvisionedThroughputExceeded ThrottlingError".split()  # as cancellation reasons of a transaction
)
INVALID = frozenset(("ValidationError", "ItemCollectionSizeLimitExceeded"))
"""Cancellation reasons that no retry can change, such as an item above 400 KB
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html)."""
REQUEST_PATH = {"connect_timeout": 0.3, "read_timeout": 0.45}
"""Seconds. Two attempts fit into the store budget of 1 s; DynamoDB's own p99 is a tenth of this."""
REQUEST_BUDGET = 1.0
UNREADABLE = (ResponseParserError, AttributeError, KeyError, TypeError, ValueError)
"""What botocore raises on a response that is not DynamoDB's. Some of these are not a `BotoCoreError`."""
AWS_ERRORS = (ClientError, BotoCoreError)
CALL_ERRORS = (*AWS_ERRORS, *UNREADABLE)
NUMBER = re.compile(r"-?[0-9]{1,38}")


def client(service: str, *, connect_timeout: float, read_timeout: float) -> Any:
    """Return a botocore client that does not retry: the caller's budget decides."""
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        tcp_keepalive=True,
        user_agent_extra="headgate",
    )
    return _session().create_client(service, config=config)


@cache
def _session() -> Any:
    """One session for all clients: the second uses what the first has loaded, which saves a cold start 50 ms."""
    return botocore.session.get_session()


class DynamoTable:
    """`budget` is in seconds and limits a read with all its attempts. A write is tried once.

    `home` is by default the table's name.
    """

    def __init__(
        self, name: str, api: Any, *, home: str = "", budget: float = REQUEST_BUDGET,
        clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._name, self._api, self._budget, self._home = name, api, budget, home or name
        self._clock, self._pause = clock, pause

    @property
    def home(self) -> str:
        """See `Table.home`."""
        return self._home

    def get(self, keys: Sequence[Key], *, spent: float = 0.0) -> dict[Key, Item]:
        """See `Table.get`."""
        attempts = _Attempts(self._budget - spent, self._clock, self._pause)
        if spent and self._budget - spent < REQUEST_PATH["read_timeout"]:
            raise Throttled("budget")
        if len(keys) == 1:
            pk, sk = keys[0]
            one = {"Key": _typed({"pk": pk, "sk": sk}), "ConsistentRead": True}
            found = self._read("get_item", attempts, TableName=self._name, **one)
            return {keys[0]: _items([found["Item"]])[0]} if "Item" in found else {}
        wanted = [_typed({"pk": pk, "sk": sk}) for pk, sk in keys]
        items: dict[Key, Item] = {}
        while wanted:
            request = {self._name: {"Keys": wanted, "ConsistentRead": True}}
            found = self._read("batch_get_item", attempts, RequestItems=request)
            for item in _items(_member(found, "Responses").get(self._name, ())):
                items[str(item["pk"]), str(item["sk"])] = item
            wanted = found.get("UnprocessedKeys", {}).get(self._name, {}).get("Keys", [])
            if wanted:  # a throttle under another name
                attempts.another_or(Throttled("UnprocessedKeys"))
        return items

    def query(self, pk: str, *, after: str = "", before: str | None = None, newest_first: bool = False,
              limit: int | None = None) -> Page:  # fmt: skip
        """See `Table.query`."""
        if before is not None and before <= after:  # DynamoDB refuses such a BETWEEN
            return Page((), None)
        values = {":pk": pk, ":after": after or " "} | ({} if before is None else {":before": before})
        condition = "pk = :pk AND " + ("sk > :after" if before is None else "sk BETWEEN :after AND :before")
        request: dict[str, Any] = {
            "TableName": self._name, "KeyConditionExpression": condition, "ConsistentRead": True,
            "ExpressionAttributeValues": _typed(values), "ScanIndexForward": not newest_first,
        }  # fmt: skip
        if limit is not None:
            request["Limit"] = limit + 2  # BETWEEN includes both ends; they are dropped below
        found = self._read("query", **request)
        items = _items(_member(found, "Items"))
        inner = [item for item in items if str(item["sk"]) > after and (before is None or str(item["sk"]) < before)]
        page = inner if limit is None else inner[:limit]
        more = len(inner) > len(page) or "LastEvaluatedKey" in found
        last = str(page[-1]["sk"]) if page else found.get("LastEvaluatedKey", {}).get("sk", {}).get("S")
        return Page(tuple(page), last if more else None)

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        items = [{"Put": {"TableName": self._name, "Item": _typed(put.item), **_condition(put)}} for put in puts]
        try:
            self._api.transact_write_items(TransactItems=items)
        except CALL_ERRORS as error:
            failure = _failure(error)
            raise (InvalidWrite(str(failure)) if str(failure) == "ValidationException" else failure) from None

    def _read(self, operation: str, attempts: "_Attempts | None" = None, **request: Any) -> Any:
        attempts = attempts or _Attempts(self._budget, self._clock, self._pause)
        while True:
            try:
                return getattr(self._api, operation)(**request)
            except CALL_ERRORS as error:
                failure = _failure(error)
            attempts.another_or(failure)


class _Attempts:
    """The attempts of one read, all within its budget."""

    def __init__(self, budget: float, clock: Callable[[], float], pause: Callable[[float], None]) -> None:
        self._deadline, self._clock, self._pause = clock() + budget, clock, pause
        self._count = 0

    def another_or(self, failure: Exception) -> None:
        """Wait before another attempt, with full jitter. Raise the failure if there is no time for one."""
        wait = random.uniform(0, 0.025 * 2**self._count)  # noqa: S311 not a secret
        self._count += 1
        if self._clock() + wait + REQUEST_PATH["read_timeout"] > self._deadline:
            raise failure
        self._pause(wait)


def _member(found: Mapping[str, Any], name: str) -> Any:
    """Return a member that every valid response has. Raises `Unavailable` if it is missing."""
    if name not in found:
        raise Unavailable("unreadable")
    return found[name]


def _items(found: Iterable[Mapping[str, Mapping[str, Any]]]) -> list[Item]:
    try:
        items = [_plain(typed) for typed in found]
    except UNREADABLE:
        raise Unavailable("unreadable") from None
    if not all(isinstance(item.get("pk"), str) and isinstance(item.get("sk"), str) for item in items):
        raise Unavailable("unreadable")
    return items


def as_unavailable(error: Exception) -> Unavailable:
    """Return the failure of a call to any AWS service: the service's code, or botocore's type of error."""
    if isinstance(error, ClientError):
        return Unavailable(str(error.response["Error"]["Code"]))
    return Unavailable(type(error).__name__ if isinstance(error, BotoCoreError) else "unreadable")


def _failure(error: Exception) -> Exception:
    if not isinstance(error, ClientError):
        return as_unavailable(error)
    code = str(error.response["Error"]["Code"])
    if code == "TransactionCanceledException":
        codes = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", ())}
        if "ConditionalCheckFailed" in codes:
            return ConditionFailed()
        if "TransactionConflict" in codes:
            return Contended()
        if codes & INVALID:
            return InvalidWrite(*sorted(codes & INVALID))
        return Throttled(code) if codes & THROTTLES else Unavailable(code)
    if code in ("TransactionConflictException", "TransactionInProgressException"):
        return Contended()
    return Throttled(code) if code in THROTTLES else Unavailable(code)


def _condition(put: Put) -> dict[str, Any]:
    if put.absent:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    if put.equals is not None:
        name, value = put.equals
        return {
            "ConditionExpression": "#name = :value",
            "ExpressionAttributeNames": {"#name": name},
            "ExpressionAttributeValues": _typed({":value": value}),
        }
    if put.expired is not None:
        return {
            "ConditionExpression": "attribute_not_exists(pk) OR expires <= :now",
            "ExpressionAttributeValues": _typed({":now": put.expired}),
        }
    return {}


def _typed(item: Mapping[str, str | int]) -> dict[str, dict[str, str]]:
    return {name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in item.items()}


def _plain(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """Keep strings and whole numbers. We never write attributes of other types."""
    plain: dict[str, str | int] = {}
    for name, typed in item.items():
        if "S" in typed:
            plain[name] = typed["S"]
        elif "N" in typed and NUMBER.fullmatch(typed["N"]):
            plain[name] = int(typed["N"])
    return plain
