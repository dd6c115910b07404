"""What is served, and how far it may be trusted: fresh, stale, expired; by a clock that moves as it is told."""

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
from headgate.store.snapshots import BREAKER, DELTA_LIMIT, SOFT_TTL, Snapshots, Standing, View

ALICE = Subject("alice")
BEFORE_A_REFRESH, AFTER_IT = 4.4, 4.6  # with a jitter of one half the soft TTL is 4.5 s


@dataclass
class Watcher:
    """Who wants to know."""

    changes: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def changed(self, snapshot: Snapshot) -> None:
        self.changes.append(snapshot.revision)

    def failed(self, failure: Exception) -> None:
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
    """The head is read; what it takes to follow it is not."""
    return lambda call: None if call.keys[0] == ("head", "head") and call.op == "get" else fault


# -- fresh


def test_an_empty_table_is_fresh_and_admits_nobody_but_admins() -> None:
    snapshots = Snapshots(ReferenceTable(), clock=FakeClock())
    for view in (snapshots.live(), snapshots.soft()):
        assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 0)
        assert not decide(view.snapshot.rules, "access", ALICE, gate=True).value
        assert decide(view.snapshot.rules, "access", Subject("root", admin=True), gate=True).value


def test_a_cold_start_loads_whole(gate: AccessAtGa) -> None:
    view = gate.snapshots.live()
    assert view.standing is Standing.FRESH
    assert same_rules(view.snapshot, replayed(gate.table))
    assert gate.lets_in(view)


