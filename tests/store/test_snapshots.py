"""The rules that are served and their standing: fresh, stale, or expired. The test controls the clock."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fake_clock import FakeClock
from in_memory_gate import InMemoryGate
from operators import (
    deletion,
    entries,
    killing,
    listing,
    replacement,
    replayed,
    restoring,
    same_rules,
    staging,
)
from reference_table import Fault, ReferenceTable, always, clear

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.core.snapshot import EMPTY, Snapshot
from headgate.store.port import Unavailable
from headgate.store.snapshots import BREAKER, DELTA_LIMIT, SOFT_TTL, Snapshots, Standing, View

ALICE = Subject("alice")
BEFORE_A_REFRESH, AFTER_IT = 4.4, 4.6  # with a jitter of one half the soft TTL is 4.5 s


@dataclass
class Watcher:
    """Records changes and failures."""

    changes: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def changed(self, snapshot: Snapshot) -> None:
        self.changes.append(snapshot.revision)

    def failed(self, failure: Exception, _age: float | None = None) -> None:
        self.failures.append(type(failure).__name__)


class AccessAtGa(InMemoryGate):
    """A gate with its access flag at GA, and one environment that reads."""

    def __init__(self, *, max_stale: int = 60, page: int = 1_000) -> None:
        super().__init__(ReferenceTable(page=page))
        self.ops, self.watch = self.operator(), Watcher()
        self.ops.creates("access", stage="ga")
        self.ops.makes("profile", replacement("profile", {"access": "access", "max_stale": max_stale, "token": {}}))
        self.snapshots = self.cold(self.watch)

    def lets_in(self, view: View) -> bool:
        """Whether these rules admit alice, if they are trusted."""
        return decide(view.snapshot.rules, "access", ALICE, gate=True).value


@pytest.fixture
def gate() -> AccessAtGa:
    return AccessAtGa()


def heads_only(fault: Fault) -> Any:
    """The head can be read; the entries and rules that follow it cannot."""
    return lambda call: None if call.keys[0] == ("head", "head") and call.op == "get" else fault


# -- fresh


def test_an_empty_table_is_fresh_and_admits_only_admins() -> None:
    snapshots = Snapshots(ReferenceTable(), clock=FakeClock())
    for view in (snapshots.live(), snapshots.soft()):
        assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 0)
        assert not decide(view.snapshot.rules, "access", ALICE, gate=True).value
        assert decide(view.snapshot.rules, "access", Subject("root", admin=True), gate=True).value


def test_a_cold_start_loads_all_rules(gate: AccessAtGa) -> None:
    view = gate.snapshots.live()
    assert view.standing is Standing.FRESH
    assert same_rules(view.snapshot, replayed(gate.table))
    assert gate.lets_in(view)


def test_a_warm_live_decision_costs_one_read(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    for _ in range(20):
        gate.clock.advance(0.1)
        gate.table.calls.clear()
        assert gate.snapshots.live().standing is Standing.FRESH
        assert [(call.op, call.keys) for call in gate.table.calls] == [("get", (("head", "head"),))]


def test_additional_items_are_read_in_the_same_call(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    gate.table.calls.clear()
    key, missing = ("rules", "flag#access"), ("rules", "flag#none")
    view = gate.snapshots.live(key, missing)
    assert set(view.items) == {("head", "head"), key}
    assert len(gate.table.calls) == 1


def test_a_change_is_followed_by_reading_only_its_entry(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", staging("access", "allowlist"))
    gate.table.calls.clear()
    view = gate.snapshots.live()
    assert [call.op for call in gate.table.calls] == ["get", "query"]
    assert not gate.lets_in(view)
    assert same_rules(view.snapshot, replayed(gate.table))


@pytest.mark.parametrize("page", [2, 1_000])
@pytest.mark.parametrize("behind", [1, 2, 5, DELTA_LIMIT - 1, DELTA_LIMIT, DELTA_LIMIT + 1, 150])
def test_an_environment_any_number_of_revisions_behind_catches_up(behind: int, page: int) -> None:
    gate = AccessAtGa(page=page)
    gate.snapshots.live()
    for number in range(behind):
        gate.ops.makes("access", staging("access", "percentage", number % 100))
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 2 + behind)
    assert same_rules(view.snapshot, replayed(gate.table))


def test_a_kill_applies_from_the_next_live_read(gate: AccessAtGa) -> None:
    environments = [gate.cold() for _ in range(5)]
    assert all(gate.lets_in(environment.live()) for environment in environments)
    gate.ops.makes("access", killing("access"))
    assert not any(gate.lets_in(environment.live()) for environment in environments)
    gate.ops.makes("access", restoring("access"))
    assert all(gate.lets_in(environment.live()) for environment in environments)


def test_soft_reads_once_every_four_to_five_seconds(gate: AccessAtGa) -> None:
    for jitter in (0.0, 0.25, 0.999):
        snapshots = Snapshots(gate.table, clock=gate.clock, jitter=lambda j=jitter: j)
        snapshots.soft()
        gate.table.calls.clear()
        started = gate.clock()
        while not gate.table.calls:
            gate.clock.advance(0.01)
            assert snapshots.soft().standing is Standing.FRESH
        assert 3.99 <= gate.clock() - started <= SOFT_TTL + 0.02
        assert abs(gate.clock() - started - (SOFT_TTL - jitter)) < 0.02


def test_soft_sees_a_kill_within_five_seconds(gate: AccessAtGa) -> None:
    assert gate.lets_in(gate.snapshots.soft())
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(SOFT_TTL)
    assert not gate.lets_in(gate.snapshots.soft())


def test_a_live_read_also_refreshes_soft(gate: AccessAtGa) -> None:
    gate.snapshots.soft()
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(1)
    gate.snapshots.live()
    gate.table.calls.clear()
    assert not gate.lets_in(gate.snapshots.soft())
    assert gate.table.calls == []
    assert not gate.snapshots.is_due


# -- outages


def outage(gate: AccessAtGa, fault: Fault = Fault.LOST_REQUEST) -> None:
    """Start an outage."""
    gate.table.weather = always(fault)


@pytest.mark.parametrize("look", ["live", "soft"])
def test_in_an_outage_the_last_known_rules_are_served_as_stale(gate: AccessAtGa, look: str) -> None:
    gate.snapshots.live()
    outage(gate)
    gate.clock.advance(AFTER_IT)
    for _ in range(5):
        view = getattr(gate.snapshots, look)()
        assert (view.standing, view.snapshot.revision) == (Standing.STALE, 2)
        assert gate.lets_in(view)
        gate.clock.advance(10)


@pytest.mark.parametrize("max_stale", [0, 1, 10, 60, 3_600])
@pytest.mark.parametrize("look", ["live", "soft"])
def test_stale_rules_expire_after_max_stale(max_stale: int, look: str) -> None:
    gate = AccessAtGa(max_stale=max_stale)
    gate.snapshots.live()
    outage(gate)
    last_good = gate.clock()
    for age in (0.0, 0.5, 0.999, 1.0, 4.6, 9.99, 10.0, 59.9, 60.0, 61.0, 3_599.9, 3_600.0, 10_000.0):
        gate.clock.now = last_good + age
        standing = getattr(gate.snapshots, look)().standing
        if look == "soft" and age < BEFORE_A_REFRESH:
            assert standing is Standing.FRESH
        else:
            assert standing is (Standing.STALE if age < max_stale else Standing.EXPIRED), age


def test_with_max_stale_0_live_decisions_expire_at_once() -> None:
    gate = AccessAtGa(max_stale=0)
    gate.snapshots.live()
    outage(gate)
    assert gate.snapshots.live().standing is Standing.EXPIRED


def test_a_cold_start_in_an_outage_is_expired_and_admits_nobody(gate: AccessAtGa) -> None:
    outage(gate)
    for look in (gate.snapshots.live, gate.snapshots.soft):
        view = look()
        assert (view.standing, view.snapshot) == (Standing.EXPIRED, EMPTY)
        assert not gate.lets_in(view)
    assert gate.snapshots.held is None


def test_the_next_read_after_an_outage_is_fresh(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    outage(gate)
    gate.clock.advance(100)
    assert gate.snapshots.live().standing is Standing.EXPIRED
    gate.table.weather = clear
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(BREAKER)
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)


def test_the_breaker_limits_refreshes_in_an_outage(gate: AccessAtGa) -> None:
    """A hundred requests a second for a minute of outage: one attempt in 1.5 s."""
    gate.snapshots.live()
    gate.clock.advance(5)
    outage(gate)
    gate.table.calls.clear()
    for _ in range(6_000):
        gate.snapshots.soft()
        gate.clock.advance(0.01)
    assert 60 / BREAKER - 2 <= len(gate.table.calls) <= 60 / BREAKER + 2


@pytest.mark.parametrize("failed", ["live", "soft", "list"])
def test_a_live_decision_reads_although_the_breaker_is_open(gate: AccessAtGa, failed: str) -> None:
    """One failed read opens the breaker; then the table answers again, and a kill is seen at once."""
    view = gate.snapshots.live()
    gate.clock.advance(5)
    outage(gate)
    if failed == "list":
        with pytest.raises(Unavailable):
            gate.snapshots._read_lists((("members#f#0", "user#a"),))
    else:
        assert getattr(gate.snapshots, failed)().standing is Standing.STALE
    gate.table.weather = clear
    gate.ops.makes("access", killing("access"))
    assert not gate.lets_in(gate.snapshots.live())
    gate.clock.advance(SOFT_TTL)
    assert gate.lets_in(view)
    assert gate.snapshots.soft().standing is Standing.FRESH, "a successful read closes the breaker"


def test_a_clock_that_is_set_back_does_not_keep_the_breaker_open(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    outage(gate)
    gate.clock.advance(SOFT_TTL)
    gate.snapshots.soft()
    gate.clock.advance(-3_600)
    gate.table.calls.clear()
    gate.snapshots.soft()
    assert len(gate.table.calls) == 1


def test_a_throttled_live_read_grants_nothing_on_stale_rules(gate: AccessAtGa) -> None:
    """Not even within max_stale: an attacker could cause throttles."""
    gate.snapshots.live()
    outage(gate, Fault.THROTTLED)
    for _ in range(3):
        assert gate.snapshots.live().standing is Standing.EXPIRED
    gate.clock.advance(AFTER_IT)
    assert gate.snapshots.soft().standing is Standing.STALE


@pytest.mark.parametrize(
    ("fault", "expected"), [(Fault.THROTTLED, Standing.EXPIRED), (Fault.LOST_REQUEST, Standing.STALE)]
)
def test_e68_rules_that_are_known_to_be_behind_the_head_are_not_fresh(
    gate: AccessAtGa, fault: Fault, expected: Standing
) -> None:
    """E68: they count as in an outage, and a throttle grants nothing."""
    gate.snapshots.live()
    gate.ops.makes("access", listing("access", "bob"))
    gate.table.weather = heads_only(fault)
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (expected, 2)
    gate.clock.advance(AFTER_IT)
    assert gate.snapshots.soft().standing is Standing.STALE


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_REQUEST])
def test_a_kill_applies_if_only_the_head_can_be_read(gate: AccessAtGa, fault: Fault) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    gate.table.weather = heads_only(fault)
    for look in (gate.snapshots.live, gate.snapshots.soft):
        view = look()
        assert view.standing is not Standing.FRESH or look == gate.snapshots.soft
        assert not gate.lets_in(view)


def test_a_kill_seen_in_the_head_stays_in_force_in_an_outage(gate: AccessAtGa) -> None:
    """It is seen in the head but not followed; then the table is unavailable."""
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    gate.table.weather = heads_only(Fault.LOST_REQUEST)
    assert not gate.lets_in(gate.snapshots.live())
    for fault in (Fault.LOST_REQUEST, Fault.THROTTLED):
        outage(gate, fault)
        for _ in range(3):
            assert not gate.lets_in(gate.snapshots.live())
            assert not gate.lets_in(gate.snapshots.soft())
            gate.clock.advance(2)
    gate.table.weather = clear
    gate.ops.makes("access", restoring("access"))
    gate.clock.advance(BREAKER)
    assert gate.lets_in(gate.snapshots.live())


def test_a_raised_reach_is_seen_in_the_head(gate: AccessAtGa) -> None:
    gate.ops.makes("access", killing("access"))
    gate.snapshots.live()
    gate.ops.makes("access", killing("access", "sever"))
    gate.table.weather = heads_only(Fault.LOST_REQUEST)
    killed = gate.snapshots.live().snapshot.rules.flags["access"].killed
    assert killed is not None
    assert killed.reach.value == "sever"


def test_a_kill_of_a_parent_seen_in_the_head_turns_its_sub_features_off(gate: AccessAtGa) -> None:
    gate.ops.creates("child", stage="ga", requires=["access"])
    view = gate.snapshots.live()
    assert decide(view.snapshot.rules, "child", ALICE).value
    gate.ops.makes("access", killing("access"))
    gate.table.weather = heads_only(Fault.LOST_REQUEST)
    assert not decide(gate.snapshots.live().snapshot.rules, "child", ALICE).value


# -- damaged and restored tables


@pytest.mark.parametrize("damage", [
    "{not json", "null", "[]", "{}", '{"revision": 3}', '{"revision": 3, "prev": "x", "digest": "y"}',
    '{"revision": "3", "prev": "", "digest": "", "action": "flag.kill", "flag": "access", "after": null}',
    '{"revision": true, "prev": "", "digest": "", "action": [], "flag": {}, "after": 1}',
])  # fmt: skip
def test_an_unreadable_entry_causes_a_whole_load(gate: AccessAtGa, damage: str) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    audit = gate.table.partition("audit")
    audit["000000000003"] = {**audit["000000000003"], "body": damage}
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert not gate.lets_in(view)


@pytest.mark.parametrize("name", ["revision", "prev", "digest", "action", "flag", "after"])
def test_an_entry_without_a_member_causes_a_whole_load(gate: AccessAtGa, name: str) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    audit = gate.table.partition("audit")
    entry = {member: value for member, value in entries(gate.table)[-1].items() if member != name}
    audit["000000000003"] = {**audit["000000000003"], "body": json.dumps(entry)}
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert not gate.lets_in(view)


def test_an_entry_with_altered_content_is_not_followed(gate: AccessAtGa) -> None:
    """Its links match but its digest does not: the stored rules are loaded."""
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    audit = gate.table.partition("audit")
    entry = entries(gate.table)[-1]
    forged = {**entry, "after": {**entry["after"], "killed": None}}
    audit["000000000003"] = {**audit["000000000003"], "body": json.dumps(forged)}
    assert not gate.lets_in(gate.snapshots.live())


@pytest.mark.parametrize("missing", [3, 4])
def test_a_missing_entry_causes_a_whole_load(gate: AccessAtGa, missing: int) -> None:
    """The first of the new entries, or the last; one of the two is the kill."""
    gate.snapshots.live()
    for revision in (3, 4):
        if revision == missing:
            gate.ops.makes("access", killing("access"))
        else:
            gate.ops.creates("other")
    del gate.table.partition("audit")[f"{missing:012}"]
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 4)
    assert not gate.lets_in(view)


@pytest.mark.parametrize("broken", [
    {"revision": "x"}, {"revision": 0}, {"revision": -1},
    {"killed": ""}, {"killed": "[]"}, {"killed": "null"}, {"killed": "{"},
])  # fmt: skip
def test_an_unreadable_head_counts_as_an_outage(gate: AccessAtGa, broken: dict[str, Any]) -> None:
    gate.snapshots.live()
    head = gate.table.partition("head")
    head["head"] = {**head["head"], **broken}
    assert gate.snapshots.live().standing is Standing.STALE
    gate.clock.advance(60)
    assert gate.snapshots.live().standing is Standing.EXPIRED
    assert gate.cold().live().standing is Standing.EXPIRED


@pytest.mark.parametrize("damage", [
    {"body": "{not json"}, {"body": "null"}, {"body": '{"key": "access"}'}, {"body": 5}, {"body": ""},
    {"version": "x"}, {"version": ""}, {"body": '{"key": "access", "percent": NaN}'}, {"body": "[" * 100_000},
])  # fmt: skip
def test_an_unreadable_flag_denies_and_the_others_are_served(gate: AccessAtGa, damage: dict[str, Any]) -> None:
    gate.ops.creates("other", stage="ga")
    rules = gate.table.partition("rules")
    rules["flag#access"] = {**rules["flag#access"], **damage}
    view = gate.cold().live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert decide(view.snapshot.rules, "other", ALICE).value
    if "body" in damage:
        assert view.snapshot.quarantined == ("access",)
        assert not gate.lets_in(view)


@pytest.mark.parametrize("sk", ["routes", "profile", "keys", "deny#subject#x", "something-new", "flag#UPPER"])
def test_other_unreadable_records_grant_nothing(gate: AccessAtGa, sk: str) -> None:
    gate.ops.makes("routes", replacement("routes", {"routes": [{"route": "GET /x", "class": "observe"}]}))
    for body in ("{not json", "null", "[]", "{}", '{"version": 1}', '{"routes": 5, "version": 1}'):
        gate.table.partition("rules")[sk] = {"pk": "rules", "sk": sk, "version": 1, "body": body}
        view = gate.cold().live()
        assert view.standing is Standing.FRESH
        if sk == "routes":
            assert view.snapshot.routes.policies() == ()
        elif sk == "profile":
            assert view.snapshot.profile.access is None
        elif sk == "keys":
            assert all(key.state.value == "revoked" for key in view.snapshot.keyring)


def test_a_table_restored_to_an_earlier_revision_is_served_as_restored(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    backup = gate.table.saved()
    gate.ops.makes("access", staging("access", "allowlist"))
    gate.ops.makes("access", killing("access"))
    assert gate.snapshots.live().snapshot.revision == 4
    gate.table.restore(backup)
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 2)
    assert gate.lets_in(view)


def test_a_restored_table_with_other_rules_at_the_same_revision_is_detected_by_digest(gate: AccessAtGa) -> None:
    """The revision is equal, the rules differ."""
    backup = gate.table.saved()
    gate.ops.makes("access", staging("access", "allowlist"))
    assert gate.snapshots.live().snapshot.revision == 3
    gate.table.restore(backup)
    gate.ops.makes("access", killing("access"))
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert view.snapshot.rules.flags["access"].killed is not None
    assert same_rules(view.snapshot, replayed(gate.table))


def test_a_restored_table_with_newer_entries_is_loaded_whole(gate: AccessAtGa) -> None:
    """The newer entries link to each other, but not to the rules that are held."""
    backup = gate.table.saved()
    gate.ops.makes("access", staging("access", "allowlist"))
    gate.snapshots.live()
    gate.table.restore(backup)
    for key in ("a", "b", "c"):
        gate.ops.creates(key)
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 5)
    assert gate.lets_in(view)
    assert same_rules(view.snapshot, replayed(gate.table))


def test_an_emptied_table_admits_only_admins(gate: AccessAtGa) -> None:
    assert gate.lets_in(gate.snapshots.live())
    gate.table.restore({})
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 0)
    assert not gate.lets_in(view)


def test_a_deleted_flag_is_gone_in_warm_and_cold_environments(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", deletion("access"))
    for view in (gate.snapshots.live(), gate.cold().live()):
        assert "access" not in view.snapshot.rules.flags
        assert not gate.lets_in(view)


# -- clocks and watchers


def test_a_clock_that_is_set_back_causes_a_refresh(gate: AccessAtGa) -> None:
    gate.snapshots.soft()
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(-600)
    assert not gate.lets_in(gate.snapshots.soft())


def test_in_an_outage_a_clock_that_is_set_back_expires_the_rules(gate: AccessAtGa) -> None:
    """The age of the rules is then unknown."""
    gate.snapshots.live()
    outage(gate)
    gate.clock.advance(-1)
    assert gate.snapshots.live().standing is Standing.EXPIRED
    gate.clock.advance(2)
    assert gate.snapshots.live().standing is Standing.STALE


def test_a_frozen_environment_refreshes_after_it_thaws(gate: AccessAtGa) -> None:
    """The wall clock continues while Lambda keeps an environment frozen."""
    gate.snapshots.soft()
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(3_600)
    gate.table.calls.clear()
    assert not gate.lets_in(gate.snapshots.soft())
    assert gate.table.calls


def test_a_watcher_is_notified_of_changes_and_failures(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    gate.snapshots.live()
    assert gate.watch.changes == [2, 3]
    assert gate.watch.failures == []
    outage(gate)
    gate.snapshots.live()
    outage(gate, Fault.THROTTLED)
    gate.clock.advance(BREAKER)
    gate.snapshots.live()
    assert gate.watch.failures == ["Unavailable", "Throttled"]
    assert gate.watch.changes == [2, 3]


LOOKS: tuple[Callable[[Snapshots], View], ...] = (Snapshots.live, Snapshots.soft)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.THROTTLED])
def test_a_fault_at_any_call_of_a_cold_start_grants_nothing(
    gate: AccessAtGa, look: Callable[[Snapshots], View], number: int, fault: Fault
) -> None:
    """Each call fails once; the rules are never half loaded, and the next read recovers."""
    environment = gate.cold()
    gate.table.calls.clear()
    gate.table.weather = lambda call: fault if call.number == number else None
    view = look(environment)
    if view.standing is Standing.FRESH:
        assert same_rules(view.snapshot, replayed(gate.table))
    else:
        assert view.snapshot.rules.flags == {}
        assert environment.held is None
    gate.clock.advance(BREAKER)
    assert gate.lets_in(look(environment))
