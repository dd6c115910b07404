"""The rules as of a revision or a time: what the record says of then is what was in force then."""

import json
from random import Random
from typing import Any

import pytest
from desk import Ask, Desk, Reply, quiet
from dice import IDS, Dice
from fake_clock import FakeClock
from reference_table import Call, Fault, ReferenceTable

from headgate.core.documents import rfc3339
from headgate.edge.admin.as_of import BUDGET

KEYS = ("f", "g", "h")
WHY = {"reason": "a test"}
POLICIES = ({"route": "GET /x", "class": "observe"}, {"route": "POST /x", "flags": ["f"]}, {"procedure": "a.b"})
SEEDS, STEPS = 20, 30


def exported(desk: Desk, as_of: str | None = None) -> Reply:
    """The manifest, now or then."""
    reply = desk.answers(Ask("GET /admin/v1/manifest", query={} if as_of is None else {"as_of": as_of}))
    assert reply.status == 200, reply
    return reply


class History:
    """Random changes, by the admin API; what was in force after each, and when."""

    def __init__(self, seed: int) -> None:
        self.dice, self.clock = Dice(Random(seed)), FakeClock()
        self.table = ReferenceTable(page=7)
        self.desk = Desk(self.table, self.clock)
        self.then: dict[int, Any] = {}
        self.times: list[tuple[str, int]] = []
        with quiet():
            self.then[0] = exported(self.desk).body
            for _ in range(STEPS):
                self.clock.advance(self.dice.one((0, 0.004, 1, 3_600)))
                self.step()

    def step(self) -> None:
        """One call, which may be refused."""
        key = self.dice.one(KEYS)
        made = self.dice.one((self.put, self.put, self.kill, self.manifest, self.delete, self.revoke))(key)
        self.desk.answers(made)
        now = exported(self.desk)
        revision = int(now.headers["x-headgate-revision"])
        self.then[revision] = now.body
        self.times.append((rfc3339(self.clock()), revision))

    def put(self, key: str) -> Ask:
        held = self.desk.answers(Ask("GET /admin/v1/flags/{key}", path={"key": key}))
        headers = {"if-none-match": "*"} if held.status == 404 else {"if-match": held.etag}
        body = {**self.dice.flag(key), **WHY, "allow_shrink": True}
        return Ask("PUT /admin/v1/flags/{key}", body, {"key": key}, headers)

    def kill(self, key: str) -> Ask:
        return Ask(f"POST /admin/v1/flags/{{key}}/{self.dice.one(('kill', 'restore'))}", WHY, {"key": key})

    def delete(self, key: str) -> Ask:
        held = self.desk.answers(Ask("GET /admin/v1/flags/{key}", path={"key": key}))
        seldom = held.status == 200 and self.dice.chance(0.2)
        headers = {"if-match": held.etag if seldom else '"999"'}
        return Ask("DELETE /admin/v1/flags/{key}", {**WHY, "allow_shrink": True}, {"key": key}, headers)

    def manifest(self, key: str) -> Ask:
        routes = [policy for policy in POLICIES if self.dice.chance(0.5)]
        part = self.dice.one(({"routes": routes}, {"access": key, "max_stale": 7}))
        return Ask("POST /admin/v1/manifest", {**part, **WHY, "allow_shrink": True})

    def revoke(self, _key: str) -> Ask:
        return Ask("POST /admin/v1/revocations", {"subject": self.dice.one(IDS).strip() or "x", **WHY})


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_export_as_of_a_revision_is_the_export_of_then(seed: int) -> None:
    with quiet():
        history = History(seed)
        fresh = Desk(history.table, history.clock)
        found = {revision: exported(fresh, str(revision)).body for revision in history.then}
    assert len(history.then) > STEPS / 3
    assert found == history.then


@pytest.mark.parametrize("seed", range(0, SEEDS, 4))
def test_an_export_as_of_a_time_is_the_export_of_then(seed: int) -> None:
    with quiet():
        history = History(seed)
        last = dict(history.times)  # of several changes in one millisecond the last counts
        found = {at: exported(history.desk, at).body for at in last}
    assert found == {at: history.then[revision] for at, revision in last.items()}


def test_before_the_beginning_there_was_nothing_and_after_the_end_it_is_as_now() -> None:
    with quiet():
        history = History(1)
        long_ago, later = (exported(history.desk, f"{year}-01-01T00:00:00Z").body for year in (1970, 2999))
    assert long_ago == history.then[0]
    assert later == history.then[max(history.then)]


NONSENSE = (
    "",
    "now",
    "-1",
    "1.5",
    "1e3",
    "\u0663",
    "9" * 13,
    "2026-01-01",
    "2026-01-01T00:00:00",
    "10000-01-01T00:00Z",
)


@pytest.mark.parametrize("as_of", NONSENSE, ids=ascii)
def test_nonsense_is_refused(as_of: str) -> None:
    refused(History(2), as_of, as_of)


def test_a_revision_that_is_not_yet_is_refused() -> None:
    history = History(2)
    following = max(history.then) + 1
    refused(history, str(following), following)


def refused(history: History, asked: str, explained: int | str) -> None:
    """By export and by explain."""
    export = Ask("GET /admin/v1/manifest", query={"as_of": asked})
    with quiet():
        answers = [history.desk.answers(ask) for ask in (export, explain(explained))]
    for answer in answers:
        assert (answer.status, answer.slug) == (400, "invalid-body")
        assert answer.body["errors"][0]["path"] == "as_of"


def test_a_stream_that_takes_too_long_is_refused_in_time() -> None:
    with quiet():
        history = History(3)

        def slow(call: Call) -> Fault | None:
            history.clock.advance(BUDGET / 2 if call.op == "query" else 0)
            return None

        history.table.weather = slow
        began = history.clock()
        answer = history.desk.answers(Ask("GET /admin/v1/manifest", query={"as_of": str(max(history.then))}))
    assert (answer.status, answer.slug) == (413, "too-large")
    assert history.clock() - began <= 2 * BUDGET


def test_what_was_explained_then_is_explained_the_same_now() -> None:
    """By the entries alone: the stored rules are gone."""
    with quiet():
        history = History(4)
        desk, table = history.desk, history.table
        told = [desk.answers(explain(revision)).body for revision in history.then]
        for sk in list(table.partition("rules")):
            del table.partition("rules")[sk]
        assert [Desk(table, history.clock).answers(explain(revision)).body for revision in history.then] == told
    assert len({json.dumps(one["steps"]) for one in told}) > 1


def explain(as_of: int | str) -> Ask:
    return Ask("POST /admin/v1/explain", {"flag": "f", "subject": {"user": "a"}, "as_of": as_of})