def test_a_warm_live_decision_is_one_read(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    for _ in range(20):
        gate.clock.advance(0.1)
        gate.table.calls.clear()
        assert gate.snapshots.live().standing is Standing.FRESH
        assert [(call.op, call.keys) for call in gate.table.calls] == [("get", (("head", "head"),))]


def test_further_items_come_with_the_same_read(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    gate.table.calls.clear()
    key, missing = ("rules", "flag#access"), ("rules", "flag#none")
    view = gate.snapshots.live(key, missing)
    assert set(view.items) == {("head", "head"), key}
    assert len(gate.table.calls) == 1


def test_a_change_is_followed_by_its_entry_alone(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", staging("access", "allowlist"))
    gate.table.calls.clear()
    view = gate.snapshots.live()
    assert [call.op for call in gate.table.calls] == ["get", "query"]
    assert not gate.lets_in(view)
    assert same_rules(view.snapshot, replayed(gate.table))


@pytest.mark.parametrize("page", [2, 1_000])
@pytest.mark.parametrize("behind", [1, 2, 5, DELTA_LIMIT - 1, DELTA_LIMIT, DELTA_LIMIT + 1, 150])
def test_however_far_behind_it_catches_up(behind: int, page: int) -> None:
    gate = AccessAtGa(page=page)
    gate.snapshots.live()
    for number in range(behind):
        gate.ops.makes("access", staging("access", "percentage", number % 100))
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 2 + behind)
    assert same_rules(view.snapshot, replayed(gate.table))


def test_a_kill_holds_from_the_very_next_look(gate: AccessAtGa) -> None:
    environments = [gate.cold() for _ in range(5)]
    assert all(gate.lets_in(environment.live()) for environment in environments)
    gate.ops.makes("access", killing("access"))
    assert not any(gate.lets_in(environment.live()) for environment in environments)
    gate.ops.makes("access", restoring("access"))
    assert all(gate.lets_in(environment.live()) for environment in environments)


def test_soft_reads_once_in_four_to_five_seconds(gate: AccessAtGa) -> None:
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


def test_a_live_look_refreshes_soft_too(gate: AccessAtGa) -> None:
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
    """From now on."""
    gate.table.weather = always(fault)


@pytest.mark.parametrize("look", ["live", "soft"])
def test_in_an_outage_the_last_known_is_served_and_says_so(gate: AccessAtGa, look: str) -> None:
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
def test_stale_ends_with_the_manifest_s_bound(max_stale: int, look: str) -> None:
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


def test_strict_means_no_staleness_for_live_decisions() -> None:
    gate = AccessAtGa(max_stale=0)
    gate.snapshots.live()
    outage(gate)
    assert gate.snapshots.live().standing is Standing.EXPIRED


def test_a_cold_start_in_an_outage_knows_nothing(gate: AccessAtGa) -> None:
    outage(gate)
    for look in (gate.snapshots.live, gate.snapshots.soft):
        view = look()
        assert (view.standing, view.snapshot) == (Standing.EXPIRED, EMPTY)
        assert not gate.lets_in(view)
    assert gate.snapshots.held is None


def test_when_it_is_over_the_next_look_is_fresh(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    outage(gate)
    gate.clock.advance(100)
    assert gate.snapshots.live().standing is Standing.EXPIRED
    gate.table.weather = clear
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(BREAKER)
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)


@pytest.mark.parametrize("look", ["live", "soft"])
def test_the_breaker_bounds_attempts(gate: AccessAtGa, look: str) -> None:
    """A thousand looks a second for a minute of outage: one attempt in 1.5 s."""
    gate.snapshots.live()
    gate.clock.advance(5)
    outage(gate)
    gate.table.calls.clear()
    for _ in range(6_000):
        getattr(gate.snapshots, look)()
        gate.clock.advance(0.01)
    assert 60 / BREAKER - 2 <= len(gate.table.calls) <= 60 / BREAKER + 2


def test_the_breaker_does_not_outlast_a_clock_that_goes_back(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    outage(gate)
    gate.snapshots.live()
    gate.clock.advance(-3_600)
    gate.table.calls.clear()
    gate.snapshots.live()
    assert len(gate.table.calls) == 1


def test_a_throttle_buys_no_stale_grants(gate: AccessAtGa) -> None:
    """Not even within the bound: a flood could make throttles."""
    gate.snapshots.live()
    outage(gate, Fault.THROTTLED)
    for _ in range(3):
        assert gate.snapshots.live().standing is Standing.EXPIRED
    gate.clock.advance(AFTER_IT)
    assert gate.snapshots.soft().standing is Standing.STALE


@pytest.mark.parametrize(
    ("fault", "expected"), [(Fault.THROTTLED, Standing.EXPIRED), (Fault.LOST_REQUEST, Standing.STALE)]
)
def test_a_head_that_cannot_be_followed(gate: AccessAtGa, fault: Fault, expected: Standing) -> None:
    """E68: the rules are behind and known to be: no fresher than in an outage, and a throttle buys nothing either."""
    gate.snapshots.live()
    gate.ops.makes("access", listing("access", "bob"))
    gate.table.weather = heads_only(fault)
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (expected, 2)
    gate.clock.advance(AFTER_IT)
    assert gate.snapshots.soft().standing is Standing.STALE


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_REQUEST])
def test_a_kill_needs_nothing_but_the_head(gate: AccessAtGa, fault: Fault) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    gate.table.weather = heads_only(fault)
    for look in (gate.snapshots.live, gate.snapshots.soft):
        view = look()
        assert view.standing is not Standing.FRESH or look == gate.snapshots.soft
        assert not gate.lets_in(view)


def test_a_kill_that_was_seen_is_not_forgotten(gate: AccessAtGa) -> None:
    """Seen in the head, not followed; then the table is gone altogether."""
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


def test_a_reach_that_rose_is_seen_in_the_head_too(gate: AccessAtGa) -> None:
    gate.ops.makes("access", killing("access"))
    gate.snapshots.live()
    gate.ops.makes("access", killing("access", "sever"))
    gate.table.weather = heads_only(Fault.LOST_REQUEST)
    killed = gate.snapshots.live().snapshot.rules.flags["access"].killed
    assert killed is not None
    assert killed.reach.value == "sever"


def test_a_kill_of_a_parent_seen_in_the_head_takes_its_children(gate: AccessAtGa) -> None:
    gate.ops.creates("child", stage="ga", requires=["access"])
    view = gate.snapshots.live()
    assert decide(view.snapshot.rules, "child", ALICE).value
    gate.ops.makes("access", killing("access"))
    gate.table.weather = heads_only(Fault.LOST_REQUEST)
    assert not decide(gate.snapshots.live().snapshot.rules, "child", ALICE).value


# -- what lies in the table


@pytest.mark.parametrize("damage", [
    "{not json", "null", "[]", "{}", '{"revision": 3}', '{"revision": 3, "prev": "x", "digest": "y"}',
    '{"revision": "3", "prev": "", "digest": "", "action": "flag.kill", "flag": "access", "after": null}',
    '{"revision": true, "prev": "", "digest": "", "action": [], "flag": {}, "after": 1}',
])  # fmt: skip
def test_an_entry_that_cannot_be_read_means_a_whole_load(gate: AccessAtGa, damage: str) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    audit = gate.table.partition("audit")
    audit["000000000003"] = {**audit["000000000003"], "body": damage}
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert not gate.lets_in(view)


@pytest.mark.parametrize("name", ["revision", "prev", "digest", "action", "flag", "after"])
def test_an_entry_that_lacks_a_member_means_a_whole_load(gate: AccessAtGa, name: str) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    audit = gate.table.partition("audit")
    entry = {member: value for member, value in entries(gate.table)[-1].items() if member != name}
    audit["000000000003"] = {**audit["000000000003"], "body": json.dumps(entry)}
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert not gate.lets_in(view)


def test_an_entry_that_was_changed_is_not_followed(gate: AccessAtGa) -> None:
    """Its place in the chain holds, its content does not: what is stored counts."""
    gate.snapshots.live()
    gate.ops.makes("access", killing("access"))
    audit = gate.table.partition("audit")
    entry = entries(gate.table)[-1]
    forged = {**entry, "after": {**entry["after"], "killed": None}}
    audit["000000000003"] = {**audit["000000000003"], "body": json.dumps(forged)}
    assert not gate.lets_in(gate.snapshots.live())


@pytest.mark.parametrize("missing", [3, 4])
def test_a_missing_entry_means_a_whole_load(gate: AccessAtGa, missing: int) -> None:
    """The first of those to follow, or the newest; whichever of the two holds the kill."""
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
def test_a_head_that_cannot_be_read_is_an_outage(gate: AccessAtGa, broken: dict[str, Any]) -> None:
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
def test_one_flag_that_cannot_be_read_denies_and_the_rest_is_served(gate: AccessAtGa, damage: dict[str, Any]) -> None:
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
def test_other_records_that_cannot_be_read_are_the_least_they_can_be(gate: AccessAtGa, sk: str) -> None:
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


def test_a_table_restored_to_an_earlier_revision_is_followed_there(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    backup = gate.table.saved()
    gate.ops.makes("access", staging("access", "allowlist"))
    gate.ops.makes("access", killing("access"))
    assert gate.snapshots.live().snapshot.revision == 4
    gate.table.restore(backup)
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 2)
    assert gate.lets_in(view)


def test_a_table_restored_and_changed_since_is_told_apart_by_its_digest(gate: AccessAtGa) -> None:
    """The same revision number, other rules."""
    backup = gate.table.saved()
    gate.ops.makes("access", staging("access", "allowlist"))
    assert gate.snapshots.live().snapshot.revision == 3
    gate.table.restore(backup)
    gate.ops.makes("access", killing("access"))
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert view.snapshot.rules.flags["access"].killed is not None
    assert same_rules(view.snapshot, replayed(gate.table))


def test_a_table_restored_and_gone_further_is_loaded_whole(gate: AccessAtGa) -> None:
    """Newer entries follow one another, but not on what is held."""
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


def test_an_emptied_table_lets_only_admins_in(gate: AccessAtGa) -> None:
    assert gate.lets_in(gate.snapshots.live())
    gate.table.restore({})
    view = gate.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 0)
    assert not gate.lets_in(view)


