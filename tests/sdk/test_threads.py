"""Threads that share the rules: after a kill and an idle time, none answers from the rules before it.

The clock is frozen. While one thread evaluates, another one evaluates completely, at each moment at which the first
reads the clock or the table.
"""

from collections.abc import Callable
from threading import Thread

import pytest
from fake_clock import FakeClock
from openfeature.evaluation_context import EvaluationContext
from written_rules import WrittenRules

from headgate.core.model import Subject
from headgate.sdk.gate import Gate
from headgate.sdk.provider import HeadgateProvider

MOMENTS = 8
"""More than one evaluation has."""
WAIT = 0.05
"""Seconds given to the other thread. It may be waiting for the first one, which then goes on."""

Ask = Callable[[], object]


class Interrupted(FakeClock):
    """A clock that calls `between` once, when its time is read for the nth time from now."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.between = 0, lambda: None

    def __call__(self) -> float:
        self.tick()
        return super().__call__()

    def tick(self) -> None:
        """Count one moment."""
        self.left -= 1
        if self.left == 0:
            self.between()


def provider(rules: WrittenRules, clock: FakeClock) -> Ask:
    made = HeadgateProvider(rules.table, clock=clock, jitter=lambda: 0.0)
    return lambda: made.resolve_boolean_details("f", True, EvaluationContext("bob")).value


def gate(rules: WrittenRules, clock: FakeClock, *, live: bool = False) -> Ask:
    made = Gate(rules.table, clock=clock, jitter=lambda: 0.0, live=live)
    return lambda: made.allows("f", Subject(user="bob"))


def live_gate(rules: WrittenRules, clock: FakeClock) -> Ask:
    return gate(rules, clock, live=True)


@pytest.mark.parametrize("idle", [20, 3_600], ids=["idle for 20 s", "idle for an hour, longer than max_stale"])
@pytest.mark.parametrize("make", [provider, gate, live_gate])
def test_no_thread_answers_from_rules_before_a_kill(make: Callable[..., Ask], idle: float) -> None:
    for moment in range(1, MOMENTS + 1):
        clock, answers = Interrupted(), list[object]()
        rules = WrittenRules(clock)
        rules.flag("f", stage="ga")
        ask = make(rules, clock)
        assert ask() is True
        rules.flag("f", stage="ga", killed="gate")
        clock.advance(idle)
        other = Thread(target=lambda ask=ask, answers=answers: answers.append(ask()))
        rules.table.turn = clock.tick

        def meanwhile(other: Thread = other) -> None:
            other.start()
            other.join(WAIT)

        clock.left, clock.between = moment, meanwhile
        answers.append(ask())
        if other.ident is not None:
            other.join()
        assert answers in ([False], [False, False]), moment
