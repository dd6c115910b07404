"""A kill while others change flags, with one head or with copies of it in the same transaction, on virtual time.

The product's own `Record` makes the kill, with its own retries. Of the others there are only the times at which their
transactions hold the head: two that overlap conflict
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html), and one that ends between the
kill's read and its write moves the revision. A transaction prepares and commits every item, and waits for the slowest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from fake_clock import FakeClock
from in_memory_gate import InMemoryGate
from metered import transaction_units
from operators import killing
from reference_table import ReferenceTable
from throttled_herd import ROUND_TRIP, percentile

from headgate.store.dynamo import _typed
from headgate.store.items import HEAD_KEY
from headgate.store.port import ConditionFailed, Contended, Item, Key, Put

PHASE, SPREAD = 0.004, 0.5
"""Seconds that one item needs for one phase, in the median, and the spread of its logarithm: assumptions."""
OTHERS = 4
"""Items that every change writes: the record, its entry, one head, and the answer for a retry."""
START = 1_000.0
"""When the kill begins; others have changed flags for a second by then."""


class BusyTable(ReferenceTable):
    """The reference table, of which others also hold the head now and then. Calls take time."""

    def __init__(self, clock: FakeClock, source: Random, *, copies: int) -> None:
        super().__init__()
        self.clock, self.source, self.copies = clock, source, copies
        self.others: list[tuple[float, float]] = []
        self.attempts = self.conflicts = self.units = 0
        self._read = 0.0

    def takes(self) -> float:
        """Seconds of one transaction."""
        items = OTHERS - 1 + self.copies
        return sum(max(PHASE * self.source.lognormvariate(0, SPREAD) for _ in range(items)) for _phase in range(2))

    def is_used_by_others(self, changes_a_second: float) -> None:
        """Let others begin transactions at random for 10 s. One that meets another's is not made."""
        at, self.others = START - 1.0, []
        while changes_a_second and at < START + 10.0:
            at += self.source.expovariate(changes_a_second)
            if not self.others or at > self.others[-1][1]:
                self.others.append((at, at + self.takes()))

    def get(self, keys: Sequence[Key], *, spent: float = 0.0) -> dict[Key, Item]:
        """See `Table.get`."""
        self.clock.pause(ROUND_TRIP)
        self._read = self.clock()
        return super().get(keys, spent=spent)

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        begin = self.clock()
        self.clock.pause(self.takes())
        self.attempts += 1
        for other, end in self.others:
            if self._read < end <= begin:
                self.conflicts += 1
                raise ConditionFailed
            if other < self.clock() and begin < end:
                self.conflicts += 1
                raise Contended
        super().write(puts)
        heads = [put.item for put in puts if (put.item["pk"], put.item["sk"]) == HEAD_KEY]
        copies = [*(put.item for put in puts), *heads * (self.copies - 1)]
        self.units = transaction_units([_typed(item) for item in copies])


@dataclass(frozen=True, slots=True)
class Killing:
    """Kills with some copies of the head: milliseconds until they are answered, the share of attempts that lost."""

    copies: int
    changes_a_second: float
    write_units: int
    p50_ms: float
    p99_ms: float
    lost: float


def killings(copies: int, changes_a_second: float, *, kills: int) -> Killing:
    """Kill one flag again and again, each time while others change flags at this rate."""
    source = Random(1)
    gate = InMemoryGate(seed=1)
    table = gate.table = BusyTable(gate.clock, source, copies=copies)
    ops = gate.operator()
    ops.creates("access", stage="ga")
    attempts = conflicts = units = 0
    took = []
    for number in range(kills):
        gate.clock.now = START
        table.is_used_by_others(changes_a_second)
        table.attempts = table.conflicts = 0
        ops.makes("access", killing("access", ("gate", "sever")[number % 2]))
        took.append(1_000 * (gate.clock() - START))
        attempts, conflicts, units = attempts + table.attempts, conflicts + table.conflicts, max(units, table.units)
    return Killing(copies, changes_a_second, units, percentile(took, 50), percentile(took, 99), conflicts / attempts)
