"""Many environments at once, counted read by read: cold starts all together, and warm ones which refresh in their time.

Each environment is a `Snapshots` of its own on one reference table and one clock; requests come at random. What a read
costs is counted as DynamoDB does: one unit for each 4 KB, read consistently (one head, one page of rules).
"""

import heapq
import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from fake_clock import FakeClock
from operators import Operator, killing
from proofs import Tally, many
from reference_table import Call, ReferenceTable

from headgate.core.ruleset import Ruleset
from headgate.store.snapshots import SOFT_JITTER, SOFT_TTL, Snapshots, Standing

FLAGS, FEW = 100, 10
COLD, COLD_SECONDS = many(200, 1_000), 10.0
REQUESTS_A_SECOND = 20.0
"""To each warm environment: so many that what spreads their refreshes is the jitter and not chance."""


class World:
    """One table with some rules, and a count of what is read in each second."""

    def __init__(self, *, flags: int, seed: int = 1) -> None:
        self.source, self.clock, self.table = Random(seed), FakeClock(0.0), ReferenceTable()
        self.ops = Operator(self.table, self.clock)
        for number in range(flags):
            self.ops.creates(f"flag-{number}", stage="ga", owner="a team", description="what it is good for")
        self.reads: Counter[int] = Counter()
        self.table.weather = self._counted

    def _counted(self, call: Call) -> None:
        if call.keys[0] == ("head", "head") and call.op == "get":
            self.reads[int(self.clock())] += 1

    def environment(self) -> Snapshots:
        """One more."""
        return Snapshots(self.table, clock=self.clock, jitter=self.source.random)

    def units_of_the_rules(self) -> int:
        """What a whole load reads."""
        size = sum(len(json.dumps(item)) for item in self.table.partition("rules").values())
        return -(-size // 4_096)


@pytest.mark.proof("cold starts within ten seconds")
def test_a_cold_start_is_one_load_between_two_looks_at_the_head(tally: Tally) -> None:
    """The second look is what makes the load whole: it tells what was changed while it was read."""
    world = World(flags=FLAGS)
    for at in sorted(world.source.uniform(0, COLD_SECONDS) for _ in range(COLD)):
        world.clock.now = at
        world.table.calls.clear()
        view = world.environment().soft()
        assert view.standing is Standing.FRESH
        assert len(view.snapshot.rules.flags) == FLAGS
        assert [call.op for call in world.table.calls] == ["get", "query", "get"]
        tally.add(cold_starts=1, head_reads=2, whole_loads=1)
    units = 2 + world.units_of_the_rules()
    tally.most(read_units_for_one=units, read_units_in_the_worst_second=max(world.reads.values()) // 2 * units)


class Requests:
    """Requests to many environments, in the order of time."""

    def __init__(self, world: World, environments: list[Snapshots], *, start_within: float) -> None:
        self._world, self._environments = world, environments
        self._due = [(world.source.uniform(0, start_within), n) for n in range(len(environments))]
        heapq.heapify(self._due)

    def until(self, end: float) -> list[Ruleset]:
        """What each of them last knew."""
        known: dict[int, Any] = {}
        clock, source = self._world.clock, self._world.source
        while self._due[0][0] < end:
            clock.now, number = self._due[0]
            before = len(self._world.table.calls)
            view = self._environments[number].soft()
            assert view.standing is Standing.FRESH
            known[number] = view.snapshot.rules
            has_read = len(self._world.table.calls) > before  # then what comes in the next 4 s reads nothing
            rest = SOFT_TTL - SOFT_JITTER if has_read else 0.0
            heapq.heapreplace(self._due, (clock.now + rest + source.expovariate(REQUESTS_A_SECOND), number))
        clock.now = end
        return list(known.values())


TOGETHER = pytest.mark.proof("warm environments that all started in one second")
APART = pytest.mark.proof("warm environments that started within ten seconds")


@pytest.mark.parametrize(
    "start_within", [pytest.param(1.0, marks=TOGETHER), pytest.param(10.0, marks=APART)], ids=["together", "apart"]
)
def test_refreshes_are_spread_by_jitter(start_within: float, tally: Tally) -> None:
    """Two minutes; the second is counted. The first two seconds hold the starts themselves, at two looks each."""
    world, count, span = World(flags=FEW), many(300, 10_000), 60
    requests = Requests(world, [world.environment() for _ in range(count)], start_within=start_within)
    requests.until(2.0 * span)
    late = [world.reads[second] for second in range(span, 2 * span)]
    mean, peak = sum(late) / span, max(late)
    assert mean <= count / (SOFT_TTL - SOFT_JITTER)
    assert peak <= 1.6 * mean
    early = max(world.reads[second] for second in range(2, 12))
    tally.add(environments=count, refreshes=sum(late))
    tally.most(head_reads_in_the_mean_second=round(mean), in_the_worst=peak, in_the_worst_after_the_start=early)


def test_a_change_reaches_all_within_five_seconds_by_one_entry_each() -> None:
    """No herd of whole loads: whoever is warm reads the head and the entry that is new."""
    world, count = World(flags=FEW), 300
    requests = Requests(world, [world.environment() for _ in range(count)], start_within=5.0)
    requests.until(20.0)
    world.ops.makes("flag-7", killing("flag-7"))
    world.table.calls.clear()
    known = requests.until(20.0 + SOFT_TTL + 1.0)
    assert len(known) == count
    assert all(rules.flags["flag-7"].killed for rules in known)
    queries = [call.keys[0][0] for call in world.table.calls if call.op == "query"]
    assert queries == ["audit"] * count
