"""Concurrent admins, sessions, and readers in random schedules; each table call and each item read is a turn.

No update is lost, versions and revisions have no gaps, there are as many entries as successes, the chain verifies.
A table that ignores its conditions shows that the checks would find a lost update.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from dice import Dice
from in_memory_gate import InMemoryGate
from operators import (
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
)
from proofs import Tally, many
from reference_table import Fault, ReferenceTable, Unconditional, mixed
from schedules import Schedules

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.session import MAX_PER_SUBJECT, SESSION_TOKEN_LIFE
from headgate.store.port import Contended, Put, Unavailable
from headgate.store.record import Answer, Plan
from headgate.store.sessions import Capped
from headgate.store.snapshots import Standing, View

NOW = 1_780_000_000


@pytest.fixture(scope="module")
def stage() -> Iterator[Schedules]:
    schedules = Schedules(8)
    yield schedules
    schedules.close()


class Interleaving(InMemoryGate):
    """A gate whose table yields the turn at every step and reads in any order. One seed is one run."""

    def __init__(self, stage: Schedules, seed: int, kind: type[ReferenceTable] = ReferenceTable, page: int = 3) -> None:
        super().__init__(kind(page=page), seed=seed, budget=20.0)
        self.dice = Dice(self.source)
        self.table.turn = stage.turn
        self.table.order = lambda keys: self.source.sample(list(keys), len(keys))

    def reader(self, looks: int) -> Callable[[], list[View]]:
        """An environment that starts cold and decides live."""
        snapshots = self.cold()
        return lambda: [snapshots.live() for _ in range(looks)]

    def admin(self, name: str, changes: Sequence[tuple[str, Plan]]) -> Callable[[], list[Answer | Refusal]]:
        """An admin who makes these changes."""
        ops = self.operator(name)
        return lambda: [ops.does(key, plan) for key, plan in changes]

    def starter(self, number: int) -> Callable[[], str]:
        """Start a session of alice, retrying after each conflict."""

        def job() -> str:
            while True:
                with suppress(Contended):
                    self.start_session("alice", f"s{number}")
                    return "in"

        return job

    def renewer(self, later: int) -> Callable[[], bool]:
        """Renew alice's session, once."""

        def job() -> bool:
            held = self.sessions.find("alice", "s1")
            assert held is not None
            return held.is_live(NOW) and self.sessions.renew(held, held.renewed(NOW + later))

        return job

    def ender(self) -> Callable[[], bool]:
        """End the session, retrying until it is ended."""

        def job() -> bool:
            while True:
                held = self.sessions.find("alice", "s1")
                assert held is not None
                if self.sessions.renew(held, replace(held, ended=True)):
                    return True

        return job


def random_change(dice: Dice, key: str) -> Plan:
    """A change that an admin may make to a flag, with or without its version."""
    version = dice.one((None, None, 1, 2, 3, 4, 5))
    return dice.one((
        creation(key, stage="allowlist"),
        staging(key, dice.one(("admin_only", "allowlist", "ga")), if_match=version),
        staging(key, "percentage", dice.one((5, 10, 50)), if_match=version),
        listing(key, dice.one(("a", "b", "c")), if_match=version),
        killing(key), killing(key, "sever"), restoring(key),
        deletion(key, if_match=version or 99),
    ))  # fmt: skip


def admins_at_once(
    stage: Schedules, seed: int, kind: type[ReferenceTable] = ReferenceTable
) -> tuple[ReferenceTable, int]:
    """Three admins, three changes each, on two flags; return the table and the number of changes made."""
    gate = Interleaving(stage, seed, kind)
    dice, table, before = gate.dice, gate.table, 0
    if dice.chance(0.7):
        before = len([gate.operator().creates(key, stage="allowlist") for key in ("x", "y")])
    if dice.chance(0.5):
        sky = mixed(gate.source, {Fault.CONTENDED: 0.1, Fault.LOST_ANSWER: 0.1, Fault.LOST_REQUEST: 0.05})
        table.weather = lambda call: (
            found if (found := sky(call)) is not Fault.CONTENDED or call.op == "write" else None
        )
    jobs = []
    for name in ("ann", "ben", "cas"):
        keys = [dice.one(("x", "y")) for _ in range(3)]
        jobs.append(gate.admin(name, [(key, random_change(dice, key)) for key in keys]))
    made = [outcome for found in stage.run(gate.source, jobs) for outcome in _whole(found)]
    assert not any(isinstance(outcome, Refusal) and outcome.slug is Slug.BUSY for outcome in made)
    return table, before + sum(isinstance(outcome, Answer) for outcome in made)


