"""A herd on a DynamoDB that throttles as the real one does, on virtual time: what bends as environments and rates grow.

Each partition key answers 3,000 read units a second and no more, without bursts, and a hot partition is never split
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html). The environments run
the product's own snapshots and client, with their retries and budgets. A pause moves the clock of the request that
pauses, so a retry is served before requests that begin later.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from statistics import fmean, quantiles
from typing import Any

from botocore.exceptions import ClientError
from herd import Herd, Requests
from metered import read_units
from operators import Operator, killing

from headgate.store.dynamo import DynamoTable, _typed
from headgate.store.items import HEAD_KEY
from headgate.store.port import Put
from headgate.store.snapshots import SOFT_TTL, Snapshots, Standing, Watch

UNITS_A_SECOND = 3_000
SLOTS = 10
"""A second's units are given out in tenths."""
ROUND_TRIP = 0.005
"""Seconds of one call to DynamoDB: an assumption."""
Typed = dict[str, dict[str, str]]


class ThrottledHerd(Herd):
    """`copies` of the head, each with a partition of its own; each environment reads one of them."""

    def __init__(self, *, flags: int, copies: int = 1, units: int = UNITS_A_SECOND) -> None:
        super().__init__(flags=flags)
        random.seed(1)  # the client's jitter
        self.copies, self.units, self.used = copies, units, Counter[tuple[str, int]]()
        self.pages: dict[tuple[str, str], tuple[list[Typed], bool]] = {}

    def cold(self, watch: Watch | None = None) -> Snapshots:
        """An environment with the product's own client."""
        api = Api(self, self.source.randrange(self.copies))
        table = DynamoTable("t", api, clock=self.clock, pause=self.clock.pause)
        return Snapshots(table, watch=watch, clock=self.clock, jitter=self.jitter)

    def flooded_operator(self) -> Operator:
        """An operator whose reads compete with those of the environments."""
        table = Flooded("t", Api(self, 0), clock=self.clock, pause=self.clock.pause)
        return Operator(table, self.clock, jitter=self.jitter)

    def take(self, partition: str, units: int) -> None:
        """Use units of a partition. Raises DynamoDB's error if this tenth of a second has none left."""
        slot = partition, int(self.clock() * SLOTS)
        if self.used[slot] + units > self.units / SLOTS and self.used[slot]:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "read")
        self.used[slot] += units

    def page(self, pk: str, after: str, before: str | None) -> tuple[list[Typed], bool]:
        """One page of a query, kept: nothing changes the rules while the herd runs."""
        if (pk, after) not in self.pages:
            found = self.table.query(pk, after=after, before=before)
            self.pages[pk, after] = [_typed(item) for item in found.items], found.next is not None
        return self.pages[pk, after]

    def warm(self, environments: int) -> list[Snapshots]:
        """Environments that hold the rules, which only the first of them loads."""
        first = self.cold()
        first.soft()
        found = [first]
        for _ in range(environments - 1):
            one = self.cold()
            one._known, one._checked = first._known, first._checked
            found.append(one)
        for one in found:
            one._due = self.source.uniform(0, SOFT_TTL)
        return found


class Api:
    """The calls of botocore's client that a snapshot needs, for one environment."""

    def __init__(self, herd: ThrottledHerd, copy: int) -> None:
        self._herd, self._copy = herd, copy

    def get_item(self, Key: Typed, **_rest: Any) -> Mapping[str, Any]:  # noqa: N803  # DynamoDB's names
        """See GetItem."""
        key = Key["pk"]["S"], Key["sk"]["S"]
        self._herd.clock.pause(ROUND_TRIP)
        self._herd.take(f"{key[0]} {self._copy}" if key == HEAD_KEY else key[0], 1)
        found = self._herd.table.get((key,))
        self._herd.table.calls.clear()
        return {"Item": _typed(found[key])} if key in found else {}

    def batch_get_item(self, RequestItems: Mapping[str, Any], **_rest: Any) -> Mapping[str, Any]:  # noqa: N803
        """See BatchGetItem: throttled keys are left unprocessed."""
        found: list[Typed] = []
        left: list[Typed] = []
        for key in RequestItems["t"]["Keys"]:
            try:
                found.extend(self.get_item(key).values())
            except ClientError:
                left.append(key)
        return {"Responses": {"t": found}, "UnprocessedKeys": {"t": {"Keys": left}} if left else {}}

    def query(self, ExpressionAttributeValues: Typed, **_rest: Any) -> Mapping[str, Any]:  # noqa: N803
        """See Query."""
        values = {name: typed["S"] for name, typed in ExpressionAttributeValues.items()}
        self._herd.clock.pause(ROUND_TRIP)
        items, has_more = self._herd.page(values[":pk"], values[":after"].strip(), values.get(":before"))
        self._herd.take(values[":pk"], read_units(items))
        return {"Items": items, **({"LastEvaluatedKey": items[-1]} if has_more else {})}


