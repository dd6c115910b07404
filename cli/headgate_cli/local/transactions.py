"""moto's DynamoDB with transactions whose cost does not depend on the table's size.

Before a transaction, moto copies the whole table once per item of the transaction: 97 items on a table of 2,000 take
2 s, too long for a list of thousands. Here only the named items are copied, and restored if the transaction fails.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

from headgate_cli.local.tables import lean

MAX_PARSED = 1_000
"""Conditions that are kept as parsed."""


class Transactions(DynamoDBBackend):
    """The backend of one region."""

    __module__ = DynamoDBBackend.__module__  # moto finds a backend's URLs by its module

    def create_table(self, *args: Any, **options: Any) -> Table:
        """Create a table."""
        return lean(super().create_table(*args, **options))

    def transact_write_items(self, transact_items: list[dict[str, Any]]) -> None:
        """Apply a transaction completely, or not at all."""
        kept = list(self._kept(transact_items))
        try:
            super().transact_write_items(transact_items)
        except Exception:
            for table, key, item in kept:
                _put_back(table, key, item)
            raise

    def _kept(
        self, transact_items: list[dict[str, Any]]
    ) -> Iterator[tuple[Table, tuple[DynamoType, ...], Item | None]]:
        for operation in (one for item in transact_items for one in item.values()):
            table = self.tables.get(operation.get("TableName"))
            attributes = operation.get("Key") or operation.get("Item") or {}
            if table is None:
                continue
            names = [name for name in (table.hash_key_attr, table.range_key_attr) if name is not None]
            if all(name in attributes for name in names):
                key = tuple(DynamoType(attributes[name]) for name in names)
                yield table, key, copy.deepcopy(table.get_item(key[0], key[1] if len(key) > 1 else None))


def _put_back(table: Table, key: tuple[DynamoType, ...], item: Item | None) -> None:
    place: Any = table.items if len(key) == 1 else table.items[key[0]]
    if item is None:
        place.pop(key[-1], None)
    else:
        place[key[-1]] = item


_parse = ConditionExpressionParser.parse
_PARSED: dict[str, tuple[Any, list[str], list[str]]] = {}


def parse_condition(parser: ConditionExpressionParser) -> Any:
    """Parse a condition, or return it as parsed before: moto parses each one three times, half of a transaction."""
    text = repr((parser.condition_expression, parser.expression_attribute_names, parser.expression_attribute_values))
    if text not in _PARSED:
        if len(_PARSED) == MAX_PARSED:
            _PARSED.clear()
        _PARSED[text] = _parse(parser), parser.expr_attr_names_found, parser.expr_attr_values_found
    condition, names, values = _PARSED[text]
    parser.expr_attr_names_found, parser.expr_attr_values_found = [*names], [*values]
    return condition


def serve_lean_transactions() -> None:
    """Use these transactions in every backend created from now on."""
    dynamodb_backends.backend = Transactions
    ConditionExpressionParser.parse = parse_condition  # type: ignore[assignment]
