"""A flag that five admins read and change at once is linearizable: every answer fits some order of the operations.

First the search itself, on histories with a known verdict and compared with trying every order; then histories of
the admin API on the reference backend, in random schedules and bad weather; then the same with a fault planted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count, permutations
from random import Random
from typing import Any

import pytest
from desk import Ask, Reply, quiet
from in_memory_gate import InMemoryGate
from linearizability import Operation, is_linearizable
from operators import check
from proofs import Tally, many
from reference_table import Fault, ReferenceTable, Unconditional
from schedules import Schedules

from headgate.store.snapshots import Snapshots, View

# -- the search


def register(state: int, call: tuple[str, int], answer: int | None) -> int | None:
    """A register with reads and writes."""
    name, value = call
    if name == "write":
        return value
    return state if answer in (None, state) else None


def op(begin: float, end: float, name: str, value: int = 0, answer: int | None = 0) -> Operation[tuple[str, int], int]:
    """One operation on it; reads answer, and writes answer 0."""
    return Operation(begin, end, (name, value), answer)


GOOD = {
    "nothing": [],
    "one after another": [op(0, 1, "write", 1), op(2, 3, "read", answer=1)],
    "a read during a write sees the old value": [op(0, 3, "write", 1), op(1, 2, "read", answer=0)],
    "a read during a write sees the new value": [op(0, 3, "write", 1), op(1, 2, "read", answer=1)],
    "the old, then the new value during one write": [
        op(0, 9, "write", 1), op(1, 2, "read", answer=0), op(3, 4, "read", answer=1),
    ],
    "an unanswered write is seen later": [
        op(0, 1, "write", 1, None), op(2, 3, "read", answer=0), op(8, 9, "read", answer=1),
    ],
    "an unanswered write is never seen": [op(0, 1, "write", 1, None), op(2, 3, "read", answer=0)],
    "two concurrent writes, read in turn": [
        op(0, 9, "write", 1), op(0, 9, "write", 2), op(1, 2, "read", answer=2), op(3, 4, "read", answer=1),
    ],
}  # fmt: skip
BAD = {
    "a stale read": [op(0, 1, "write", 1), op(2, 3, "read", answer=0)],
    "a value that was never written": [op(0, 1, "write", 1), op(2, 3, "read", answer=7)],
    "the new, then the old value during one write": [
        op(0, 9, "write", 1), op(1, 2, "read", answer=1), op(3, 4, "read", answer=0),
    ],
    "a write seen before it began": [op(0, 1, "read", answer=1), op(2, 3, "write", 1)],
    "an unanswered write seen and then gone": [
        op(0, 1, "write", 1, None), op(2, 3, "read", answer=1), op(4, 5, "read", answer=0),
    ],
    "two writes, read back and forth": [
        op(0, 9, "write", 1), op(0, 9, "write", 2), op(1, 2, "read", answer=1), op(3, 4, "read", answer=2),
        op(5, 6, "read", answer=1),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_linearizable_history_is_accepted(name: str) -> None:
    assert is_linearizable(GOOD[name], 0, register)


@pytest.mark.parametrize("name", BAD)
def test_a_history_that_is_not_linearizable_is_rejected(name: str) -> None:
    assert not is_linearizable(BAD[name], 0, register)


def by_trying_every_order(history: Sequence[Operation[tuple[str, int], int]]) -> bool:
    """The definition itself."""
    answered = [each for each in history if each.answer is not None]
    unanswered = [each for each in history if each.answer is None]
    chosen = [[each for n, each in enumerate(unanswered) if mask >> n & 1] for mask in range(1 << len(unanswered))]
    return any(_explains(order) for some in chosen for order in permutations([*answered, *some]))


def _explains(order: Sequence[Operation[tuple[str, int], int]]) -> bool:
    for n, later in enumerate(order):
        if any(later.answer is not None and later.end < earlier.begin for earlier in order[:n]):
            return False
    state: int | None = 0
    for each in order:
        state = register(state, each.call, each.answer)
        if state is None:
            return False
    return True


def test_the_search_agrees_with_trying_every_order() -> None:
    source, verdicts = Random(1), []
    for _ in range(2_000):
        history = []
        for _ in range(source.randrange(2, 6)):
            begin, end = sorted(source.sample(range(12), 2))
            name = source.choice(("read", "write"))
            answer = None if source.random() < 0.2 else source.randrange(3) if name == "read" else 0
            history.append(
                op(begin + source.random() / 9, end + source.random() / 9, name, source.randrange(3), answer)
            )
        verdicts.append(is_linearizable(history, 0, register))
        assert verdicts[-1] is by_trying_every_order(history), history
    assert 300 < sum(verdicts) < 1_700


# -- the flag


@dataclass(frozen=True)
class Flag:
    """The part of a flag that these operations read and change."""

    version: int = 1
    percent: float = 0
    killed: bool = False


def flag_register(state: Flag, call: tuple[str, Any], answer: Any) -> Flag | None:
    """A flag as one register. The answer to a stale If-Match has the current version.

    An unanswered call without effect may as well never have run.
    """
    name, value = call
    after = state
    if name == "stage" and value[0] == state.version:
        after = replace(state, version=state.version + 1, percent=value[1])
    elif name in ("kill", "restore") and state.killed is not (name == "kill"):
        after = replace(state, version=state.version + 1, killed=name == "kill")
    if answer is None:
        return None if after is state else after
    told = ("stale", state.version) if name == "stage" and value[0] != state.version else after
    return after if answer == told else None


CLIENTS, OPERATIONS = 5, 30
KEY = {"key": "f"}
PATH = "/admin/v1/flags/{key}"
WHY = {"reason": "a test", "allow_shrink": True}


class Recording(InMemoryGate):
    """One flag and the history of calls on it; `moments` orders every begin and end."""

    def __init__(self, stage: Schedules, seed: int, kind: type[ReferenceTable]) -> None:
        super().__init__(kind(), seed=seed, budget=0.3)
        self.desk().must(Ask(f"PUT {PATH}", {"stage": "percentage", **WHY}, KEY, {"if-none-match": "*"}))
        self.table.turn = stage.turn
        self.moments = count()
        self.history: list[Operation[tuple[str, Any], Any]] = []


class Client:
    """One admin with its own environment. An unanswered call is sometimes retried with the same Idempotency-Key.

    Not a kill, which has no such key: two of them are two changes.
    """

    def __init__(self, gate: Recording, number: int, snapshots: type[Snapshots]) -> None:
        self._gate, self._number = gate, number
        self._desk, self._version = gate.desk(), 1
        self._desk.admin = replace(self._desk.admin, snapshots=snapshots(gate.table, clock=gate.clock))

    def __call__(self) -> None:
        """Run all its operations."""
        for number in range(OPERATIONS):
            self._does(self._gate.source.choice(("read", "read", "stage", "stage", "kill", "restore")), number)
            self._gate.clock.advance(0.5)

    def _does(self, name: str, number: int) -> None:
        gate = self._gate
        percent = (self._number * OPERATIONS + number + 1) / 1_000
        value = (self._version, percent) if name == "stage" else None
        ask = self._ask(name, percent)
        begin = next(gate.moments)
        replies = [self._desk.answers(ask)]
        while replies[-1].status == 503 and name != "kill" and gate.source.random() < 0.5:
            replies.append(self._desk.answers(ask))
        if all(reply.slug == "busy" for reply in replies):  # nothing was changed, so it is not recorded
            return
        if name == "read" and replies[-1].status == 503:  # no answer, no information
            return
        gate.history.append(Operation(begin, next(gate.moments), (name, value), self._answer(replies[-1])))

    def _ask(self, name: str, percent: float) -> Ask:
        if name == "read":
            return Ask(f"GET {PATH}", path=KEY)
        body = {"reason": "a test"}
        if name != "stage":
            return Ask(f"POST {PATH}/{name}", body, KEY, idem=f"{name}-{percent}")
        headers = {"if-match": f'"{self._version}"'}
        body = {**WHY, "stage": "percentage", "percent": percent}
        return Ask(f"POST {PATH}/stage", body, KEY, headers, idem=f"stage-{percent}")

    def _answer(self, reply: Reply) -> Any:
        if reply.status == 200:
            self._version = reply.body["version"]
            return Flag(self._version, reply.body["percent"], reply.body["killed"] is not None)
        if reply.status == 412:
            self._version = int(reply.etag.strip('"'))
            return "stale", self._version
        assert reply.slug in ("unavailable", "busy"), reply
        return None


BAD_WEATHER = {Fault.LOST_ANSWER: 0.04, Fault.LOST_REQUEST: 0.03, Fault.CONTENDED: 0.05, Fault.THROTTLED: 0.02}


def weather(gate: Recording) -> Callable[[Any], Fault | None]:
    """An occasional fault. Reads are never contended."""

    def sky(call: Any) -> Fault | None:
        thrown = gate.source.random()
        for fault, likely in BAD_WEATHER.items():
            thrown -= likely
            if thrown < 0:
                return None if fault is Fault.CONTENDED and call.op != "write" else fault
        return None

    return sky


def history_of(
    stage: Schedules, seed: int, *, kind: type[ReferenceTable] = ReferenceTable, snapshots: type[Snapshots] = Snapshots,
    is_foul: bool = True,
) -> Recording:  # fmt: skip
    """The recorded calls of some admins and their answers."""
    gate = Recording(stage, seed, kind)
    if is_foul:
        gate.table.weather = weather(gate)
    jobs = [Client(gate, number, snapshots) for number in range(CLIENTS)]
    outcomes = stage.run(gate.source, jobs)
    failed = [outcome for outcome in outcomes if outcome is not None]
    if failed:
        raise failed[0]
    return gate


@pytest.fixture(scope="module")
def stage() -> Any:
    schedules = Schedules(5)
    yield schedules
    schedules.close()


@pytest.mark.proof("one flag, 5 admins at once: linearizable histories")
@pytest.mark.parametrize("part", range(4))
@quiet()
def test_concurrent_calls_on_one_flag_are_linearizable(stage: Schedules, part: int, tally: Tally) -> None:
    most = many(4, 500)
    for seed in range(part * most, part * most + most):
        gate = history_of(stage, seed)
        assert is_linearizable(gate.history, Flag(), flag_register), seed
        check(gate.table)
        tally.add(histories=1, operations=len(gate.history),
                  without_an_answer=sum(each.answer is None for each in gate.history))  # fmt: skip


class Stale(ReferenceTable):
    """A planted fault: one read in twelve of a single item is not consistent."""

    def get(self, keys: Any, **options: Any) -> Any:
        held = self.weather
        if len(keys) == 1 and len(self.calls) % 12 == 0:
            self.weather = lambda _call: Fault.STALE
        try:
            return super().get(keys, **options)
        finally:
            self.weather = held


class Headless(Snapshots):
    """A planted fault: a live decision that does not read the head."""

    def live(self, *keys: Any) -> View:  # noqa: ARG002 as its port has it
        return self.soft()


PLANTED: dict[str, dict[str, Any]] = {
    "stale reads": {"kind": Stale},
    "no read of the head": {"snapshots": Headless},
    "no conditions": {"kind": Unconditional},
}


@pytest.mark.proof("one flag, 5 admins at once: planted faults found")
@pytest.mark.parametrize("name", PLANTED)
@quiet()
def test_a_planted_fault_is_found(stage: Schedules, name: str, tally: Tally) -> None:
    found = [
        not is_linearizable(history_of(stage, seed, is_foul=False, **PLANTED[name]).history, Flag(), flag_register)
        for seed in range(many(4, 20))
    ]
    tally.add(histories=len(found), found=sum(found))
    assert sum(found) >= len(found) / 2
