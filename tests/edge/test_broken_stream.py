"""The audit stream as it is read after somebody laid hands on the table: shown as it lies, and never built upon."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.core.audit import verify_chain

AUDIT, EXPLAIN, WHY = "GET /admin/v1/audit", "POST /admin/v1/explain", {"reason": "a test"}
Entry = dict[str, Any]
BROKEN = 2
"""The revision that somebody lays hands on, of 3."""


def told(body: Entry) -> str:
    return json.dumps(body)


HANDS: Mapping[str, Callable[[Entry], str]] = {
    "no time": lambda entry: told({**entry, "at": "yesterday"}),
    "a time of another type": lambda entry: told({**entry, "at": None}),
    "nobody": lambda entry: told({**entry, "actor": None}),
    "another revision": lambda entry: told({**entry, "revision": "2"}),
    "another content": lambda entry: told({**entry, "after": {**entry["after"], "stage": "ga"}}),
    "no members": lambda _entry: "{}",
    "no object": lambda _entry: "[]",
    "no JSON": lambda _entry: "{",
}


def desk(hand: str) -> Desk:
    """A flag that came, was killed, and a second flag."""
    clock, table = FakeClock(), ReferenceTable()
    found = Desk(table, clock)
    for key in ("f", "g"):
        found.must(
            Ask("PUT /admin/v1/flags/{key}", {"stage": "allowlist", **WHY}, {"key": key}, {"if-none-match": "*"})
        )
        if key == "f":
            found.must(Ask("POST /admin/v1/flags/{key}/kill", WHY, {"key": "f"}))
    place, sk = table.partition("audit"), f"{BROKEN:012}"
    place[sk] = {**place[sk], "body": HANDS[hand](json.loads(str(place[sk]["body"])))}
    return found


@pytest.mark.parametrize("hand", HANDS)
@quiet()
def test_an_auditor_reads_on_and_finds_the_break(hand: str) -> None:
    found = desk(hand)
    body = found.must(Ask(AUDIT)).body
    assert len(body["entries"]) == 3
    broken = verify_chain(reversed(body["entries"]), body["head"])
    assert broken is not None
    assert broken.revision == BROKEN
    for query in ({"actor": "arn:x"}, {"flag": "g"}, {"action": "flag.kill"}, {"since": "2000-01-01T00:00:00Z"}):
        assert found.answers(Ask(AUDIT, query=query)).status == 200
    page = found.must(Ask(AUDIT, query={"limit": "2"})).body
    assert len(found.must(Ask(AUDIT, query={"limit": "2", "cursor": page["next"]})).body["entries"]) == 1


@pytest.mark.parametrize("hand", HANDS)
@quiet()
def test_nothing_is_built_on_what_was_changed(hand: str) -> None:
    found, subject = desk(hand), {"flag": "f", "subject": {"user": "u"}}
    for as_of in (3, "2099-01-01T00:00:00Z"):
        reply = found.answers(Ask(EXPLAIN, {**subject, "as_of": as_of}))
        assert (reply.status, reply.slug) == (409, "chain-broken")
    assert found.must(Ask(EXPLAIN, {**subject, "as_of": BROKEN - 1})).body["reason"] == "NOT_LISTED"
