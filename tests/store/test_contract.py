"""The contract of the store's port, tested on every backend. A backend is one line of `BACKENDS`."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dynamodb_tables import tables_at
from moto_child import running_dynamodb
from reference_table import ReferenceTable

from headgate.store.port import ConditionFailed, Item, Put, Table

NewTable = Callable[[], Table]


@contextlib.contextmanager
def by_reference() -> Iterator[NewTable]:
    """In memory."""
    yield ReferenceTable


@contextlib.contextmanager
def by_reference_in_small_pages() -> Iterator[NewTable]:
    """In memory, two items a page."""
    yield lambda: ReferenceTable(page=2)


@contextlib.contextmanager
def by_moto() -> Iterator[NewTable]:
    """botocore over a socket, to moto."""
    with running_dynamodb() as url:
        yield from _over_sockets(url)


@contextlib.contextmanager
def by_own_dynamodb() -> Iterator[NewTable]:
    """botocore over a socket, to the DynamoDB at HEADGATE_TEST_DYNAMODB (DynamoDB Local)."""
    yield from _over_sockets(os.environ["HEADGATE_TEST_DYNAMODB"])


def _over_sockets(url: str) -> Iterator[NewTable]:
    with tables_at(url) as tables:
        yield lambda: tables.new()[0]


BACKENDS = {
    "reference": by_reference,
    "reference, small pages": by_reference_in_small_pages,
    "moto": by_moto,
    **({"own": by_own_dynamodb} if "HEADGATE_TEST_DYNAMODB" in os.environ else {}),
}


@pytest.fixture(scope="module", params=BACKENDS)
def new_table(request: pytest.FixtureRequest) -> Iterator[NewTable]:
    """A function that makes empty tables of one backend."""
    with BACKENDS[request.param]() as new:
        yield new


@pytest.fixture
def table(new_table: NewTable) -> Table:
    """An empty table."""
    return new_table()


def item(pk: str, sk: str, **members: str | int) -> Item:
    """An item."""
    return {"pk": pk, "sk": sk, **members}


def walk(table: Table, pk: str, **bounds: Any) -> list[str]:
    """Every sort key between the bounds, page by page."""
    found: list[str] = []
    while True:
        page = table.query(pk, **bounds)
        assert len(page.items) <= bounds.get("limit", 1_000)
        found += [str(each["sk"]) for each in page.items]
        if page.next is None:
            return found
        bounds["before" if bounds.get("newest_first") else "after"] = page.next


def test_an_empty_table_returns_no_items(table: Table) -> None:
    assert table.get([("a", "1")]) == {}
    assert table.get([("a", "1"), ("b", "2")]) == {}
    assert table.query("a").items == ()
    assert table.query("a").next is None


def test_an_item_reads_back_equal(table: Table) -> None:
    odd = item(
        "a",
        "1",
        text="caf\u00e9 \u5c71 \U0001f600 \u200d",
        empty="",
        number=0,
        negative=-5,
        large=2**53,
        lines="a\nb\tc",
    )
    table.write([Put(odd)])
    assert table.get([("a", "1")]) == {("a", "1"): odd}
    assert table.get([("a", "1"), ("a", "2")]) == {("a", "1"): odd}
    assert table.query("a").items == (odd,)


def test_a_put_replaces_the_whole_item(table: Table) -> None:
    table.write([Put(item("a", "1", x=1, y=2))])
    table.write([Put(item("a", "1", x=3))])
    assert table.get([("a", "1")])["a", "1"] == item("a", "1", x=3)


def test_many_keys_are_read_in_one_call(table: Table) -> None:
    items = [item(f"p{n % 7}", f"{n:03}", n=n) for n in range(100)]
    table.write([Put(each) for each in items])
    keys = [(str(each["pk"]), str(each["sk"])) for each in items]
    assert table.get(keys) == dict(zip(keys, items, strict=True))
    assert len(table.get([*keys[:50], ("none", "000")])) == 50


def test_a_query_returns_items_in_sort_key_order(table: Table) -> None:
    names = ["a", "b", "a#1", "Z", "0", "~", "\u00e9", "a!", "000000000010", "000000000009"]
    table.write([Put(item("p", name)) for name in names])
    table.write([Put(item("q", "other"))])
    expected = sorted(names, key=lambda name: name.encode())
    assert walk(table, "p") == expected
    assert walk(table, "p", newest_first=True) == expected[::-1]


def test_query_bounds_are_exclusive(table: Table) -> None:
    table.write([Put(item("p", f"{n:02}")) for n in range(10)])
    assert walk(table, "p", after="03") == ["04", "05", "06", "07", "08", "09"]
    assert walk(table, "p", after="03", before="06") == ["04", "05"]
    assert walk(table, "p", after="03", before="06", newest_first=True) == ["05", "04"]
    assert walk(table, "p", before="02") == ["00", "01"]
    assert walk(table, "p", after="035", before="055") == ["04", "05"]
    for after, before in (("03", "04"), ("03", "03"), ("06", "03"), ("99", "0")):
        assert walk(table, "p", after=after, before=before) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 11])
@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_omit_and_repeat_no_item(table: Table, limit: int, newest_first: bool) -> None:
    names = [f"{n:02}" for n in range(10)]
    table.write([Put(item("p", name)) for name in names])
    assert walk(table, "p", limit=limit, newest_first=newest_first) == (names[::-1] if newest_first else names)
    inner = names[3:8]
    bounds = {"after": "02", "before": "08", "limit": limit, "newest_first": newest_first}
    assert walk(table, "p", **bounds) == (inner[::-1] if newest_first else inner)


def test_a_put_with_condition_absent_fails_on_an_existing_item(table: Table) -> None:
    table.write([Put(item("a", "1"), absent=True)])
    with pytest.raises(ConditionFailed):
        table.write([Put(item("a", "1", x=2), absent=True)])
    assert table.get([("a", "1")])["a", "1"] == item("a", "1")


@pytest.mark.parametrize(
    ("held", "wanted", "holds"),
    [
        (1, 1, True),
        (1, 2, False),
        ("1", 1, False),
        (1, "1", False),
        ("x", "x", True),
        ("x", "X", False),
        (None, 1, False),
    ],
)
def test_a_put_with_condition_equals_fails_on_another_value(
    table: Table, held: str | int | None, wanted: str | int, holds: bool
) -> None:
    table.write([Put(item("a", "1") if held is None else item("a", "1", version=held))])
    put = Put(item("a", "1", version=9), equals=("version", wanted))
    if holds:
        table.write([put])
    else:
        with pytest.raises(ConditionFailed):
            table.write([put])
    assert (table.get([("a", "1")])["a", "1"].get("version") == 9) is holds


def test_a_put_with_condition_equals_fails_on_a_missing_item(table: Table) -> None:
    with pytest.raises(ConditionFailed):
        table.write([Put(item("a", "1", version=2), equals=("version", 1))])
    assert table.get([("a", "1")]) == {}


def test_condition_equals_accepts_a_name_that_dynamodb_reserves(table: Table) -> None:
    table.write([Put(item("a", "1", body="x", status="y"))])
    table.write([Put(item("a", "1", body="z"), equals=("status", "y"))])
    assert table.get([("a", "1")])["a", "1"]["body"] == "z"


def test_a_put_with_condition_expired_fails_before_the_time(table: Table) -> None:
    table.write([Put(item("a", "1", expires=100), expired=50)])
    for now in (50, 99):
        with pytest.raises(ConditionFailed):
            table.write([Put(item("a", "1", expires=200), expired=now)])
    table.write([Put(item("a", "1", expires=200), expired=100)])
    assert table.get([("a", "1")])["a", "1"]["expires"] == 200


def test_a_put_with_condition_expired_fails_on_an_item_without_expiry(table: Table) -> None:
    table.write([Put(item("a", "1"))])
    with pytest.raises(ConditionFailed):
        table.write([Put(item("a", "1", expires=200), expired=10**9)])


@pytest.mark.parametrize("failing", range(4))
def test_a_transaction_writes_all_items_or_none(table: Table, failing: int) -> None:
    before = item("p", f"{failing}", version=1)
    table.write([Put(before)])
    puts = [Put(item("p", f"{n}", version=2), absent=True) for n in range(4)]
    with pytest.raises(ConditionFailed):
        table.write(puts)
    assert table.query("p").items == (before,)


def test_conditions_are_checked_against_the_state_before_the_transaction(table: Table) -> None:
    table.write([Put(item("a", "1", version=1)), Put(item("a", "2", version=1))])
    table.write([
        Put(item("a", "1", version=2), equals=("version", 1)), Put(item("a", "2", version=2), equals=("version", 1)),
        Put(item("a", "3"), absent=True), Put(item("b", "3"), expired=5),
    ])  # fmt: skip
    held = table.get([("a", "1"), ("a", "2"), ("a", "3"), ("b", "3")])
    assert [each.get("version") for _key, each in sorted(held.items())] == [2, 2, None, None]


def test_a_transaction_writes_a_hundred_items(table: Table) -> None:
    table.write([Put(item("p", f"{n:03}"), absent=True) for n in range(100)])
    assert len(walk(table, "p")) == 100


def test_a_query_over_large_items_returns_all_pages(table: Table) -> None:
    """Two and a half MB in one partition: DynamoDB answers 1 MB at a time."""
    for n in range(25):
        table.write([Put(item("p", f"{n:02}", body="x" * 100_000))])
    assert walk(table, "p") == [f"{n:02}" for n in range(25)]
    assert walk(table, "p", after="04", before="20", newest_first=True) == [f"{n:02}" for n in range(19, 4, -1)]


def test_a_read_with_part_of_its_budget_spent_still_answers(table: Table) -> None:
    """The rest is enough for an attempt: 1 s per request, or more for slow test tables."""
    table.write([Put(item("a", "1")), Put(item("a", "2"))])
    assert table.get([("a", "1")], spent=0.1) == table.get([("a", "1")])
    assert table.get([("a", "1"), ("a", "2")], spent=0.1).keys() == {("a", "1"), ("a", "2")}
