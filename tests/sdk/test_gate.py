"""The in-process gate and the reads of one decision, on the reference backend."""

from typing import Any

import pytest
from fake_clock import FakeClock
from reference_table import Fault, always
from written_rules import WrittenRules

from headgate.core.model import Subject
from headgate.sdk.gate import Gate, NotAllowed

BOB, ROOT = Subject(user="bob"), Subject(user="root", admin=True)


@pytest.fixture
def rules(clock: FakeClock) -> WrittenRules:
    made = WrittenRules(clock)
    made.flag("f", stage="ga")
    made.profile(max_stale=10)
    return made


def gate(rules: WrittenRules, clock: FakeClock, *, live: bool = False) -> Gate:
    return Gate(rules.table, clock=clock, jitter=lambda: 0.0, live=live)


def test_a_live_gate_sees_a_kill_at_once_with_one_read_per_decision(rules: WrittenRules, clock: FakeClock) -> None:
    made = gate(rules, clock, live=True)
    assert made.allows("f", BOB)
    assert rules.reads_of(lambda: made.allows("f", BOB)) == 1
    rules.flag("f", stage="ga", killed="gate")
    assert not made.allows("f", BOB)
    assert made.allows("f", ROOT)


def test_a_soft_gate_is_at_most_five_seconds_behind(rules: WrittenRules, clock: FakeClock) -> None:
    made = gate(rules, clock)
    assert made.allows("f", BOB)
    rules.flag("f", stage="ga", killed="gate")
    assert rules.reads_of(lambda: made.allows("f", BOB)) == 0
    clock.advance(5.1)
    assert not made.allows("f", BOB)


def test_a_missing_flag_admits_only_admins(rules: WrittenRules, clock: FakeClock) -> None:
    made = gate(rules, clock)
    with pytest.raises(NotAllowed, match="FLAG_NOT_FOUND"):
        made.check("gone", BOB)
    made.check("gone", ROOT)


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.THROTTLED])
def test_a_gate_without_rules_admits_only_admins(rules: WrittenRules, clock: FakeClock, fault: Fault) -> None:
    rules.table.weather = always(fault)
    made = gate(rules, clock, live=True)
    assert not made.allows("f", BOB)
    assert made.allows("f", ROOT)


def test_during_an_outage_known_rules_apply_up_to_max_stale(rules: WrittenRules, clock: FakeClock) -> None:
    made = gate(rules, clock, live=True)
    assert made.allows("f", BOB)
    rules.table.weather = always(Fault.LOST_REQUEST)
    clock.advance(9)
    assert made.allows("f", BOB)
    clock.advance(2)
    with pytest.raises(NotAllowed, match="UNAVAILABLE"):
        made.check("f", BOB)


def test_the_decorator_answers_403_instead_of_the_handler(rules: WrittenRules, clock: FakeClock) -> None:
    made = gate(rules, clock)
    reached: list[Any] = []

    @made.required("f", subject=lambda event: Subject(user=event["who"]))
    def handler(event: Any, context: Any) -> dict[str, Any]:
        reached.append(event)
        return {"statusCode": 200}

    assert handler({"who": "bob"}, None) == {"statusCode": 200}
    rules.flag("f", stage="admin_only")
    clock.advance(5.1)
    assert handler({"who": "bob"}, None)["statusCode"] == 403
    assert len(reached) == 1
