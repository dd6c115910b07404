"""A repeated request, at any time and concurrently: one effect, one entry, and the answer of the first.

A random walk through callers, keys, bodies, and hours, compared with a plain memory of all answers.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from desk import Ask, Desk, Reply, quiet
from fake_clock import FakeClock
from operators import check, entries
from proofs import Tally, many
from reference_table import ReferenceTable
from schedules import Schedules

DAY = 86_400
MINUTES_11, HOURS_25 = 660, 90_000
CALLERS, KEYS = ("ann", "ben"), ("key-1", "key-2", "key-3")
WHY = {"reason": "a test", "allow_shrink": True}
F = {"key": "f"}
Known = dict[tuple[str, str], tuple[Ask, Reply, float]]
"""By caller and key: the request, its answer, and the time."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Schedules]:
    schedules = Schedules(8)
    yield schedules
    schedules.close()


class Walk:
    """One table and its callers. `known` is what they remember."""

    def __init__(self, stage: Schedules, seed: int) -> None:
        self.source, self.clock, self.table = Random(seed), FakeClock(), ReferenceTable()
        self.stage, self.known, self.requests = stage, Known(), 0
        self.table.order = lambda keys: self.source.sample(list(keys), len(keys))
        self.made = dict.fromkeys(CALLERS, 0)
        Desk(self.table, self.clock).must(
            Ask("PUT /admin/v1/flags/{key}", {"stage": "allowlist", **WHY}, F, {"if-none-match": "*"}, caller="ann")
        )
        self.made["ann"] += 1

    def step(self) -> None:
        """Let time pass, or not; then send one request, or eight at once."""
        self.clock.advance(self.source.choice((0, 0, 0, 1, MINUTES_11, DAY - 1, DAY, HOURS_25)))
        if self.source.random() < 0.1:
            self.table.expire(self.clock())
        if self.source.random() < 0.2:
            self._at_once()
        else:
            ask = self._ask(self.source.choice(CALLERS), self.source.choice(KEYS))
            self._judge([(ask, self._reply(ask))])

    def _version(self) -> int:
        return int(self.table.partition("rules")["flag#f"]["version"])

    def _ask(self, caller: str, key: str) -> Ask:
        """Often an earlier request with this key, else a new one."""
        known = self.known.get((caller, key))
        if known is not None and self.source.random() < 0.6:
            return known[0]
        number, version = self.source.randrange(1_000), self._version() + self.source.choice((0, 0, 0, -1))
        headers = {"if-match": f'"{version}"'}
        stage = {"stage": "percentage", "percent": number / 100, **WHY}
        member = {"add": {"users": [f"u{number}"]}, **WHY}
        new = {"stage": "ga", **WHY}
        ask: Ask = self.source.choice((
            Ask("POST /admin/v1/flags/{key}/stage", stage, F, headers),
            Ask("POST /admin/v1/flags/{key}/allow", member, F, headers),
            Ask("POST /admin/v1/flags/{key}/restore", {"reason": f"a test {number}"}, F),
            Ask("PUT /admin/v1/flags/{key}", new, {"key": f"n{number}"}, {"if-none-match": "*"}),
        ))  # fmt: skip
        return replace(ask, caller=caller, idem=key)

    def _reply(self, ask: Ask) -> Reply:
        self.requests += 1
        return Desk(self.table, self.clock, jitter=self.source.random, budget=30.0).answers(ask)

    def _at_once(self) -> None:
        """Send eight requests of one caller with one key, one or two bodies; sometimes the last is another caller's."""
        caller, key = self.source.choice(CALLERS), self.source.choice(KEYS)
        minds = [self._ask(caller, key) for _ in range(2)]
        asks = [self.source.choice(minds) for _ in range(8)]
        if self.source.random() < 0.3:
            asks[-1] = self._ask(CALLERS[caller == CALLERS[0]], key)
        self.table.turn = self.stage.turn
        replies = self.stage.run(self.source, [partial(self._reply, ask) for ask in asks])
        self.table.turn = lambda: None
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        if failed:
            raise failed[0]
        for each in CALLERS:
            self._judge([pair for pair in zip(asks, replies, strict=True) if pair[0].caller == each])

    def _judge(self, answered: list[tuple[Ask, Reply]]) -> None:
        """Check the answers of one caller and one key, in any order."""
        if not answered:
            return
        place = answered[0][0].caller, str(answered[0][0].idem)
        known = self.known.get(place)
        if known is None or known[2] + DAY <= self.clock():
            known = self._first(answered)
        for ask, reply in answered:
            if known is not None and ask == known[0]:
                assert reply == known[1], (known, reply)
            elif known is not None:
                assert reply.status in (422, 412, 404, 409), reply
                assert reply.slug == "idempotency-key-reused" or len(answered) > 1, reply
            else:
                assert reply.status in (404, 409, 412), reply

    def _first(self, answered: list[tuple[Ask, Reply]]) -> tuple[Ask, Reply, float] | None:
        """The request that took effect, if any."""
        done = [(ask, reply) for ask, reply in answered if reply.status < 300]
        if not done:
            return None
        ask, reply = done[0]
        self.made[ask.caller] += 1
        self.known[ask.caller, str(ask.idem)] = ask, reply, self.clock.now
        return self.known[ask.caller, str(ask.idem)]

    def check(self) -> None:
        """Check that each key has one entry, under its own caller."""
        authors = [entry["actor"]["arn"].rpartition("/")[2] for entry in entries(self.table)]
        assert {caller: authors.count(caller) for caller in CALLERS} == self.made
        assert check(self.table) == sum(self.made.values())


@pytest.mark.proof("requests with a reused key: concurrently, minutes and days later, by others, with other bodies")
@pytest.mark.parametrize("part", range(4))
@quiet()
def test_one_idempotency_key_makes_one_change(stage: Schedules, part: int, tally: Tally) -> None:
    for seed in range(part * many(5, 40), (part + 1) * many(5, 40)):
        walk = Walk(stage, seed)
        for _ in range(60):
            walk.step()
        walk.check()
        tally.add(requests=walk.requests, changes=sum(walk.made.values()))


@quiet()
def test_one_callers_stored_answer_is_never_sent_to_another() -> None:
    """Same key, route, and body: each caller has its own effect or its own refusal."""
    clock, table = FakeClock(), ReferenceTable()
    desk = Desk(table, clock)
    desk.must(Ask("PUT /admin/v1/flags/{key}", {"stage": "ga", "salt": "s3cret", **WHY}, F, {"if-none-match": "*"}))
    ask = Ask("POST /admin/v1/flags/{key}/stage", {"stage": "ga", **WHY}, F, {"if-match": '"1"'}, "once", "ann")
    first = desk.must(ask)
    other = desk.answers(replace(ask, caller="ben"))
    assert (other.status, other.slug) == (412, "precondition-failed")
    assert "s3cret" not in json.dumps(other.body)
    assert desk.answers(ask) == first
    assert check(table) == 2
