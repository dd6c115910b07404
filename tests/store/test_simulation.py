"""Twenty environments, three admins, and a table with changing faults; one seed is one run.

No threads: another admin's change may fall between any two items that an environment reads; the seed decides that and
everything else. At each read: an answered kill is in force, staleness is bounded, no environment goes back.
At the end, after all unanswered calls were repeated: as many entries as answers, no gaps, one state.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

import pytest
from in_memory_gate import InMemoryGate
from operators import (
    Operator,
    check,
    creation,
    deletion,
    killing,
    listing,
    replayed,
    restoring,
    same_rules,
    staging,
)
from proofs import Tally, many
from reference_table import Fault, ReferenceTable, Weather, always, clear, mixed

from headgate.core.changes.refusal import Refusal, Slug
from headgate.store.items import read_head
from headgate.store.port import Unavailable
from headgate.store.record import Answer, Call, Plan
from headgate.store.snapshots import SOFT_TTL, Snapshots, Standing, View

KEYS = ("a", "b", "c", "d")
ENVIRONMENTS, STEPS = 20, 300
MAX_STALE = 60
"""Seconds: the default without a profile."""


@dataclass
class Environment:
    """An environment that serves, and what is known about it."""

    snapshots: Snapshots
    fresh_at: float | None = None
    revision: int = -1


class Simulation(InMemoryGate):
    """`open_calls` were not answered. `killed` are the answered kills that nobody has tried to lift:
    by flag, the time and the number of the call. `lifting` counts, by flag, the calls that may have lifted a kill.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(ReferenceTable(page=40), seed=seed)
        self.killed: dict[str, tuple[float, int]] = {}
        self.lifting = Counter[str]()
        self.open_calls: list[tuple[Operator, str, Plan, Call]] = []
        self.trace: list[str] = []
        self.calls = self.answers = self.looks = 0
        self.is_between = False
        self.admins = [self.operator(name) for name in ("ann", "ben", "cas")]
        self.environments = [Environment(self.cold()) for _ in range(ENVIRONMENTS)]
        self.table.turn = self.between
        self.table.order = lambda keys: self.source.sample(list(keys), len(keys))

    def step(self) -> None:
        """Do one random thing."""
        happenings = {
            self.look_live: 30, self.look_soft: 35, self.change: 14, self.time_passes: 10, self.weather_turns: 5,
            self.restart: 3, self.retry: 3,
        }  # fmt: skip
        self.source.choices(list(happenings), list(happenings.values()))[0]()

    # -- events

    def between(self) -> None:
        """Sometimes make a change between two items of a read, by an admin whose network works."""
        if not self.is_between and self.source.random() < 0.004:
            self.is_between, weather, self.table.weather = True, self.table.weather, clear
            self.change()
            self.is_between, self.table.weather = False, weather

    def change(self) -> None:
        key, admin = self.source.choice(KEYS), self.source.choice(self.admins)
        plans: tuple[tuple[int, Callable[[], Plan]], ...] = (
            (6, lambda: creation(key, stage="ga")),
            (6, lambda: staging(key, "percentage", self.source.randrange(100))),
            (3, lambda: listing(key, f"u{self.source.randrange(9)}")),
            (6, lambda: killing(key, self.source.choice(("gate", "sever")))),
            (4, lambda: restoring(key)),
            (1, lambda: deletion(key)),
        )
        number = self.source.choices(range(len(plans)), [weight for weight, _plan in plans])[0]
        self.calls += 1
        call = admin.call(idem=f"call-{self.calls}")
        self._calls(admin, key, plans[number][1](), call, is_kill=number == 3, may_lift=number in (4, 5))

    def _calls(self, admin: Operator, key: str, plan: Plan, call: Call, *, is_kill: bool, may_lift: bool) -> None:
        lifting = self.lifting[key]
        try:
            outcome = admin.does(key, plan, call)
        except Unavailable:
            self.open_calls.append((admin, key, plan, call))
            self.trace.append(f"? {key}")
            return
        finally:
            if may_lift:  # it may have lifted a later kill, answered or not
                self.killed.pop(key, None)
                self.lifting[key] += 1
        self._count(outcome)
        # Its answer may be that of an attempt which committed before another admin lifted it.
        is_lifted = self.lifting[key] > lifting or self._may_be_lifted(key)
        if is_kill and isinstance(outcome, Answer) and not is_lifted:
            self.killed[key] = self.clock(), self.calls

    def _may_be_lifted(self, key: str) -> bool:
        """Whether an unanswered call on the flag may still take effect."""
        return any(each == key for _admin, each, _plan, _call in self.open_calls)

    def _count(self, outcome: Answer | Refusal) -> None:
        self.answers += isinstance(outcome, Answer)
        self.trace.append(f"{outcome.status if isinstance(outcome, Answer) else outcome.slug}")

    def retry(self) -> None:
        """Repeat an unanswered call with its Idempotency-Key. It may lift a kill."""
        if not self.open_calls:
            return
        admin, key, plan, call = self.open_calls[0]
        try:
            outcome = admin.does(key, plan, call)
        except Unavailable:
            return
        finally:
            self.killed.pop(key, None)
        if isinstance(outcome, Refusal) and outcome.slug is Slug.BUSY:
            return
        del self.open_calls[0]
        self._count(outcome)

    def time_passes(self) -> None:
        self.clock.advance(self.source.choice((0.1, 0.5, 1.0, 2.0, 5.0, 30.0)))

    def weather_turns(self) -> None:
        foul = {Fault.LOST_ANSWER: 0.1, Fault.LOST_REQUEST: 0.1, Fault.THROTTLED: 0.1}
        kinds: tuple[Weather, ...] = (clear, clear, always(Fault.LOST_REQUEST), always(Fault.THROTTLED),
                                      mixed(self.source, foul), _only_the_head)  # fmt: skip
        self.table.weather = self.source.choice(kinds)

    def restart(self) -> None:
        self.environments[self.source.randrange(ENVIRONMENTS)] = Environment(self.cold())

    # -- reads

    def look_live(self) -> None:
        environment, killed = self.source.choice(self.environments), dict(self.killed)
        view = environment.snapshots.live()
        if view.standing is Standing.FRESH:
            self._kills_hold(view, dict(killed.items() & self.killed.items()))
        self._bounds_hold(environment, view, has_read=True)

    def look_soft(self) -> None:
        environment, now = self.source.choice(self.environments), self.clock()
        long_ago = {key: kill for key, kill in self.killed.items() if kill[0] <= now - SOFT_TTL}
        start = len(self.table.calls)
        view = environment.snapshots.soft()
        if view.standing is Standing.FRESH:
            self._kills_hold(view, dict(long_ago.items() & self.killed.items()))
        self._bounds_hold(environment, view, has_read=len(self.table.calls) > start)

    def _kills_hold(self, view: View, killed: Iterable[str]) -> None:
        self.looks += 1
        for key in killed:
            flag = view.snapshot.rules.flags.get(key)
            assert flag is None or flag.killed is not None, "a kill that was answered was not in force"

    def _bounds_hold(self, environment: Environment, view: View, *, has_read: bool) -> None:
        self.trace.append(f"{view.standing}{view.snapshot.revision}")
        if view.standing is Standing.FRESH:
            environment.fresh_at = self.clock() if has_read else environment.fresh_at
            assert environment.fresh_at is not None
            assert self.clock() - environment.fresh_at < SOFT_TTL
            assert view.snapshot.revision >= environment.revision, "an environment went back"
            environment.revision = view.snapshot.revision
        elif view.standing is Standing.STALE:
            assert environment.fresh_at is not None, "cold and stale"
            assert self.clock() - environment.fresh_at < MAX_STALE, "the bound on staleness"

    # -- the end

    def finish(self) -> None:
        """End the faults and repeat all open calls; then every environment equals the record."""
        self.table.weather, self.table.turn = clear, lambda: None
        self.clock.advance(2 * SOFT_TTL)
        while self.open_calls:
            self.retry()
        assert check(self.table) == self.answers
        for environment in self.environments:
            view = environment.snapshots.live()
            assert view.standing is Standing.FRESH
            assert view.snapshot.revision == read_head(self.table.partition("head").get("head")).revision
        assert same_rules(view.snapshot, replayed(self.table))

    def fingerprint(self) -> str:
        """A digest of everything that happened."""
        return sha256("\n".join(self.trace).encode()).hexdigest()


def _only_the_head(call: object) -> Fault | None:
    keys, op = call.keys, call.op  # type: ignore[attr-defined]
    return None if op == "get" and keys == (("head", "head"),) else Fault.LOST_REQUEST


def run(seed: int) -> Simulation:
    """One simulation, from its beginning to its end."""
    simulation = Simulation(seed)
    for _ in range(STEPS):
        simulation.step()
    simulation.finish()
    return simulation


@pytest.mark.proof("simulations of 20 environments and 3 admins, 300 steps each")
@pytest.mark.parametrize("part", range(4))
def test_no_simulation_breaks_a_promise(part: int, tally: Tally) -> None:
    most = many(5, 5_000)
    for seed in range(part * most, part * most + most):
        try:
            simulation = run(seed)
        except AssertionError as failure:
            raise AssertionError(f"seed {seed}") from failure
        tally.add(simulations=1, changes=simulation.answers, looks=simulation.looks)


def test_one_seed_gives_one_run() -> None:
    """Otherwise a failure could not be reproduced."""
    for seed in (1, 2, 3):
        assert len({run(seed).fingerprint() for _ in range(10)}) == 1
