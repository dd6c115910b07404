"""The audit chain: every later change of it is detected."""

import copy
import json
from random import Random
from typing import Any

import pytest
import vector_files
from proofs import Tally, many

from headgate.core.audit import GENESIS, digest, is_sealed, sealed, verify_chain
from headgate.core.documents import canonical

Entry = dict[str, Any]


def chain(length: int, start: int = 1, prev: str = GENESIS, note: str = "") -> list[Entry]:
    """A chain of this many entries."""
    entries = []
    for revision in range(start, start + length):
        entry = sealed({
            "revision": revision, "at": f"2026-03-01T12:00:{revision % 60:02}.000Z", "flag": "f",
            "action": "flag.stage", "actor": {"arn": "arn:ops", "session": "s", "source_ip": "192.0.2.7"},
            "reason": f"caf\u00e9 {note}", "before": {"key": "f", "percent": revision - 1, "allow": {"users": ["a"]}},
            "request_id": f"r{revision}",
            "after": {"key": "f", "percent": revision + 0.5, "allow": {"users": ["a", "b"]}}, "prev": prev,
        })  # fmt: skip
        entries.append(entry)
        prev = entry["digest"]
    return entries


def head(entries: list[Entry]) -> dict[str, Any]:
    """The head of these entries."""
    return {"revision": len(entries), "digest": entries[-1]["digest"] if entries else GENESIS}


@pytest.mark.parametrize("length", [0, 1, 2, 30])
def test_an_unchanged_chain_verifies(length: int) -> None:
    entries = chain(length)
    assert verify_chain(entries) is None
    assert verify_chain(entries, head(entries)) is None
    assert verify_chain(json.loads(json.dumps(entries)), head(entries)) is None
    assert all(is_sealed(entry) for entry in entries)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for key, item in inner for way in [(*path, key), *paths(item, (*path, key))]]


def edit(source: Random, entries: list[Entry]) -> None:
    """Change, retype, or remove one value of one entry; a careful forger seals the entry again."""
    entry = entries[source.randrange(len(entries))]
    before = canonical(entry)
    way = source.choice(paths(entry))
    holder = entry
    for key in way[:-1]:
        holder = holder[key]
    value, key = holder[way[-1]], way[-1]
    change = source.randrange(3)
    if change == 0:
        del holder[key]
    elif change == 1:
        holder[key] = None if value is not None else 0
    else:
        holder[key] = value + 1 if isinstance(value, (int, float)) else f"{value}x"
    if source.random() < 0.5 and key not in ("digest", "prev", "revision"):
        entry["digest"] = digest(entry)
    assert canonical(entry) != before


def delete(source: Random, entries: list[Entry]) -> None:
    """Remove one entry that is not the last."""
    entries.pop(source.randrange(len(entries) - 1))


def insert(source: Random, entries: list[Entry]) -> None:
    """Insert one entry: a copy, or one that links to the entry before it."""
    place = source.randrange(len(entries))
    prev = entries[place - 1]["digest"] if place else GENESIS
    extra = chain(1, place + 1, prev, "forged")[0] if source.random() < 0.5 else copy.deepcopy(source.choice(entries))
    entries.insert(place, extra)


def reorder(source: Random, entries: list[Entry]) -> None:
    """Swap two entries, with or without their revisions."""
    one, other = source.sample(range(len(entries)), 2)
    entries[one], entries[other] = entries[other], entries[one]
    if source.random() < 0.5:
        entries[one]["revision"], entries[other]["revision"] = entries[other]["revision"], entries[one]["revision"]


def replace(source: Random, entries: list[Entry]) -> None:
    """Rewrite everything from one entry on, except the last."""
    place = source.randrange(len(entries) - 1)
    prev = entries[place - 1]["digest"] if place else GENESIS
    entries[place:-1] = chain(len(entries) - 1 - place, place + 1, prev, "forged")


def truncate(source: Random, entries: list[Entry]) -> None:
    """Cut off entries at the end."""
    del entries[source.randrange(len(entries)) :]


def rewrite(source: Random, entries: list[Entry]) -> None:
    """Rewrite everything from one entry to the end: the result is a valid chain."""
    place = source.randrange(len(entries))
    prev = entries[place - 1]["digest"] if place else GENESIS
    entries[place:] = chain(len(entries) - place, place + 1, prev, "forged")


WITHIN = (edit, delete, insert, reorder, replace)
"""Tampering that the chain itself shows, unless the last entry was edited and sealed again."""
WHOLE = (truncate, rewrite)
"""Tampering that only the head shows, or, if the head was forged too, an anchor that is kept elsewhere."""


