"""Counts what the functions' own AWS clients use, as AWS bills it.

A strongly consistent read takes one unit for each 4 KB of an item, a query one for each 4 KB of all its items, at least
one each; a write in a transaction takes two for each 1 KB
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html). Item sizes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headgate.store import dynamo

TypedItem = Mapping[str, Mapping[str, str]]
READ, WRITE = 4_096, 1_024
"""Bytes of one unit."""


@dataclass
class Meter:
    """Calls to DynamoDB, read and write units, signatures, and all calls to KMS, since `reset`."""

    calls: int = 0
    reads: int = 0
    writes: int = 0
    signs: int = 0
    key_calls: int = 0

    def reset(self) -> None:
        """Count from zero."""
        self.calls = self.reads = self.writes = self.signs = self.key_calls = 0

    def sent(self, params: Mapping[str, Any], model: Any, **_rest: Any) -> None:
        """One call is about to be sent."""
        match model.name:
            case "TransactWriteItems":
                self.writes += transaction_units([one["Put"]["Item"] for one in params["TransactItems"]])
            case "BatchGetItem":  # a key without an item takes one unit, too; `answered` adds the rest
                self.reads += sum(len(one["Keys"]) for one in params["RequestItems"].values())
            case "Sign":
                self.signs += 1
        is_kms = model.service_model.service_name == "kms"
        self.key_calls += is_kms
        self.calls += not is_kms

    def answered(self, parsed: Mapping[str, Any], model: Any, **_rest: Any) -> None:
        """One call was answered."""
        match model.name:
            case "GetItem":
                self.reads += read_units([parsed["Item"]] if "Item" in parsed else [])
            case "BatchGetItem":
                found = [item for items in parsed["Responses"].values() for item in items]
                self.reads += sum(read_units([item]) - 1 for item in found)
            case "Query":
                self.reads += read_units(parsed["Items"])


@contextmanager
def metering() -> Iterator[Meter]:
    """Count the calls of clients that are created from now on."""
    meter, session = Meter(), dynamo._session()
    hooks = [(f"{event}.{service}", hook) for service in ("dynamodb", "kms")
             for event, hook in (("before-parameter-build", meter.sent), ("after-call", meter.answered))]  # fmt: skip
    for event, hook in hooks:
        session.register(event, hook)
    try:
        yield meter
    finally:
        for event, hook in hooks:
            session.unregister(event, hook)


def read_units(items: Sequence[TypedItem]) -> int:
    """The units of one strongly consistent read that returns these items."""
    return max(1, -(-sum(map(size, items)) // READ))


def transaction_units(items: Sequence[TypedItem]) -> int:
    """The units of one transaction that writes these items."""
    return sum(2 * max(1, -(-size(item) // WRITE)) for item in items)


def size(item: TypedItem) -> int:
    """The bytes of an item: its names and values. A number takes one byte for two digits, and one more."""
    return sum(
        len(name.encode()) + (len(typed["S"].encode()) if "S" in typed else len(typed["N"]) // 2 + 2)
        for name, typed in item.items()
    )
