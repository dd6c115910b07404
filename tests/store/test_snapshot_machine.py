"""Writers, outages, clock jumps, restored backups, in any order: the rules served always keep their guarantees.

After each read: fresh equals the replay of the stream at the head; stale is within the bound; nothing is
served that was never in force; a kill in the newest head that an environment has read applies there.
"""

from dataclasses import dataclass

import pytest
from dice import Dice
from fake_clock import FakeClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from operators import (
    Operator,
    check,
    creation,
    deletion,
    entries,
    killing,
    replacement,
    replayed,
    restoring,
    same_rules,
    staging,
    writing,
)
from proofs import Tally, many
from reference_table import Fault, ReferenceTable, always, clear

from headgate.store.items import read_head
from headgate.store.snapshots import BREAKER, SOFT_TTL, Snapshots, Standing, View

KEYS = ("x", "y", "z")
FLAGS = st.sampled_from(KEYS)
OUTAGES = st.sampled_from([Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.THROTTLED])


@dataclass
class Environment:
    """An environment that serves, and what is known about it."""

    snapshots: Snapshots
    fresh_at: float | None = None
    max_stale: int = 60
    revision: int = -1
    rewound: bool = False
    killed: frozenset[str] = frozenset()


class Machine(RuleBasedStateMachine):
    """One table, one operator, three environments."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.table = FakeClock(), ReferenceTable(page=3)
        self.ops = Operator(self.table, self.clock)
        self.environments = [self.started() for _ in range(3)]
        self.backups: list[dict[str, dict[str, object]]] = []
        self.looks = 0

    def started(self) -> Environment:
        return Environment(Snapshots(self.table, clock=self.clock, jitter=lambda: 0.5))

    def changes(self, key: str, plan: object) -> None:
        """A change that succeeds despite faults: the operator does not share the environments' network."""
        weather, self.table.weather = self.table.weather, clear
        self.ops.does(key, plan)  # type: ignore[arg-type]
        self.table.weather = weather

    # -- events

    @rule(key=FLAGS, thrown=st.randoms(use_true_random=False))
    def create_or_write(self, key: str, thrown: object) -> None:
        document = Dice(thrown).flag(key, [other for other in KEYS if other < key])  # type: ignore[arg-type]
        self.changes(key, creation(key, **{n: v for n, v in document.items() if n != "key"}))
        self.changes(key, writing(key, document))

    @rule(key=FLAGS, stage=st.sampled_from(["admin_only", "allowlist", "ga"]))
    def move(self, key: str, stage: str) -> None:
        self.changes(key, staging(key, stage))

    @rule(key=FLAGS, reach=st.sampled_from(["gate", "drain", "sever"]))
    def kill(self, key: str, reach: str) -> None:
        self.changes(key, killing(key, reach))

    @rule(key=FLAGS)
    def restore_flag(self, key: str) -> None:
        self.changes(key, restoring(key))

    @rule(key=FLAGS)
    def delete(self, key: str) -> None:
        self.changes(key, deletion(key))

    @rule(seconds=st.sampled_from([0, 1, 60, 3_600]))
    def set_bound(self, seconds: int) -> None:
        self.changes("profile", replacement("profile", {"access": "x", "max_stale": seconds, "token": {}}))

    @rule(count=st.integers(90, 130))
    def storm(self, count: int) -> None:
        """More changes than are followed entry by entry."""
        self.changes("x", creation("x"))
        for number in range(count):
            self.changes("x", staging("x", "percentage", number % 100))

    @rule(fault=OUTAGES)
    def break_everything(self, fault: Fault) -> None:
        self.table.weather = always(fault)

    @rule(fault=OUTAGES)
    def break_all_but_the_head(self, fault: Fault) -> None:
        self.table.weather = lambda call: None if call.keys == (("head", "head"),) and call.op == "get" else fault

    @rule(number=st.integers(0, 4), fault=OUTAGES)
    def break_one_call(self, number: int, fault: Fault) -> None:
        start = len(self.table.calls)
        self.table.weather = lambda call: fault if call.number == start + number else None

    @rule()
    def heal(self) -> None:
        self.table.weather = clear
        self.clock.advance(BREAKER)

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 5.0, 30.0, 60.0, 4_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([0.5, 30.0, 600.0]))
    def the_clock_goes_back(self, seconds: float) -> None:
        self.clock.advance(-seconds)

    @rule(index=st.integers(0, 2))
    def start_anew(self, index: int) -> None:
        self.environments[index] = self.started()

    @rule()
    def back_up(self) -> None:
        self.backups.append(self.table.saved())  # type: ignore[arg-type]

    @precondition(lambda self: self.backups)
    @rule(index=st.integers(0, 9), goes_on=st.booleans())
    def put_back(self, index: int, goes_on: bool) -> None:
        """Restore a backup; later changes then reuse revisions with other rules."""
        before = read_head(self.table.partition("head").get("head")).revision
        self.table.restore(self.backups[index % len(self.backups)])  # type: ignore[arg-type]
        while goes_on and read_head(self.table.partition("head").get("head")).revision < before:
            self.changes("profile", replacement("profile", {"access": "y", "max_stale": 60, "token": {}}))
        for environment in self.environments:
            environment.rewound = True

    # -- rare combinations

    @rule(key=FLAGS, first=OUTAGES, then=OUTAGES)
    def kill_in_trouble(self, key: str, first: Fault, then: Fault) -> None:
        """A kill that is visible in the head but cannot be followed; then a complete outage."""
        self.changes(key, creation(key, stage="ga"))
        self.look_everywhere()
        self.changes(key, killing(key))
        self.break_all_but_the_head(first)
        self.look_everywhere()
        self.break_everything(then)
        self.look_everywhere()

    @rule(key=FLAGS)
    def rewrite_history(self, key: str) -> None:
        """Restore a backup and make other changes up to a revision that existed before."""
        self.back_up()
        self.changes(key, creation(key, stage="ga"))
        self.changes(key, killing(key))
        self.look_everywhere()
        self.put_back(-1, goes_on=True)
        self.look_everywhere()

    def look_everywhere(self) -> None:
        for index in range(len(self.environments)):
            self.look_live(index)
            self.look_soft(index)

    # -- reads

    @rule(index=st.integers(0, 2))
    def look_live(self, index: int) -> None:
        environment = self.environments[index]
        start = len(self.table.calls)
        view = environment.snapshots.live()
        self.judge(environment, view)
        if view.standing is Standing.FRESH:
            head = read_head(self.table.partition("head").get("head"))
            assert view.snapshot.revision == head.revision
            assert same_rules(view.snapshot, replayed(self.table)), "stamped with a revision that it does not contain"
            assert len(self.table.calls) > start
        self.kills_hold(environment, view, start)

    @rule(index=st.integers(0, 2))
    def look_soft(self, index: int) -> None:
        environment = self.environments[index]
        start, before = len(self.table.calls), environment.fresh_at
        view = environment.snapshots.soft()
        if view.standing is Standing.FRESH and len(self.table.calls) == start:
            assert before is not None
            assert 0 <= self.clock() - before < SOFT_TTL, "served for longer without a look than promised"
        elif view.standing is Standing.FRESH:
            assert same_rules(view.snapshot, replayed(self.table))
        self.judge(environment, view, read=len(self.table.calls) > start)
        self.kills_hold(environment, view, start)

    def judge(self, environment: Environment, view: View, *, read: bool = True) -> None:
        """Check what must be true after any read."""
        self.looks += 1
        if view.standing is Standing.FRESH:
            if read:
                environment.fresh_at = self.clock()
            environment.max_stale = view.snapshot.profile.max_stale
            assert view.snapshot.revision >= environment.revision or environment.rewound, "an environment went back"
            environment.revision, environment.rewound = view.snapshot.revision, environment.rewound and not read
        elif view.standing is Standing.STALE:
            assert environment.fresh_at is not None, "cold and stale"
            assert 0 <= self.clock() - environment.fresh_at < environment.max_stale, "the bound on staleness"

    def kills_hold(self, environment: Environment, view: View, start: int) -> None:
        """A flag that is killed in the newest head that this environment has read denies."""
        reached = [call for call in self.table.calls[start:] if call.keys[0] == ("head", "head")]
        if reached and self.table.weather(reached[0]) is None:
            environment.killed = frozenset(read_head(self.table.partition("head").get("head")).killed)
        for key in environment.killed:
            flag = view.snapshot.rules.flags.get(key)
            assert flag is None or flag.killed is not None, "a kill that was seen was not in force"

    @invariant()
    def the_table_is_one(self) -> None:
        if len(entries(self.table)) < 60:
            check(self.table)


@pytest.mark.proof("the state machine of the rules that an environment serves")
def test_snapshots_keep_their_guarantees_in_any_order_of_events(tally: Tally) -> None:
    """Each run is a history of up to 50 steps, including rare combinations."""
    runs, steps = many(8, 5_000), 50

    class Counted(Machine):
        def teardown(self) -> None:
            tally.add(runs=1, looks=self.looks)

    run_state_machine_as_test(Counted, settings=settings(max_examples=runs, stateful_step_count=steps))