@pytest.mark.proof("entries edited, deleted, inserted, reordered, or replaced")
@pytest.mark.parametrize("tamper", WITHIN)
def test_tampering_is_detected(tamper: Any, tally: Tally) -> None:
    """2,000 ways each, without a head and with one: 10,000 in all."""
    source, whole = Random(tamper.__name__), chain(12)
    for _ in range(many(2_000, 20_000)):
        entries = copy.deepcopy(whole)
        tamper(source, entries)
        found = verify_chain(entries)
        if found is None:  # the last entry was sealed again: only the head shows it
            assert tamper is edit
            assert entries[:-1] == whole[:-1]
        assert verify_chain(entries, head(whole)) is not None
        assert found is None or 1 <= found.revision <= len(entries)
        tally.add(forgeries=1, found=1, by_the_links_alone=found is not None)


@pytest.mark.proof("logs cut off, or rewritten to their end, together with the head")
@pytest.mark.parametrize("tamper", WHOLE)
def test_a_truncated_or_rewritten_chain_with_a_forged_head_is_detected_only_by_an_anchor(
    tamper: Any, tally: Tally
) -> None:
    """2,000 ways each. The forger can write the table and the head, so the chain verifies from end to end.

    An anchor at a revision before the change detects nothing: it does not cover later entries.
    """
    source, whole = Random(tamper.__name__), chain(12)
    for _ in range(many(2_000, 20_000)):
        entries = copy.deepcopy(whole)
        tamper(source, entries)
        assert verify_chain(entries) is None
        assert verify_chain(entries, head(entries)) is None
        assert verify_chain(entries, head(whole)) is not None
        assert verify_chain(entries, head(entries), {12: whole[-1]["digest"]}) is not None
        noted = source.randrange(1, 13)
        touched = len(entries) < noted or entries[noted - 1] != whole[noted - 1]
        found = verify_chain(entries, head(entries), {noted: whole[noted - 1]["digest"]})
        assert (found is not None) == touched
        assert found is None or found.revision <= noted
        tally.add(forgeries=1, found_by_links_and_forged_head=0, found_by_an_anchor_at_the_end=1)
        tally.add(found_by_an_earlier_anchor=touched, after_that_anchor=not touched)


def test_a_truncated_chain_is_detected_only_with_the_head() -> None:
    whole = chain(12)
    for kept in range(12):
        assert verify_chain(whole[:kept]) is None
        found = verify_chain(whole[:kept], head(whole))
        assert found is not None
        assert found.revision == kept + 1


def test_a_chain_rewritten_from_the_start_is_detected_only_with_the_head() -> None:
    whole, forged = chain(12), chain(12, note="forged")
    assert verify_chain(forged) is None
    assert verify_chain(forged, head(whole)) is not None


def test_all_anchors_verify_on_a_chain_that_has_grown() -> None:
    whole = chain(12)
    assert verify_chain(whole, head(whole), {entry["revision"]: entry["digest"] for entry in whole[:9]}) is None
    found = verify_chain(whole, head(whole), {3: whole[2]["digest"], 7: whole[7]["digest"]})
    assert found is not None
    assert (found.revision, found.what) == (
        7,
        "its digest differs from the anchor or checkpoint: the log was rewritten",
    )


@pytest.mark.parametrize(
    "damage",
    [{"reason": "\ud800"}, {"after": float("nan")}, {"after": float("inf")}, {"digest": None}, {"prev": 0},
     {"revision": "1"}, {"revision": None}, {"revision": True, "reason": "x"}],
)  # fmt: skip
def test_an_entry_that_is_not_valid_json_breaks_the_chain(damage: dict[str, Any]) -> None:
    entries = chain(3)
    entries[0] |= damage
    found = verify_chain(entries)
    assert found is not None
    assert found.revision == 1


@pytest.mark.parametrize("numbers", [(2, 3), (1, 3), (1, 1), (0, 1), (1, 2.5), (1, "2")])
def test_a_gap_in_revisions_breaks_the_chain_although_all_links_match(numbers: tuple[Any, Any]) -> None:
    first = sealed({**chain(1)[0], "revision": numbers[0]})
    second = sealed({**chain(1)[0], "revision": numbers[1], "prev": first["digest"]})
    assert verify_chain([first, second]) is not None


def test_a_break_names_its_revision() -> None:
    entries = chain(5)
    entries[2]["reason"] = "another"
    found = verify_chain(entries)
    assert found is not None
    assert (found.revision, found.what) == (3, "its content was changed")


def test_a_digest_does_not_depend_on_member_order() -> None:
    entry = vector_files.read("audit-chain")["entries"][0]
    backwards = dict(reversed(entry.items()))
    assert digest(backwards) == entry["digest"]


@pytest.mark.parametrize(
    ("value", "text"),
    [({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'), ({"\u00e9": "\u5c71"}, '{"\u00e9":"\u5c71"}'),
     (1.5, "1.5"), ({"z": {}, "A": []}, '{"A":[],"z":{}}'), ("a\"\\\n\u0001", '"a\\"\\\\\\n\\u0001"')],
)  # fmt: skip
def test_canonical_json_writes_each_value_one_way(value: Any, text: str) -> None:
    assert canonical(value) == text
