"""The audit stream as it is asked for: whatever the filters and the pages, no entry is missed and none comes twice."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from operators import entries
from reference_table import ReferenceTable

from headgate.core.audit import sealed
from headgate.core.documents import rfc3339, unix
from headgate.edge.admin import audit as stream
from headgate.store.items import Head, audit_sk, entry_item, head_item

WHY = {"reason": "a test"}
KEYS = ("f", "g", "h")
AUDIT = "GET /admin/v1/audit"


class Log:
    """Changes of some flags by two callers, over a few hours, some of them by a clock that is behind."""

    def __init__(self, seed: int) -> None:
        self.source, self.clock, self.table = Random(seed), FakeClock(), ReferenceTable(page=5)
        self.desk = Desk(self.table, self.clock)
        with quiet():
            for key in KEYS:
                self.desk.must(Ask("PUT /admin/v1/flags/{key}", WHY, {"key": key}, {"if-none-match": "*"}))
            for _ in range(60):
                self.clock.advance(self.source.choice((-20.0, 1.0, 60.0, 900.0)))
                verb, caller = self.source.choice(("kill", "restore")), self.source.choice(("ops", "night"))
                ask = Ask(f"POST /admin/v1/flags/{{key}}/{verb}", WHY, {"key": self.source.choice(KEYS)}, caller=caller)
                self.desk.must(ask)

    def pages(self, query: dict[str, str]) -> list[dict[str, Any]]:
        """All that is answered, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            with quiet():
                body = self.desk.must(Ask(AUDIT, query=query)).body
            assert len(body["entries"]) <= int(query.get("limit", "100"))
            found += body["entries"]
            if body["next"] is None:
                return found
            query = {**query, "cursor": body["next"]}


TAKES: dict[str, Callable[[dict[str, Any], str], bool]] = {
    "flag": lambda entry, value: entry["flag"] == value,
    "actor": lambda entry, value: entry["actor"]["arn"] == value,
    "action": lambda entry, value: entry["action"] == value,
    "after": lambda entry, value: entry["revision"] > int(value),
    "before": lambda entry, value: entry["revision"] < int(value),
    "since": lambda entry, value: unix(entry["at"]) >= unix(value),
    "until": lambda entry, value: unix(entry["at"]) < unix(value),
}


@pytest.mark.parametrize("seed", range(6))
def test_every_filter_takes_what_it_says(seed: int) -> None:
    log = Log(seed)
    known = entries(log.table)[::-1]
    for _ in range(40):
        revisions = [str(log.source.randrange(70)) for _ in range(2)]
        times = [log.source.choice(known)["at"] for _ in range(2)]
        arn = f"arn:aws:iam::123456789012:role/{log.source.choice(('ops', 'night', 'nobody'))}"
        values = dict(zip(TAKES, ("f", arn, "flag.kill", *revisions, *times), strict=True))
        query = {name: values[name] for name in TAKES if log.source.random() < 0.35}
        expected = [entry for entry in known if all(TAKES[name](entry, value) for name, value in query.items())]
        limit = log.source.choice(("1", "7", "1000"))
        assert log.pages({**query, "limit": limit}) == expected, query


def test_a_call_since_lately_does_not_read_the_whole_stream() -> None:
    log = Log(1)
    for at, reads in ((rfc3339(log.clock() + stream.SKEW), 1), ("1970-01-01T00:00:00Z", 13)):
        before = log.table.count("query")
        log.pages({"since": at})
        assert log.table.count("query") - before <= reads


def test_a_filter_that_finds_little_answers_in_pieces() -> None:
    """One call looks through so many entries and no more."""
    log = Log(2)
    held = entries(log.table)
    for revision in range(len(held) + 1, stream.SCAN_LIMIT + 100):
        made = {**held[-1], "revision": revision, "prev": held[-1]["digest"], "action": "flag.kill"}
        held.append(sealed(made))
        log.table.partition("audit")[audit_sk(revision)] = entry_item(held[-1])
    log.table.partition("head")["head"] = head_item(Head(held[-1]["revision"], held[-1]["digest"]))
    with quiet():
        first = log.desk.must(Ask(AUDIT, query={"action": "flag.create"})).body
    assert first["entries"] == []
    assert first["next"]
    assert [entry["flag"] for entry in log.pages({"action": "flag.create"})] == ["h", "g", "f"]


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("value", ["", "yesterday", "2026-01-01", "12"])
def test_a_time_has_an_offset(name: str, value: str) -> None:
    with quiet():
        answer = Desk(ReferenceTable(), FakeClock()).answers(Ask(AUDIT, query={name: value}))
    assert (answer.status, answer.slug) == (400, "invalid-body")
    assert answer.body["errors"][0]["path"] == name