def test_a_deleted_flag_is_gone_everywhere(gate: AccessAtGa) -> None:
    gate.snapshots.live()
    gate.ops.makes("access", deletion("access"))
    for view in (gate.snapshots.live(), gate.cold().live()):
        assert "access" not in view.snapshot.rules.flags
        assert not gate.lets_in(view)


# -- clocks and watchers


def test_a_clock_that_goes_back_makes_a_refresh_not_a_grant(gate: AccessAtGa) -> None:
    gate.snapshots.soft()
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(-600)
    assert not gate.lets_in(gate.snapshots.soft())


def test_in_an_outage_a_clock_that_went_back_expires(gate: AccessAtGa) -> None:
    """How old the rules are cannot be told any more."""
    gate.snapshots.live()
    outage(gate)
    gate.clock.advance(-1)
    assert gate.snapshots.live().standing is Standing.EXPIRED
    gate.clock.advance(2)
    assert gate.snapshots.live().standing is Standing.STALE


def test_a_frozen_environment_refreshes_when_it_thaws(gate: AccessAtGa) -> None:
    """A wall clock goes on while Lambda keeps an environment frozen."""
    gate.snapshots.soft()
    gate.ops.makes("access", killing("access"))
    gate.clock.advance(3_600)
    gate.table.calls.clear()
    assert not gate.lets_in(gate.snapshots.soft())
    assert gate.table.calls


def test_watchers_are_told_of_changes_and_of_failures(gate: AccessAtGa) -> None:
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
def test_a_fault_at_any_call_of_a_cold_start_is_never_a_grant(
    gate: AccessAtGa, look: Callable[[Snapshots], View], number: int, fault: Fault
) -> None:
    """One call fails, at each place; the state is never half a load, and the next look mends it."""
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