class Flooded(DynamoTable):
    """The operator's table: reads compete with the herd's. What is written is dropped, so that the rules stay."""

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        assert puts
        self._pause(ROUND_TRIP)


# -- what is simulated


@dataclass(frozen=True, slots=True)
class Refreshing:
    """Environments that only refresh: reads of the head in the mean second, the share of requests on stale rules, their
    greatest age, and how long a request waited that had to refresh.
    """

    environments: int
    reads: float
    stale: float
    oldest_s: float
    p99_ms: float


def refreshing(environments: int, *, units: int = UNITS_A_SECOND, seconds: int = 10, rate: float = 2.0) -> Refreshing:
    """Warm environments with `rate` requests a second each that need no live decision, after ten seconds."""
    herd = ThrottledHerd(flags=10, units=units)
    requests = Requests(herd, herd.warm(environments), start_within=SOFT_TTL, rate=rate)
    requests.until(10.0)
    herd.reads.clear()
    requests.seen.clear()
    requests.waited.clear()
    requests.oldest = 0.0
    requests.until(10.0 + seconds)
    reads = herd.reads.total() / seconds
    stale = 1 - requests.seen[Standing.FRESH] / requests.seen.total()
    return Refreshing(environments, reads, stale, requests.oldest, 1_000 * percentile(requests.waited, 99))


@dataclass(frozen=True, slots=True)
class Deciding:
    """Live decisions at one rate: the share denied for want of a read, how long they took, how long kills took."""

    rate: int
    denied: float
    mean_ms: float
    p99_ms: float
    kill_p99_ms: float


def deciding(rate: int, *, copies: int = 1, units: int = UNITS_A_SECOND, seconds: int = 5) -> Deciding:
    """`rate` live decisions a second, at random, spread over 500 warm environments, and a kill every 50 ms."""
    herd = ThrottledHerd(flags=10, copies=copies, units=units)
    warm, operator = herd.warm(500), herd.flooded_operator()
    took, kills, denied, at = [], [], 0, 0.0
    for number in range(rate * seconds):
        at += herd.source.expovariate(rate)
        herd.clock.now = at
        if number % (rate // 20) == 0:
            operator.makes("flag-0", killing("flag-0"))
            kills.append(1_000 * (herd.clock() - at))
            herd.clock.now = at
        denied += herd.source.choice(warm).live().standing is not Standing.FRESH
        took.append(1_000 * (herd.clock() - at))
    return Deciding(rate, denied / len(took), fmean(took), percentile(took, 99), percentile(kills, 99))


@dataclass(frozen=True, slots=True)
class Starting:
    """Cold starts at one rate: read units of each, the share whose first request was denied, seconds to load."""

    rate: int
    flags: int
    units: int
    denied: float
    p99_s: float


def starting(rate: int, flags: int, *, units: int = UNITS_A_SECOND, seconds: int = 2, again: float = 2.0) -> Starting:
    """`rate` environments start each second, at random; one that could not load gets `again` requests a second."""
    herd = ThrottledHerd(flags=flags, units=units)
    each = 2 + 1 + herd.units_of_the_rules()
    due = [(herd.source.uniform(0, seconds), number) for number in range(rate * seconds)]
    births, environments = [at for at, _number in due], [herd.cold() for _ in due]
    heapify(due)
    denied, took = 0, []
    while due:
        at, number = heappop(due)
        herd.clock.now = at
        if environments[number].live().standing is Standing.FRESH:
            took.append(herd.clock.now - births[number])
        else:
            denied += at == births[number]
            heappush(due, (herd.clock.now + herd.source.expovariate(again), number))
    return Starting(rate, flags, each, denied / len(births), percentile(took, 99))


def percentile(values: Sequence[float], which: int) -> float:
    """A percentile, in the values' unit."""
    return quantiles(values, n=100, method="inclusive")[which - 1]
