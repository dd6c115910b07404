"""Admins, sessions and readers at once: random schedules, each call of the table and each item of a read a turn.

No update is lost, versions and revisions have no gaps, there are as many entries as successes, and the chain holds.
That the checks would find a lost update is tested too, on a table that forgets its conditions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import pytest
from dice import Dice
from fake_clock import FakeClock
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
)
from proofs import Tally, many
from reference_table import Fault, ReferenceTable, mixed
from schedules import Schedules

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.session import MAX_PER_SUBJECT, SESSION_TOKEN_LIFE, Session, start
from headgate.store.port import Contended, Put, Unavailable
from headgate.store.record import Answer, Plan
from headgate.store.sessions import Capped, Sessions
from headgate.store.snapshots import Snapshots, Standing, View

NOW = 1_780_000_000.0


@pytest.fixture(scope="module")
def stage() -> Iterator[Schedules]:
    schedules = Schedules(8)
    yield schedules
    schedules.close()


class World:
    """A table whose every step is a turn, whose reads come in any order; a clock, and people. One seed is one run."""

    def __init__(self, stage: Schedules, seed: int, kind: type[ReferenceTable] = ReferenceTable, page: int = 3) -> None:
        self.source, self.clock = Random(seed), FakeClock(NOW)
        self.thrown = Dice(self.source)
        self.table = kind(page=page)
        self.table.turn = stage.turn
        self.table.order = lambda keys: self.source.sample(list(keys), len(keys))
        self.sessions = Sessions(self.table, clock=self.clock)

    def operator(self, name: str = "ops") -> Operator:
        """Somebody with patience."""
        return Operator(self.table, self.clock, name=name, jitter=self.source.random, budget=20.0)

    def reader(self, looks: int) -> Callable[[], list[View]]:
        """An environment that starts cold and decides live."""
        snapshots = Snapshots(self.table, clock=self.clock)
        return lambda: [snapshots.live() for _ in range(looks)]

    def admin(self, name: str, changes: Sequence[tuple[str, Plan]]) -> Callable[[], list[Answer | Refusal]]:
        """Somebody who makes these changes."""
        ops = self.operator(name)
        return lambda: [ops.does(key, plan) for key, plan in changes]

    def starter(self, number: int) -> Callable[[], str]:
        """Somebody who starts a session of alice's, however often others come first."""

        def job() -> str:
            while True:
                with suppress(Contended):
                    self.sessions.start(session("alice", number))
                    return "in"

        return job

    def renewer(self, later: int) -> Callable[[], bool]:
        """Somebody who renews alice's session, once."""

        def job() -> bool:
            held = self.sessions.find("alice", "s1")
            assert held is not None
            return held.is_live(NOW) and self.sessions.renew(held, held.renewed(int(NOW) + later))

        return job

    def ender(self) -> Callable[[], bool]:
        """Somebody who ends it, for good."""

        def job() -> bool:
            while True:
                held = self.sessions.find("alice", "s1")
                assert held is not None
                if self.sessions.renew(held, replace(held, ended=True)):
                    return True

        return job


def session(subject: str, number: int) -> Session:
    """One that begins now."""
    return start(
        subject=subject, session_id=f"s{number}", now=int(NOW), orgs=("o",), admin=False,
        attributes={"plan": "pro"}, client_id="web",
    )  # fmt: skip


def random_change(thrown: Dice, key: str) -> Plan:
    """What an admin may do to a flag, with or without knowing its version."""
    version = thrown.one((None, None, 1, 2, 3, 4, 5))
    return thrown.one((
        creation(key, stage="allowlist"),
        staging(key, thrown.one(("admin_only", "allowlist", "ga")), if_match=version),
        staging(key, "percentage", thrown.one((5, 10, 50)), if_match=version),
        listing(key, thrown.one(("a", "b", "c")), if_match=version),
        killing(key), killing(key, "sever"), restoring(key),
        deletion(key, if_match=version or 99),
    ))  # fmt: skip


