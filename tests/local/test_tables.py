"""The laptop's queries match moto's, and cost what they answer, however large the table is."""

import itertools
import sys
from random import Random
from typing import Any

import pytest
from moto.dynamodb.models import DynamoDBBackend
from test_transactions import backend

from headgate_cli.local.transactions import Transactions

COMPARISONS = (None, "=", "<", "<=", ">", ">=", "BETWEEN", "BEGINS_WITH")
TEXTS = ("a", "aa", "ab", "b", "ba", "é", "\U0001f600", "￿")


def change(source: Random, *backends: DynamoDBBackend) -> None:
    """Put or delete one item in each backend."""
    key = {"pk": {"S": source.choice("ab")}, "sk": {"S": source.choice(TEXTS) + source.choice(TEXTS)}}
    deletes, size = source.random() < 0.3, source.choice((1, 1, 200_000))
    for made in backends:
        if deletes:
            made.delete_item("t", key)
        else:
            made.put_item("t", {**key, "n": {"S": "x" * size}})


def asked(source: Random) -> dict[str, Any]:
    comparison = source.choice(COMPARISONS)
    low, high = sorted(source.choice(TEXTS) + source.choice(("", *TEXTS)) for _ in "ab")
    values = {None: [], "BETWEEN": [low, high]}.get(comparison, [low])
    return {
        "table_name": "t", "hash_key_dict": {"S": source.choice("abc")}, "range_comparison": comparison,
        "range_value_dicts": [{"S": value} for value in values], "limit": source.choice((None, 1, 2, 7)),
        "scan_index_forward": source.random() < 0.5, "projection_expressions": None,
    }  # fmt: skip


def pages(made: DynamoDBBackend, query: dict[str, Any]) -> list[tuple[list[str], int, Any]]:
    found, start = [], None
    while True:
        items, scanned, last = made.query(exclusive_start_key=start, **query)  # type: ignore[arg-type]
        found.append(([item.range_key.value for item in items if item.range_key], scanned, last))
        if last is None:
            return found
        start = {name: value.to_json() for name, value in last.items()}


def test_queries_match_motos() -> None:
    source = Random(7)
    ours, own = backend(Transactions), backend(DynamoDBBackend)
    most = 0
    for _ in range(300):
        change(source, ours, own)
        query = asked(source)
        told = pages(ours, query)
        assert told == pages(own, query), query
        most = max(most, len(told))
    assert most > 4


def calls(made: DynamoDBBackend, **query: Any) -> int:
    """Count the calls of Python functions that a query makes."""
    count = itertools.count()
    sys.setprofile(lambda *_: next(count))
    try:
        made.query("t", {"S": "p"}, projection_expressions=None, **query)  # type: ignore[arg-type]
    finally:
        sys.setprofile(None)
    return next(count)


def filled(kind: type[DynamoDBBackend], size: int) -> DynamoDBBackend:
    made = backend(kind)
    for number in range(size):
        for partition in ("p", f"q{number}"):
            made.put_item("t", {"pk": {"S": partition}, "sk": {"S": f"{number:06d}"}})
    return made


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("start", [None, {"pk": {"S": "p"}, "sk": {"S": "000050"}}])
def test_query_costs_what_it_answers(start: object, forward: bool) -> None:
    small, large = (filled(Transactions, size) for size in (100, 3_200))
    query = {"range_comparison": ">", "range_value_dicts": [{"S": "000010"}], "limit": 5,
             "exclusive_start_key": start, "scan_index_forward": forward}  # fmt: skip
    assert calls(large, **query) < 1.5 * calls(small, **query)