def _whole(found: Any) -> Sequence[Answer | Refusal]:
    if isinstance(found, BaseException):
        raise found
    return list(found)


@pytest.mark.proof("three admins at once, in random schedules")
@pytest.mark.parametrize("part", range(5))
def test_concurrent_changes_lose_no_update(stage: Schedules, part: int, tally: Tally) -> None:
    """No gaps, as many entries as successes, and the chain verifies: 10,000 schedules in full."""
    most = many(200, 2_000)
    for seed in range(part * most, part * most + most):
        table, made = admins_at_once(stage, seed)
        assert check(table) == made, f"seed {seed}"
        tally.add(schedules=1, changes=made)


def test_one_seed_gives_one_schedule(stage: Schedules) -> None:
    """Otherwise a failure could not be reproduced."""
    for seed in (1, 2, 3):
        first, second = admins_at_once(stage, seed)[0], admins_at_once(stage, seed)[0]
        assert [(call.op, call.keys) for call in first.calls if "idem" not in str(call.keys)] == [
            (call.op, call.keys) for call in second.calls if "idem" not in str(call.keys)
        ]
        strip = ("request_id", "prev", "digest")
        assert [{n: v for n, v in entry.items() if n not in strip} for entry in entries(first)] == [
            {n: v for n, v in entry.items() if n not in strip} for entry in entries(second)
        ]


class Torn(ReferenceTable):
    """A planted fault: transactions that are not atomic."""

    def write(self, puts: Sequence[Put]) -> None:
        for put in puts:
            super().write([put])


@pytest.mark.parametrize("kind", [Unconditional, Torn])
def test_the_checks_find_lost_updates_on_a_faulty_table(stage: Schedules, kind: type[ReferenceTable]) -> None:
    def is_found(seed: int) -> bool:
        try:
            table, made = admins_at_once(stage, seed, kind)
            return check(table) != made
        except (AssertionError, KeyError, Unavailable):
            return True

    assert sum(is_found(seed) for seed in range(50)) > 15


def test_of_two_changes_with_one_if_match_one_is_refused(stage: Schedules) -> None:
    """Exactly one 200 and one 412, in either order."""
    for seed in range(200):
        gate = Interleaving(stage, seed)
        gate.operator().creates("f", stage="admin_only")
        plans = {"ann": staging("f", "allowlist", if_match=1), "ben": staging("f", "ga", if_match=1)}
        found = stage.run(gate.source, [gate.admin(name, [("f", plan)]) for name, plan in plans.items()])
        outcomes = [outcome for (outcome,) in found]
        (answer,) = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        (refusal,) = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        assert (refusal.slug, refusal.version) == (Slug.PRECONDITION_FAILED, 2)
        assert entries(gate.table)[-1]["after"]["stage"] == answer.body["stage"]
        assert check(gate.table) == 2


def test_one_request_sent_eight_times_at_once_is_one_change(stage: Schedules) -> None:
    """The same key in eight environments: one entry, eight equal answers, no false 412."""
    for seed in range(100):
        gate = Interleaving(stage, seed)
        ops = gate.operator()
        ops.creates("f", stage="admin_only")
        job = partial(ops.does, "f", staging("f", "ga", if_match=1), ops.call(idem="once"))
        outcomes = stage.run(gate.source, [job] * 8)
        assert all(isinstance(outcome, Answer) for outcome in outcomes), (seed, outcomes)
        assert len({repr(outcome) for outcome in outcomes}) == 1
        assert check(gate.table) == 2


