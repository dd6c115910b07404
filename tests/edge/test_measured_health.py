"""What the schedule measures: killed and quarantined flags, and the age of the key that signs."""

import json
from typing import Any

import pytest
from desk import POOL, Ask
from in_memory_gate import InMemoryGate
from reference_table import Fault, always

from headgate.edge.admin.health import measure_health
from headgate.store.items import AUDIT, KEYRING_KEY, RULES, audit_sk
from headgate.store.port import Key, Put

DAY = 86_400
WHY = {"reason": "a test"}
KILL = "POST /admin/v1/flags/{key}/kill"


class Measured(InMemoryGate):
    """A gate with one flag, two days old, and what its health is."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__()
        self._capsys = capsys
        self.operator().creates("access", stage="ga")
        self.clock.advance(2 * DAY)

    def call(self, route: str, **body: str) -> None:
        self.desk().must(Ask(route, {**WHY, **body}, path={"key": "access"}))

    def spoil(self, place: Key, body: str) -> None:
        self.table.write([Put({"pk": place[0], "sk": place[1], "version": 1, "body": body})])

    @property
    def health(self) -> dict[str, Any]:
        """The values that a cold environment of the admin function emits."""
        self._capsys.readouterr()
        measure_health(self.desk().admin)
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        metrics = [metric["Name"] for line in lines for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
        return {name: line[name] for name in metrics for line in lines if name in line}


@pytest.fixture
def gate(capsys: pytest.CaptureFixture[str]) -> Measured:
    return Measured(capsys)


def test_a_key_that_signs_from_the_start_is_as_old_as_the_first_change(gate: Measured) -> None:
    assert gate.health == {"KilledFlags": 0, "QuarantinedFlags": 0, "KeyAge": 2 * DAY}


def test_a_rotation_starts_the_age_again(gate: Measured) -> None:
    gate.call("POST /admin/v1/keys/rotate")
    gate.clock.advance(60)
    assert gate.health["KeyAge"] == 60


def test_an_empty_table_has_a_new_key(capsys: pytest.CaptureFixture[str]) -> None:
    gate = Measured(capsys)
    gate.table = InMemoryGate().table
    assert gate.health["KeyAge"] == 0


@pytest.mark.parametrize("ring", ["{", json.dumps({"keys": [{"kid": kid, "state": "revoked"} for kid in POOL]})])
def test_no_age_without_an_active_key(ring: str, gate: Measured) -> None:
    gate.spoil(KEYRING_KEY, ring)
    assert gate.health == {"KilledFlags": 0, "QuarantinedFlags": 0}


def test_no_age_from_an_unreadable_first_entry(gate: Measured) -> None:
    gate.spoil((AUDIT, audit_sk(1)), "[]")
    gate.operator().creates("more")
    assert "KeyAge" not in gate.health


def test_killed_and_quarantined_flags_are_counted_for_as_long_as_they_are(gate: Measured) -> None:
    gate.call(KILL)
    gate.spoil((RULES, "flag#other"), "{}")
    for _ in range(2):
        assert (gate.health["KilledFlags"], gate.health["QuarantinedFlags"]) == (1, 1)
    gate.call(KILL.replace("kill", "restore"))
    assert gate.health["KilledFlags"] == 0


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.THROTTLED])
def test_without_the_table_nothing_is_measured_and_nothing_is_raised(fault: Fault, gate: Measured) -> None:
    gate.table.weather = always(fault)
    assert gate.health == {}
