"""The audit chain: whatever is done to it afterwards, it shows."""

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
    """Entries as they are written."""
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
    """What the head says."""
    return {"revision": len(entries), "digest": entries[-1]["digest"] if entries else GENESIS}


@pytest.mark.parametrize("length", [0, 1, 2, 30])
def test_a_whole_chain_holds(length: int) -> None:
    entries = chain(length)
    assert verify_chain(entries) is None
    assert verify_chain(entries, head(entries)) is None
    assert verify_chain(json.loads(json.dumps(entries)), head(entries)) is None
    assert all(is_sealed(entry) for entry in entries)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way for key, item in inner for way in [(*path, key), *paths(item, (*path, key))]]


def edit(source: Random, entries: list[Entry]) -> None:
    """One value of one entry becomes another, or another type, or goes; the careful forger seals it again."""
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
    """One entry goes, of which others follow."""
    entries.pop(source.randrange(len(entries) - 1))


def insert(source: Random, entries: list[Entry]) -> None:
    """One entry comes, made to follow on the one before it, or copied."""
    place = source.randrange(len(entries))
    prev = entries[place - 1]["digest"] if place else GENESIS
    extra = chain(1, place + 1, prev, "forged")[0] if source.random() < 0.5 else copy.deepcopy(source.choice(entries))
    entries.insert(place, extra)


def reorder(source: Random, entries: list[Entry]) -> None:
    """Two entries change places, their numbers too or not."""
    one, other = source.sample(range(len(entries)), 2)
    entries[one], entries[other] = entries[other], entries[one]
    if source.random() < 0.5:
        entries[one]["revision"], entries[other]["revision"] = entries[other]["revision"], entries[one]["revision"]


def replace(source: Random, entries: list[Entry]) -> None:
    """From one entry on, everything but the last is written anew."""
    place = source.randrange(len(entries) - 1)
    prev = entries[place - 1]["digest"] if place else GENESIS
    entries[place:-1] = chain(len(entries) - 1 - place, place + 1, prev, "forged")


def truncate(source: Random, entries: list[Entry]) -> None:
    """Entries are cut from the end."""
    del entries[source.randrange(len(entries)) :]


def rewrite(source: Random, entries: list[Entry]) -> None:
    """From one entry on, everything to the end is written anew: a chain as good as any."""
    place = source.randrange(len(entries))
    prev = entries[place - 1]["digest"] if place else GENESIS
    entries[place:] = chain(len(entries) - place, place + 1, prev, "forged")


WITHIN = (edit, delete, insert, reorder, replace)
"""What leaves a trace in the chain, unless it is the last entry that was edited and sealed again."""
WHOLE = (truncate, rewrite)
"""What leaves none: only the head tells, or a note kept elsewhere where the head was forged as well."""


@pytest.mark.proof("entries edited, deleted, inserted, reordered, replaced behind the log's back")
@pytest.mark.parametrize("tamper", WITHIN)
def test_tampering_is_found(tamper: Any, tally: Tally) -> None:
    """2,000 ways each, without a head and with one: 10,000 in all."""
    source, whole = Random(tamper.__name__), chain(12)
    for _ in range(many(2_000, 20_000)):
        entries = copy.deepcopy(whole)
        tamper(source, entries)
        found = verify_chain(entries)
        if found is None:  # the last entry sealed anew: only the head tells
            assert tamper is edit
            assert entries[:-1] == whole[:-1]
        assert verify_chain(entries, head(whole)) is not None
        assert found is None or 1 <= found.revision <= len(entries)
        tally.add(forgeries=1, found=1, by_the_links_alone=found is not None)


@pytest.mark.proof("logs cut off, or rewritten to their end, together with the head")
@pytest.mark.parametrize("tamper", WHOLE)
def test_what_is_cut_off_or_written_anew_with_its_head_is_found_by_a_note_alone(tamper: Any, tally: Tally) -> None:
    """2,000 ways each. The forger owns the table, the head in it too: the chain then holds, from end to end.

    A note of a revision that still stands as it was tells nothing, as it must: what came after it is not in it.
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
        tally.add(forgeries=1, found_by_links_and_forged_head=0, found_by_a_note_of_the_end=1)
        tally.add(found_by_an_earlier_note=touched, after_that_note=not touched)


def test_what_was_cut_off_is_found_by_the_head_alone() -> None:
    whole = chain(12)
    for kept in range(12):
        assert verify_chain(whole[:kept]) is None
        found = verify_chain(whole[:kept], head(whole))
        assert found is not None
        assert found.revision == kept + 1


def test_a_chain_written_anew_as_a_whole_is_found_by_the_head_alone() -> None:
    whole, forged = chain(12), chain(12, note="forged")
    assert verify_chain(forged) is None
    assert verify_chain(forged, head(whole)) is not None


def test_any_number_of_notes_hold_on_a_chain_that_went_on() -> None:
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
def test_what_no_json_can_hold_is_a_break_too(damage: dict[str, Any]) -> None:
    entries = chain(3)
    entries[0] |= damage
    found = verify_chain(entries)
    assert found is not None
    assert found.revision == 1


@pytest.mark.parametrize("numbers", [(2, 3), (1, 3), (1, 1), (0, 1), (1, 2.5), (1, "2")])
def test_numbers_have_no_gaps_even_where_every_link_holds(numbers: tuple[Any, Any]) -> None:
    first = sealed({**chain(1)[0], "revision": numbers[0]})
    second = sealed({**chain(1)[0], "revision": numbers[1], "prev": first["digest"]})
    assert verify_chain([first, second]) is not None


def test_the_place_is_named() -> None:
    entries = chain(5)
    entries[2]["reason"] = "another"
    found = verify_chain(entries)
    assert found is not None
    assert (found.revision, found.what) == (3, "its content was changed")


def test_digests_do_not_hang_on_the_order_of_members() -> None:
    entry = vector_files.read("audit-chain")["entries"][0]
    backwards = dict(reversed(entry.items()))
    assert digest(backwards) == entry["digest"]


@pytest.mark.parametrize(
    ("value", "text"),
    [({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'), ({"\u00e9": "\u5c71"}, '{"\u00e9":"\u5c71"}'),
     (1.5, "1.5"), ({"z": {}, "A": []}, '{"A":[],"z":{}}'), ("a\"\\\n\u0001", '"a\\"\\\\\\n\\u0001"')],
)  # fmt: skip
def test_there_is_one_way_to_write_a_value(value: Any, text: str) -> None:
    assert canonical(value) == text