def admins_at_once(
    stage: Schedules, seed: int, kind: type[ReferenceTable] = ReferenceTable
) -> tuple[ReferenceTable, int]:
    """Three admins, three changes each, on two flags; gives the table and how many changes were made."""
    world = World(stage, seed, kind)
    thrown, table, before = world.thrown, world.table, 0
    if thrown.chance(0.7):
        before = len([world.operator().creates(key, stage="allowlist") for key in ("x", "y")])
    if thrown.chance(0.5):
        sky = mixed(world.source, {Fault.CONTENDED: 0.1, Fault.LOST_ANSWER: 0.1, Fault.LOST_REQUEST: 0.05})
        table.weather = lambda call: (
            found if (found := sky(call)) is not Fault.CONTENDED or call.op == "write" else None
        )
    jobs = []
    for name in ("ann", "ben", "cas"):
        keys = [thrown.one(("x", "y")) for _ in range(3)]
        jobs.append(world.admin(name, [(key, random_change(thrown, key)) for key in keys]))
    made = [outcome for found in stage.run(world.source, jobs) for outcome in _whole(found)]
    assert not any(isinstance(outcome, Refusal) and outcome.slug is Slug.BUSY for outcome in made)
    return table, before + sum(isinstance(outcome, Answer) for outcome in made)


def _whole(found: Any) -> Sequence[Answer | Refusal]:
    if isinstance(found, BaseException):
        raise found
    return list(found)


@pytest.mark.proof("three admins at once, in random schedules")
@pytest.mark.parametrize("part", range(5))
def test_admins_at_once(stage: Schedules, part: int, tally: Tally) -> None:
    """No update lost, no gaps, as many entries as successes, and the chain holds: 10,000 schedules in full."""
    most = many(400, 2_000)
    for seed in range(part * most, part * most + most):
        table, made = admins_at_once(stage, seed)
        assert check(table) == made, f"seed {seed}"
        tally.add(schedules=1, changes=made)


def test_a_schedule_is_its_seed(stage: Schedules) -> None:
    """Else a failure could not be seen again."""
    for seed in (1, 2, 3):
        first, second = admins_at_once(stage, seed)[0], admins_at_once(stage, seed)[0]
        assert [(call.op, call.keys) for call in first.calls if "idem" not in str(call.keys)] == [
            (call.op, call.keys) for call in second.calls if "idem" not in str(call.keys)
        ]
        strip = ("request_id", "prev", "digest")
        assert [{n: v for n, v in entry.items() if n not in strip} for entry in entries(first)] == [
            {n: v for n, v in entry.items() if n not in strip} for entry in entries(second)
        ]


class Careless(ReferenceTable):
    """A planted fault: no write holds its conditions."""

    def write(self, puts: Sequence[Put]) -> None:
        super().write([replace(put, absent=False, equals=None, expired=None) for put in puts])


class Torn(ReferenceTable):
    """A planted fault: transactions that are none."""

    def write(self, puts: Sequence[Put]) -> None:
        for put in puts:
            super().write([put])


@pytest.mark.parametrize("kind", [Careless, Torn])
def test_the_checks_would_find_a_lost_update(stage: Schedules, kind: type[ReferenceTable]) -> None:
    def is_found(seed: int) -> bool:
        try:
            table, made = admins_at_once(stage, seed, kind)
            return check(table) != made
        except (AssertionError, KeyError, Unavailable):
            return True

    assert sum(is_found(seed) for seed in range(50)) > 15


def test_of_two_admins_with_one_version_one_is_told(stage: Schedules) -> None:
    """One 200, one 412, whoever comes first; never two, never none."""
    for seed in range(200):
        world = World(stage, seed)
        world.operator().creates("f", stage="admin_only")
        plans = {"ann": staging("f", "allowlist", if_match=1), "ben": staging("f", "ga", if_match=1)}
        found = stage.run(world.source, [world.admin(name, [("f", plan)]) for name, plan in plans.items()])
        outcomes = [outcome for (outcome,) in found]
        (answer,) = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        (refusal,) = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        assert (refusal.slug, refusal.version) == (Slug.PRECONDITION_FAILED, 2)
        assert entries(world.table)[-1]["after"]["stage"] == answer.body["stage"]
        assert check(world.table) == 2


def test_one_call_eight_times_at_once_is_one_change(stage: Schedules) -> None:
    """The same key from eight environments: one entry, eight times the same answer, no false 412."""
    for seed in range(100):
        world = World(stage, seed)
        ops = world.operator()
        ops.creates("f", stage="admin_only")
        job = partial(ops.does, "f", staging("f", "ga", if_match=1), ops.call(idem="once"))
        outcomes = stage.run(world.source, [job] * 8)
        assert all(isinstance(outcome, Answer) for outcome in outcomes), (seed, outcomes)
        assert len({repr(outcome) for outcome in outcomes}) == 1
        assert check(world.table) == 2


