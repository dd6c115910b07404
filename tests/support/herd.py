"""Many execution environments on one table and one clock, and the requests that they serve, in the order of time."""

import heapq
import json
from collections import Counter
from typing import Any

from in_memory_gate import InMemoryGate
from reference_table import Call

from headgate.core.ruleset import Ruleset
from headgate.store.snapshots import SOFT_JITTER, SOFT_TTL, Snapshots, Standing

REQUESTS_A_SECOND = 20.0
"""To each warm environment: enough that the jitter spreads their refreshes, not chance."""


class Herd(InMemoryGate):
    """A gate with some rules, whose environments start at random; counts the reads of the head in each second."""

    def __init__(self, *, flags: int) -> None:
        super().__init__(seed=1)
        self.clock.now, self.ops = 0.0, self.operator()
        for number in range(flags):
            self.ops.creates(f"flag-{number}", stage="ga", owner="a team", description="what it is good for")
        self.reads: Counter[int] = Counter()
        self.table.weather = self._counted

    def _counted(self, call: Call) -> None:
        if call.keys[0] == ("head", "head") and call.op == "get":
            self.reads[int(self.clock())] += 1

    def units_of_the_rules(self) -> int:
        """Read units of a whole load."""
        size = sum(len(json.dumps(item)) for item in self.table.partition("rules").values())
        return -(-size // 4_096)


class Requests:
    """Requests that need no live decision. `seen` counts standings, `oldest` is the greatest age of served rules,
    and `waited` has the seconds of each request that read.
    """

    def __init__(
        self, herd: Herd, environments: list[Snapshots], *, start_within: float, rate: float = REQUESTS_A_SECOND
    ) -> None:
        self._herd, self._environments, self._rate = herd, environments, rate
        begin = herd.clock()
        self._due = [(begin + herd.source.uniform(0, start_within), n) for n in range(len(environments))]
        heapq.heapify(self._due)
        self.seen: Counter[Standing] = Counter()
        self.waited: list[float] = []
        self.oldest = 0.0

    def until(self, end: float) -> list[Ruleset]:
        """The rules that each environment knew last."""
        known: dict[int, Any] = {}
        clock, source = self._herd.clock, self._herd.source
        while self._due[0][0] < end:
            clock.now, number = self._due[0]
            begin, environment = clock.now, self._environments[number]
            is_due = environment.is_due
            view = environment.soft()
            self.seen[view.standing] += 1
            known[number] = view.snapshot.rules
            self.oldest = max(self.oldest, clock.now - view.as_of)
            if is_due:
                self.waited.append(clock.now - begin)
            is_fresh = is_due and view.standing is Standing.FRESH  # then requests in the next 4 s read nothing
            rest = SOFT_TTL - SOFT_JITTER if is_fresh else 0.0
            heapq.heapreplace(self._due, (clock.now + rest + source.expovariate(self._rate), number))
        clock.now = end
        return list(known.values())
