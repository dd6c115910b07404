"""The schedule rotates the keys once the active one is old enough: once, on record, and never in a hurry."""

import json
from typing import Any

import pytest
from desk import POOL, Ask
from in_memory_gate import InMemoryGate
from reference_table import Call, Fault, always, clear

from headgate.edge.admin.rotation import DAY, rotate_when_due
from headgate.store.items import KEYRING_KEY
from headgate.store.port import Put


class Scheduled(InMemoryGate):
    """A gate whose first key has signed for `age` days, and a schedule that rotates after 60."""

    def __init__(self, age: int) -> None:
        super().__init__()
        self.operator().creates("access", stage="ga")
        self.clock.advance(age * DAY)

    def asks(self, at: str = "2026-11-28T00:00:00Z") -> None:
        rotate_when_due(self.desk().admin, {"headgate": "rotate", "after_days": 60, "at": at})

    def rotates(self) -> None:
        self.desk().must(Ask("POST /admin/v1/keys/rotate", {"reason": "by hand"}))

    @property
    def active(self) -> list[str]:
        keys = self.desk().must(Ask("GET /admin/v1/keys")).body["keys"]
        return [key["kid"] for key in keys if key["state"] == "active"]

    @property
    def entries(self) -> list[dict[str, Any]]:
        return list(self.desk().must(Ask("GET /admin/v1/audit")).body["entries"])


@pytest.mark.parametrize(("age", "active"), [(59, POOL[0]), (60, POOL[1]), (400, POOL[1])])
def test_key_is_rotated_once_it_is_old_enough(age: int, active: str) -> None:
    gate = Scheduled(age)
    gate.asks()
    assert gate.active == [active]
    assert len(gate.entries) == (1 if active == POOL[0] else 2)


def test_rotation_is_on_record() -> None:
    gate = Scheduled(60)
    gate.asks()
    newest = gate.entries[0]
    assert (newest["action"], newest["actor"]) == (
        "keys.rotate", {"arn": "headgate:schedule", "session": "", "source_ip": ""})  # fmt: skip
    assert newest["reason"] == "the key has signed for 60 days"


def test_call_that_comes_twice_or_after_an_operators_rotation_changes_nothing() -> None:
    gate = Scheduled(60)
    gate.asks()
    gate.asks()
    gate.asks("2026-11-29T00:00:00Z")
    assert (gate.active, len(gate.entries)) == ([POOL[1]], 2)
    gate.clock.advance(60 * DAY)
    gate.rotates()
    gate.asks("2027-01-27T00:00:00Z")
    assert (gate.active, len(gate.entries)) == ([POOL[2]], 3)


def test_two_calls_at_once_rotate_once() -> None:
    """The second call's plan was made before the first call's commit, and is made again on what is then stored."""
    gate = Scheduled(60)

    def meanwhile(call: Call) -> None:
        if call.op == "write":
            gate.table.weather = clear
            gate.asks("b")

    gate.table.weather = meanwhile
    gate.asks("a")
    assert (gate.active, len(gate.entries)) == ([POOL[1]], 2)


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.THROTTLED])
def test_without_the_table_nothing_is_raised_and_the_next_day_rotates(
    fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = Scheduled(60)
    gate.table.weather = always(fault)
    gate.asks()
    gate.table.weather = clear
    assert gate.active == [POOL[0]]
    gate.asks("2026-11-29T00:00:00Z")
    assert gate.active == [POOL[1]]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counted = [line for line in lines if line.get("StoreUnavailable")]
    assert len(counted) == (1 if fault is Fault.LOST_REQUEST else 0)


@pytest.mark.parametrize("ring", ["{", json.dumps({"keys": [{"kid": kid, "state": "revoked"} for kid in POOL]})])
def test_ring_without_an_active_key_is_left_to_people(ring: str) -> None:
    gate = Scheduled(60)
    gate.table.write([Put({"pk": KEYRING_KEY[0], "sk": KEYRING_KEY[1], "version": 1, "body": ring})])
    gate.asks()
    assert len(gate.entries) == 1
