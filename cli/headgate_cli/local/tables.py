"""moto's DynamoDB tables, read and copied at a cost that does not depend on their size.

For each query, moto sorts the whole table and steps through the whole partition: with 20,000 items that takes longer
than a function waits for an answer. Before a transaction, it copies the whole table. Here a partition keeps its sort
keys in order, moto answers a query from the matching items alone, and nothing is copied.
"""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from itertools import islice
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT, Table

Found = tuple[list[Item], int, dict[str, Any] | None]


class Partition(dict[DynamoType, Item]):
    """The items of one partition, by sort key. `order` holds the sort keys in order."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[DynamoType] = []

    def __setitem__(self, key: DynamoType, item: Item) -> None:
        if key not in self:
            insort(self.order, key)
        super().__setitem__(key, item)

    def pop(self, key: DynamoType, *default: Any) -> Any:
        """Remove an item, and return it."""
        if key in self:
            del self.order[bisect_left(self.order, key)]
        return super().pop(key, *default)

    def page(
        self, comparison: str | None, values: list[DynamoType], limit: int | None, start: DynamoType | None, *,
        forward: bool,
    ) -> dict[DynamoType, Item]:  # fmt: skip
        """Return the items that one page of a query can hold, and one more, by which moto sees that it ends."""
        first, last = self._between(comparison, values)
        if forward:
            first = first if start is None else max(first, bisect_right(self.order, start))
            keys = self.order[first : last + 1]
        else:
            last = last if start is None else min(last, bisect_left(self.order, start))
            keys = self.order[max(first - 1, 0) : last][::-1]
        found: dict[DynamoType, Item] = {}
        size = 0
        for key in islice(keys, None if limit is None else limit + 1):
            found[key] = self[key]
            size += found[key].size()
            if size > RESULT_SIZE_LIMIT:
                break
        return found

    def _between(self, comparison: str | None, values: list[DynamoType]) -> tuple[int, int]:
        """Return the places in `order` between which the sort keys match a key condition."""
        order = self.order
        match comparison:
            case "=":
                return bisect_left(order, values[0]), bisect_right(order, values[0])
            case "<" | "<=":
                return 0, (bisect_left if comparison == "<" else bisect_right)(order, values[0])
            case ">" | ">=":
                return (bisect_right if comparison == ">" else bisect_left)(order, values[0]), len(order)
            case "BETWEEN":
                return bisect_left(order, values[0]), bisect_right(order, values[1])
            case "BEGINS_WITH":
                size = len(values[0].value)
                first = bisect_left(order, values[0])
                return first, bisect_right(order, values[0].value, first, key=lambda key: key.value[:size])
        return 0, len(order)


class LeanTable(Table):
    """A table with a sort key, as `lean` makes it."""

    items: defaultdict[DynamoType, Partition]  # type: ignore[assignment]

    def __deepcopy__(self, _memo: Any) -> LeanTable:
        return self

    def query(  # type: ignore[override]
        self, hash_key: DynamoType, comparison: str | None, values: list[DynamoType], limit: int | None,
        start: dict[str, Any] | None, forward: bool, projections: Any, index: str | None = None, *others: Any,
        **named: Any,
    ) -> Found:  # fmt: skip
        """Query one partition; an index is queried by moto alone."""
        part = self
        if index is None:
            place = None if start is None else DynamoType(start[str(self.range_key_attr)])
            partition = self.items.get(hash_key, Partition())
            part = copy.copy(self)
            part.items = {hash_key: partition.page(comparison, values, limit, place, forward=forward)}  # type: ignore[assignment]
        found: Found = Table.query(
            part, hash_key, comparison, values, limit, start, forward, projections, index, *others, **named  # type: ignore[arg-type]
        )  # fmt: skip
        return found


def lean(table: Table) -> Table:
    """Make a table that was just created lean, if it has a sort key."""
    if table.range_key_attr is not None:
        table.__class__ = LeanTable  # type: ignore[type-abstract]
        table.items = defaultdict(Partition)
    return table