def kill_among_others(stage: Schedules, seed: int) -> None:
    """A kill, two busy admins, two authorizers that note before each live decision whether the kill was answered."""
    gate = Interleaving(stage, seed)
    for key in ("f", "g"):
        gate.operator().creates(key, stage="ga")
    answered: list[bool] = []
    looks: list[tuple[bool, bool]] = []

    def kill() -> None:
        outcome = gate.operator("kill").does("f", killing("f"))
        answered.append(isinstance(outcome, Answer))

    def entry() -> None:
        snapshots = gate.cold()
        for _ in range(6):
            was_answered = answered == [True]
            view = snapshots.live()
            looks.append((was_answered, view.snapshot.rules.flags["f"].killed is not None))

    busy = [("f", staging("f", "percentage", 1)), ("g", staging("g", "percentage", 2)), ("f", staging("f", "ga"))]
    outcomes = stage.run(gate.source, [kill, gate.admin("ann", busy), gate.admin("ben", busy), entry, entry])
    assert not any(isinstance(outcome, BaseException) for outcome in outcomes), outcomes
    assert answered == [True]
    assert len(looks) == 12
    assert all(is_killed for was_answered, is_killed in looks if was_answered), seed
    check(gate.table)


def test_a_kill_succeeds_among_concurrent_changes_and_every_later_view_has_it(stage: Schedules) -> None:
    """Once it is answered, every live view contains it."""
    for seed in range(80):
        kill_among_others(stage, seed)


def test_a_fresh_view_equals_the_replay_of_the_stream_at_its_revision(stage: Schedules) -> None:
    """Readers start cold among writers."""
    for seed in range(150):
        gate = Interleaving(stage, seed)
        gate.operator().creates("x", stage="ga")
        jobs: list[Callable[[], Any]] = []
        for name in ("ann", "ben"):
            routes = replacement("routes", {"routes": [{"route": f"GET /{name}", "class": "observe"}]})
            plans = [(key, random_change(gate.dice, key)) for key in ("x", "y", "x")]
            jobs.append(gate.admin(name, [*plans, ("routes", routes)]))
        outcomes = stage.run(gate.source, [*jobs, gate.reader(4), gate.reader(4)])
        for views in outcomes[2:]:
            fresh = [view.snapshot for view in views if view.standing is Standing.FRESH]
            assert len(fresh) > 1
            assert all(same_rules(snapshot, replayed(gate.table, snapshot.revision)) for snapshot in fresh), seed
            revisions = [snapshot.revision for snapshot in fresh]
            assert revisions == sorted(revisions)


# -- sessions


def test_concurrent_starts_never_exceed_the_cap_on_sessions(stage: Schedules) -> None:
    """Six starts at once with three places left: exactly three succeed."""
    for seed in range(20):
        gate = Interleaving(stage, seed, page=40)
        gate.table.turn = lambda: None
        for number in range(MAX_PER_SUBJECT - 3):
            gate.start_session("alice", f"s{number}")
        gate.start_session("bob", "s0")
        gate.table.turn = stage.turn
        outcomes = stage.run(gate.source, [gate.starter(100 + number) for number in range(6)])
        assert outcomes.count("in") == 3, seed
        assert sum(isinstance(outcome, Capped) for outcome in outcomes) == 3
        assert gate.sessions.inside() == (MAX_PER_SUBJECT + 1, NOW + 86_400)


def test_concurrent_renewals_and_an_end_lose_no_change(stage: Schedules) -> None:
    """A change to a session is conditional on the record it read; an ended session is not renewed."""
    seen = set()
    for seed in range(200):
        gate = Interleaving(stage, seed)
        gate.start_session("alice", "s1")
        first, second, ended = stage.run(gate.source, [gate.renewer(10), gate.renewer(20), gate.ender()])
        assert ended is True
        held = gate.sessions.find("alice", "s1")
        assert held is not None
        assert held.ended
        later = held.expires_at - NOW - SESSION_TOKEN_LIFE
        assert later in {0} | ({10} if first else set()) | ({20} if second else set())
        assert (later == 0) is (not first and not second)
        seen.add((first, second))
    assert seen == {(True, True), (True, False), (False, True), (False, False)}
