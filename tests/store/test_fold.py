"""Following entries and a whole load give the same rules, whatever the size of the pieces."""

from random import Random

import pytest
from dice import Dice, dice
from fake_clock import FakeClock
from hypothesis import given, settings
from operators import (
    Operator,
    check,
    creation,
    deletion,
    entries,
    killing,
    listing,
    replacement,
    replayed,
    restoring,
    same_rules,
    staging,
    writing,
)
from proofs import many
from reference_table import ReferenceTable

from headgate.core.decision import decide
from headgate.core.limits import MAX_DEPTH
from headgate.core.model import Subject
from headgate.core.snapshot import EMPTY, apply_entries, with_kills
from headgate.store.rules import build
from headgate.store.snapshots import Snapshots

KEYS = ("x", "y", "z")
ROUTES = (
    {"routes": []},
    {
        "routes": [
            {"route": "GET /a", "class": "observe"},
            {"procedure": "p", "class": "entry", "flags": ["x"], "asks": ["y"]},
        ]
    },
    {"routes": "unreadable"},
)
PROFILES = (
    {"access": "x", "max_stale": 0, "token": {"lifetime": 60, "claims": {"v": 1}}},
    {"access": "UPPER"},
    {"token": None},
)
KEYRINGS = ({"keys": [{"kid": "a", "state": "active", "since": 0}]}, {"keys": "unreadable"})


def history(thrown: Dice, length: int) -> ReferenceTable:
    """This many random changes of every kind, including parent cycles and unreadable records."""
    table = ReferenceTable(page=4)
    ops = Operator(table, FakeClock())
    for _ in range(length):
        key = thrown.one(KEYS)
        document = thrown.flag(key, KEYS)
        target, plan = thrown.one((
            (key, creation(key, **{name: value for name, value in document.items() if name != "key"})),
            (key, writing(key, document)), (key, writing(key, document)),
            (key, staging(key, "percentage", 5)), (key, listing(key, "a")),
            (key, killing(key, thrown.one(("gate", "drain", "sever")))), (key, restoring(key)),
            (key, deletion(key)) if thrown.chance(0.3) else (key, restoring(key)),
            ("routes", replacement("routes", thrown.one(ROUTES))),
            ("profile", replacement("profile", thrown.one(PROFILES))),
            ("keys", replacement("keys", thrown.one(KEYRINGS))),
        ))  # fmt: skip
        ops.does(target, plan)
    return table


@given(dice())
def test_folding_in_pieces_equals_a_whole_load(thrown: Dice) -> None:
    table = history(thrown, 15)
    stream = entries(table)
    whole = build(list(table.partition("rules").values()), len(stream))
    assert same_rules(whole, apply_entries(EMPTY, stream))
    for cut in (0, thrown.source.randint(0, len(stream)), len(stream)):
        held = apply_entries(EMPTY, stream[:cut])
        assert held.revision == cut
        assert same_rules(whole, apply_entries(held, stream[cut:]))
        assert same_rules(whole, apply_entries(held, stream)), "entries that it contains are passed over"


@settings(max_examples=many(40, 400))
@given(dice())
def test_any_past_revision_is_rebuilt_as_it_was_served(thrown: Dice) -> None:
    """A reader at that time recorded it."""
    table = ReferenceTable()
    ops, snapshots = Operator(table, FakeClock()), Snapshots(table)
    seen = []
    for _ in range(8):
        key = thrown.one(KEYS)
        ops.does(key, creation(key, stage="ga"))
        ops.does(key, writing(key, thrown.flag(key, KEYS)))
        seen.append(snapshots.live().snapshot)
    for snapshot in seen:
        assert same_rules(snapshot, replayed(table, snapshot.revision))


def test_folding_a_long_history_equals_a_whole_load() -> None:
    table = history(Dice(Random(5)), 1_500)
    assert check(table) > 400


@pytest.mark.parametrize("mended", ["a", "b"])
def test_a_repaired_cycle_is_repaired_in_every_environment(mended: str) -> None:
    """In the environment that saw the cycle and in one that starts now, with stage, list, and parents unchanged."""
    table = ReferenceTable()
    ops, snapshots = Operator(table, FakeClock()), Snapshots(table)
    for key, parent in (("a", "b"), ("b", "a")):
        ops.creates(key, stage="ga", requires=[parent], allow={"users": ["u"]})
    warm = snapshots.live().snapshot
    assert warm.quarantined == ("a", "b")
    ops.makes(mended, writing(mended, {"stage": "ga"}))
    warm, cold = snapshots.live().snapshot, Snapshots(table).live().snapshot
    assert same_rules(warm, cold)
    assert warm.quarantined == ()
    assert all(decide(warm.rules, key, Subject("v")).value for key in ("a", "b"))


def test_a_chain_that_was_too_deep_works_after_it_is_shortened() -> None:
    table = ReferenceTable()
    ops, snapshots = Operator(table, FakeClock()), Snapshots(table)
    for number in range(MAX_DEPTH + 2):
        ops.creates(f"c{number}", stage="ga", requires=[f"c{number - 1}"] if number else [])
    last = f"c{MAX_DEPTH + 1}"
    assert not decide(snapshots.live().snapshot.rules, last, Subject("u")).value
    ops.makes("c1", writing("c1", {"stage": "ga"}))
    assert decide(snapshots.live().snapshot.rules, last, Subject("u")).value


def test_kills_from_the_head_change_nothing_else() -> None:
    table = history(Dice(Random(6)), 60)
    snapshot = replayed(table)
    assert same_rules(with_kills(snapshot, {}), snapshot)
    assert same_rules(with_kills(snapshot, {"none": "gate", "odd": "sideways"}), snapshot)
    for key in snapshot.rules.flags:
        over = with_kills(snapshot, {key: "sever"})
        killed = over.rules.flags[key].killed
        assert killed is not None
        assert killed.reach.value == "sever"
        assert {other: flag for other, flag in over.rules.given.items() if other != key} == {
            other: flag for other, flag in snapshot.rules.given.items() if other != key
        }
        assert over.revision == snapshot.revision