def kill_among_others(stage: Schedules, seed: int) -> None:
    """A kill, two busy admins, two gates that look whether it was answered before each live decision."""
    world = World(stage, seed)
    for key in ("f", "g"):
        world.operator().creates(key, stage="ga")
    answered: list[bool] = []
    looks: list[tuple[bool, bool]] = []

    def kill() -> None:
        outcome = world.operator("kill").does("f", killing("f"))
        answered.append(isinstance(outcome, Answer))

    def gate() -> None:
        snapshots = Snapshots(world.table, clock=world.clock)
        for _ in range(6):
            was_answered = answered == [True]
            view = snapshots.live()
            looks.append((was_answered, view.snapshot.rules.flags["f"].killed is not None))

    busy = [("f", staging("f", "percentage", 1)), ("g", staging("g", "percentage", 2)), ("f", staging("f", "ga"))]
    outcomes = stage.run(world.source, [kill, world.admin("ann", busy), world.admin("ben", busy), gate, gate])
    assert not any(isinstance(outcome, BaseException) for outcome in outcomes), outcomes
    assert answered == [True]
    assert len(looks) == 12
    assert all(is_killed for was_answered, is_killed in looks if was_answered), seed
    check(world.table)


def test_kills_get_through_whatever_else_goes_on(stage: Schedules) -> None:
    """It succeeds, and from its answer on every live view holds it."""
    for seed in range(80):
        kill_among_others(stage, seed)


def test_a_fresh_view_is_the_record_at_its_revision(stage: Schedules) -> None:
    """Readers that start cold, among writers: what they serve as fresh is exactly the replay of the stream."""
    for seed in range(150):
        world = World(stage, seed)
        world.operator().creates("x", stage="ga")
        jobs: list[Callable[[], Any]] = []
        for name in ("ann", "ben"):
            routes = replacement("routes", {"routes": [{"route": f"GET /{name}", "class": "observe"}]})
            plans = [(key, random_change(world.thrown, key)) for key in ("x", "y", "x")]
            jobs.append(world.admin(name, [*plans, ("routes", routes)]))
        outcomes = stage.run(world.source, [*jobs, world.reader(4), world.reader(4)])
        for views in outcomes[2:]:
            fresh = [view.snapshot for view in views if view.standing is Standing.FRESH]
            assert len(fresh) > 1
            assert all(same_rules(snapshot, replayed(world.table, snapshot.revision)) for snapshot in fresh), seed
            revisions = [snapshot.revision for snapshot in fresh]
            assert revisions == sorted(revisions)


# -- sessions


def test_the_cap_on_sessions_is_exact(stage: Schedules) -> None:
    """Six starts at once with three places left: three are in, whoever is first."""
    for seed in range(20):
        world = World(stage, seed, page=40)
        world.table.turn = lambda: None
        for number in range(MAX_PER_SUBJECT - 3):
            world.sessions.start(session("alice", number))
        world.sessions.start(session("bob", 0))
        world.table.turn = stage.turn
        outcomes = stage.run(world.source, [world.starter(100 + number) for number in range(6)])
        assert outcomes.count("in") == 3, seed
        assert sum(isinstance(outcome, Capped) for outcome in outcomes) == 3
        assert world.sessions.inside() == (MAX_PER_SUBJECT + 1, int(NOW) + 86_400)


def test_of_renewals_and_an_end_at_once_none_is_lost(stage: Schedules) -> None:
    """Whoever changes a session does so on what it read; once ended, nobody renews it."""
    seen = set()
    for seed in range(200):
        world = World(stage, seed)
        world.sessions.start(session("alice", 1))
        first, second, ended = stage.run(world.source, [world.renewer(10), world.renewer(20), world.ender()])
        assert ended is True
        held = world.sessions.find("alice", "s1")
        assert held is not None
        assert held.ended
        later = held.expires_at - int(NOW) - SESSION_TOKEN_LIFE
        assert later in {0} | ({10} if first else set()) | ({20} if second else set())
        assert (later == 0) is (not first and not second)
        seen.add((first, second))
    assert seen == {(True, True), (True, False), (False, True), (False, False)}
