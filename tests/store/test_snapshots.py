"""What is served, and how far it may be trusted: fresh, stale, expired; by a clock that moves as it is told."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fake_clock import FakeClock
from operators import (
    Operator,
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

NOW = 1_780_000_000.0
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


class World:
    """A table with an access flag at GA, somebody who changes it, and one environment that reads."""

    def __init__(self, *, max_stale: int = 60, page: int = 1_000) -> None:
        self.clock, self.table, self.watch = FakeClock(NOW), ReferenceTable(page=page), Watcher()
        self.ops = Operator(self.table, self.clock)
        self.ops.creates("access", stage="ga")
        self.ops.makes("profile", replacement("profile", {"access": "access", "max_stale": max_stale, "token": {}}))
        self.snapshots = self.environment(self.watch)

    def environment(self, watch: Watcher | None = None) -> Snapshots:
        """One more that starts cold."""
        return Snapshots(self.table, watch=watch, clock=self.clock, jitter=lambda: 0.5)

    def lets_in(self, view: View) -> bool:
        """Whether alice is let in by these rules, were they trusted."""
        return decide(view.snapshot.rules, "access", ALICE, gate=True).value


@pytest.fixture
def world() -> World:
    return World()


def heads_only(fault: Fault) -> Any:
    """The head is read; what it takes to follow it is not."""
    return lambda call: None if call.keys[0] == ("head", "head") and call.op == "get" else fault


# -- fresh


def test_an_empty_table_is_fresh_and_admits_nobody_but_admins() -> None:
    snapshots = Snapshots(ReferenceTable(), clock=FakeClock(NOW))
    for view in (snapshots.live(), snapshots.soft()):
        assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 0)
        assert not decide(view.snapshot.rules, "access", ALICE, gate=True).value
        assert decide(view.snapshot.rules, "access", Subject("root", admin=True), gate=True).value


def test_a_cold_start_loads_whole(world: World) -> None:
    view = world.snapshots.live()
    assert view.standing is Standing.FRESH
    assert same_rules(view.snapshot, replayed(world.table))
    assert world.lets_in(view)


def test_a_warm_live_decision_is_one_read(world: World) -> None:
    world.snapshots.live()
    for _ in range(20):
        world.clock.advance(0.1)
        world.table.calls.clear()
        assert world.snapshots.live().standing is Standing.FRESH
        assert [(call.op, call.keys) for call in world.table.calls] == [("get", (("head", "head"),))]


def test_further_items_come_with_the_same_read(world: World) -> None:
    world.snapshots.live()
    world.table.calls.clear()
    key, missing = ("rules", "flag#access"), ("rules", "flag#none")
    view = world.snapshots.live(key, missing)
    assert set(view.items) == {("head", "head"), key}
    assert len(world.table.calls) == 1


def test_a_change_is_followed_by_its_entry_alone(world: World) -> None:
    world.snapshots.live()
    world.ops.makes("access", staging("access", "allowlist"))
    world.table.calls.clear()
    view = world.snapshots.live()
    assert [call.op for call in world.table.calls] == ["get", "query"]
    assert not world.lets_in(view)
    assert same_rules(view.snapshot, replayed(world.table))


@pytest.mark.parametrize("page", [2, 1_000])
@pytest.mark.parametrize("behind", [1, 2, 5, DELTA_LIMIT - 1, DELTA_LIMIT, DELTA_LIMIT + 1, 150])
def test_however_far_behind_it_catches_up(behind: int, page: int) -> None:
    world = World(page=page)
    world.snapshots.live()
    for number in range(behind):
        world.ops.makes("access", staging("access", "percentage", number % 100))
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 2 + behind)
    assert same_rules(view.snapshot, replayed(world.table))


def test_a_kill_holds_from_the_very_next_look(world: World) -> None:
    environments = [world.environment() for _ in range(5)]
    assert all(world.lets_in(environment.live()) for environment in environments)
    world.ops.makes("access", killing("access"))
    assert not any(world.lets_in(environment.live()) for environment in environments)
    world.ops.makes("access", restoring("access"))
    assert all(world.lets_in(environment.live()) for environment in environments)


def test_soft_reads_once_in_four_to_five_seconds(world: World) -> None:
    for jitter in (0.0, 0.25, 0.999):
        snapshots = Snapshots(world.table, clock=world.clock, jitter=lambda j=jitter: j)
        snapshots.soft()
        world.table.calls.clear()
        started = world.clock()
        while not world.table.calls:
            world.clock.advance(0.01)
            assert snapshots.soft().standing is Standing.FRESH
        assert 3.99 <= world.clock() - started <= SOFT_TTL + 0.02
        assert abs(world.clock() - started - (SOFT_TTL - jitter)) < 0.02


def test_soft_sees_a_kill_within_five_seconds(world: World) -> None:
    assert world.lets_in(world.snapshots.soft())
    world.ops.makes("access", killing("access"))
    world.clock.advance(SOFT_TTL)
    assert not world.lets_in(world.snapshots.soft())


def test_a_live_look_refreshes_soft_too(world: World) -> None:
    world.snapshots.soft()
    world.ops.makes("access", killing("access"))
    world.clock.advance(1)
    world.snapshots.live()
    world.table.calls.clear()
    assert not world.lets_in(world.snapshots.soft())
    assert world.table.calls == []
    assert not world.snapshots.is_due


# -- outages


def outage(world: World, fault: Fault = Fault.LOST_REQUEST) -> None:
    """From now on."""
    world.table.weather = always(fault)


@pytest.mark.parametrize("look", ["live", "soft"])
def test_in_an_outage_the_last_known_is_served_and_says_so(world: World, look: str) -> None:
    world.snapshots.live()
    outage(world)
    world.clock.advance(AFTER_IT)
    for _ in range(5):
        view = getattr(world.snapshots, look)()
        assert (view.standing, view.snapshot.revision) == (Standing.STALE, 2)
        assert world.lets_in(view)
        world.clock.advance(10)


@pytest.mark.parametrize("max_stale", [0, 1, 10, 60, 3_600])
@pytest.mark.parametrize("look", ["live", "soft"])
def test_stale_ends_with_the_manifest_s_bound(max_stale: int, look: str) -> None:
    world = World(max_stale=max_stale)
    world.snapshots.live()
    outage(world)
    last_good = world.clock()
    for age in (0.0, 0.5, 0.999, 1.0, 4.6, 9.99, 10.0, 59.9, 60.0, 61.0, 3_599.9, 3_600.0, 10_000.0):
        world.clock.now = last_good + age
        standing = getattr(world.snapshots, look)().standing
        if look == "soft" and age < BEFORE_A_REFRESH:
            assert standing is Standing.FRESH
        else:
            assert standing is (Standing.STALE if age < max_stale else Standing.EXPIRED), age


def test_strict_means_no_staleness_for_live_decisions() -> None:
    world = World(max_stale=0)
    world.snapshots.live()
    outage(world)
    assert world.snapshots.live().standing is Standing.EXPIRED


def test_a_cold_start_in_an_outage_knows_nothing(world: World) -> None:
    outage(world)
    for look in (world.snapshots.live, world.snapshots.soft):
        view = look()
        assert (view.standing, view.snapshot) == (Standing.EXPIRED, EMPTY)
        assert not world.lets_in(view)
    assert world.snapshots.held is None


def test_when_it_is_over_the_next_look_is_fresh(world: World) -> None:
    world.snapshots.live()
    outage(world)
    world.clock.advance(100)
    assert world.snapshots.live().standing is Standing.EXPIRED
    world.table.weather = clear
    world.ops.makes("access", killing("access"))
    world.clock.advance(BREAKER)
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)


@pytest.mark.parametrize("look", ["live", "soft"])
def test_the_breaker_bounds_attempts(world: World, look: str) -> None:
    """A thousand looks a second for a minute of outage: one attempt in 1.5 s."""
    world.snapshots.live()
    world.clock.advance(5)
    outage(world)
    world.table.calls.clear()
    for _ in range(6_000):
        getattr(world.snapshots, look)()
        world.clock.advance(0.01)
    assert 60 / BREAKER - 2 <= len(world.table.calls) <= 60 / BREAKER + 2


def test_the_breaker_does_not_outlast_a_clock_that_goes_back(world: World) -> None:
    world.snapshots.live()
    outage(world)
    world.snapshots.live()
    world.clock.advance(-3_600)
    world.table.calls.clear()
    world.snapshots.live()
    assert len(world.table.calls) == 1


def test_a_throttle_buys_no_stale_grants(world: World) -> None:
    """Not even within the bound: a flood could make throttles."""
    world.snapshots.live()
    outage(world, Fault.THROTTLED)
    for _ in range(3):
        assert world.snapshots.live().standing is Standing.EXPIRED
    world.clock.advance(AFTER_IT)
    assert world.snapshots.soft().standing is Standing.STALE


@pytest.mark.parametrize(
    ("fault", "expected"), [(Fault.THROTTLED, Standing.EXPIRED), (Fault.LOST_REQUEST, Standing.STALE)]
)
def test_a_head_that_cannot_be_followed(world: World, fault: Fault, expected: Standing) -> None:
    """E68: the rules are behind and known to be: no fresher than in an outage, and a throttle buys nothing either."""
    world.snapshots.live()
    world.ops.makes("access", listing("access", "bob"))
    world.table.weather = heads_only(fault)
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (expected, 2)
    world.clock.advance(AFTER_IT)
    assert world.snapshots.soft().standing is Standing.STALE


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOST_REQUEST])
def test_a_kill_needs_nothing_but_the_head(world: World, fault: Fault) -> None:
    world.snapshots.live()
    world.ops.makes("access", killing("access"))
    world.table.weather = heads_only(fault)
    for look in (world.snapshots.live, world.snapshots.soft):
        view = look()
        assert view.standing is not Standing.FRESH or look == world.snapshots.soft
        assert not world.lets_in(view)


def test_a_kill_that_was_seen_is_not_forgotten(world: World) -> None:
    """Seen in the head, not followed; then the table is gone altogether."""
    world.snapshots.live()
    world.ops.makes("access", killing("access"))
    world.table.weather = heads_only(Fault.LOST_REQUEST)
    assert not world.lets_in(world.snapshots.live())
    for fault in (Fault.LOST_REQUEST, Fault.THROTTLED):
        outage(world, fault)
        for _ in range(3):
            assert not world.lets_in(world.snapshots.live())
            assert not world.lets_in(world.snapshots.soft())
            world.clock.advance(2)
    world.table.weather = clear
    world.ops.makes("access", restoring("access"))
    world.clock.advance(BREAKER)
    assert world.lets_in(world.snapshots.live())


def test_a_reach_that_rose_is_seen_in_the_head_too(world: World) -> None:
    world.ops.makes("access", killing("access"))
    world.snapshots.live()
    world.ops.makes("access", killing("access", "sever"))
    world.table.weather = heads_only(Fault.LOST_REQUEST)
    killed = world.snapshots.live().snapshot.rules.flags["access"].killed
    assert killed is not None
    assert killed.reach.value == "sever"


def test_a_kill_of_a_parent_seen_in_the_head_takes_its_children(world: World) -> None:
    world.ops.creates("child", stage="ga", requires=["access"])
    view = world.snapshots.live()
    assert decide(view.snapshot.rules, "child", ALICE).value
    world.ops.makes("access", killing("access"))
    world.table.weather = heads_only(Fault.LOST_REQUEST)
    assert not decide(world.snapshots.live().snapshot.rules, "child", ALICE).value


# -- what lies in the table


@pytest.mark.parametrize("damage", [
    "{not json", "null", "[]", "{}", '{"revision": 3}', '{"revision": 3, "prev": "x", "digest": "y"}',
    '{"revision": "3", "prev": "", "digest": "", "action": "flag.kill", "flag": "access", "after": null}',
    '{"revision": true, "prev": "", "digest": "", "action": [], "flag": {}, "after": 1}',
])  # fmt: skip
def test_an_entry_that_cannot_be_read_means_a_whole_load(world: World, damage: str) -> None:
    world.snapshots.live()
    world.ops.makes("access", killing("access"))
    audit = world.table.partition("audit")
    audit["000000000003"] = {**audit["000000000003"], "body": damage}
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert not world.lets_in(view)


@pytest.mark.parametrize("name", ["revision", "prev", "digest", "action", "flag", "after"])
def test_an_entry_that_lacks_a_member_means_a_whole_load(world: World, name: str) -> None:
    world.snapshots.live()
    world.ops.makes("access", killing("access"))
    audit = world.table.partition("audit")
    entry = {member: value for member, value in entries(world.table)[-1].items() if member != name}
    audit["000000000003"] = {**audit["000000000003"], "body": json.dumps(entry)}
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert not world.lets_in(view)


def test_an_entry_that_was_changed_is_not_followed(world: World) -> None:
    """Its place in the chain holds, its content does not: what is stored counts."""
    world.snapshots.live()
    world.ops.makes("access", killing("access"))
    audit = world.table.partition("audit")
    entry = entries(world.table)[-1]
    forged = {**entry, "after": {**entry["after"], "killed": None}}
    audit["000000000003"] = {**audit["000000000003"], "body": json.dumps(forged)}
    assert not world.lets_in(world.snapshots.live())


@pytest.mark.parametrize("missing", [3, 4])
def test_a_missing_entry_means_a_whole_load(world: World, missing: int) -> None:
    """The first of those to follow, or the newest; whichever of the two holds the kill."""
    world.snapshots.live()
    for revision in (3, 4):
        if revision == missing:
            world.ops.makes("access", killing("access"))
        else:
            world.ops.creates("other")
    del world.table.partition("audit")[f"{missing:012}"]
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 4)
    assert not world.lets_in(view)


@pytest.mark.parametrize("broken", [
    {"revision": "x"}, {"revision": 0}, {"revision": -1},
    {"killed": ""}, {"killed": "[]"}, {"killed": "null"}, {"killed": "{"},
])  # fmt: skip
def test_a_head_that_cannot_be_read_is_an_outage(world: World, broken: dict[str, Any]) -> None:
    world.snapshots.live()
    head = world.table.partition("head")
    head["head"] = {**head["head"], **broken}
    assert world.snapshots.live().standing is Standing.STALE
    world.clock.advance(60)
    assert world.snapshots.live().standing is Standing.EXPIRED
    assert world.environment().live().standing is Standing.EXPIRED


@pytest.mark.parametrize("damage", [
    {"body": "{not json"}, {"body": "null"}, {"body": '{"key": "access"}'}, {"body": 5}, {"body": ""},
    {"version": "x"}, {"version": ""}, {"body": '{"key": "access", "percent": NaN}'}, {"body": "[" * 100_000},
])  # fmt: skip
def test_one_flag_that_cannot_be_read_denies_and_the_rest_is_served(world: World, damage: dict[str, Any]) -> None:
    world.ops.creates("other", stage="ga")
    rules = world.table.partition("rules")
    rules["flag#access"] = {**rules["flag#access"], **damage}
    view = world.environment().live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert decide(view.snapshot.rules, "other", ALICE).value
    if "body" in damage:
        assert view.snapshot.quarantined == ("access",)
        assert not world.lets_in(view)


@pytest.mark.parametrize("sk", ["routes", "profile", "keys", "deny#subject#x", "something-new", "flag#UPPER"])
def test_other_records_that_cannot_be_read_are_the_least_they_can_be(world: World, sk: str) -> None:
    world.ops.makes("routes", replacement("routes", {"routes": [{"route": "GET /x", "class": "observe"}]}))
    for body in ("{not json", "null", "[]", "{}", '{"version": 1}', '{"routes": 5, "version": 1}'):
        world.table.partition("rules")[sk] = {"pk": "rules", "sk": sk, "version": 1, "body": body}
        view = world.environment().live()
        assert view.standing is Standing.FRESH
        if sk == "routes":
            assert view.snapshot.routes.policies() == ()
        elif sk == "profile":
            assert view.snapshot.profile.access is None
        elif sk == "keys":
            assert all(key.state.value == "revoked" for key in view.snapshot.keyring)


def test_a_table_restored_to_an_earlier_revision_is_followed_there(world: World) -> None:
    world.snapshots.live()
    backup = world.table.saved()
    world.ops.makes("access", staging("access", "allowlist"))
    world.ops.makes("access", killing("access"))
    assert world.snapshots.live().snapshot.revision == 4
    world.table.restore(backup)
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 2)
    assert world.lets_in(view)


def test_a_table_restored_and_changed_since_is_told_apart_by_its_digest(world: World) -> None:
    """The same revision number, other rules."""
    backup = world.table.saved()
    world.ops.makes("access", staging("access", "allowlist"))
    assert world.snapshots.live().snapshot.revision == 3
    world.table.restore(backup)
    world.ops.makes("access", killing("access"))
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 3)
    assert view.snapshot.rules.flags["access"].killed is not None
    assert same_rules(view.snapshot, replayed(world.table))


def test_a_table_restored_and_gone_further_is_loaded_whole(world: World) -> None:
    """Newer entries follow one another, but not on what is held."""
    backup = world.table.saved()
    world.ops.makes("access", staging("access", "allowlist"))
    world.snapshots.live()
    world.table.restore(backup)
    for key in ("a", "b", "c"):
        world.ops.creates(key)
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 5)
    assert world.lets_in(view)
    assert same_rules(view.snapshot, replayed(world.table))


def test_an_emptied_table_lets_only_admins_in(world: World) -> None:
    assert world.lets_in(world.snapshots.live())
    world.table.restore({})
    view = world.snapshots.live()
    assert (view.standing, view.snapshot.revision) == (Standing.FRESH, 0)
    assert not world.lets_in(view)


def test_a_deleted_flag_is_gone_everywhere(world: World) -> None:
    world.snapshots.live()
    world.ops.makes("access", deletion("access"))
    for view in (world.snapshots.live(), world.environment().live()):
        assert "access" not in view.snapshot.rules.flags
        assert not world.lets_in(view)


# -- clocks and watchers


def test_a_clock_that_goes_back_makes_a_refresh_not_a_grant(world: World) -> None:
    world.snapshots.soft()
    world.ops.makes("access", killing("access"))
    world.clock.advance(-600)
    assert not world.lets_in(world.snapshots.soft())


def test_in_an_outage_a_clock_that_went_back_expires(world: World) -> None:
    """How old the rules are cannot be told any more."""
    world.snapshots.live()
    outage(world)
    world.clock.advance(-1)
    assert world.snapshots.live().standing is Standing.EXPIRED
    world.clock.advance(2)
    assert world.snapshots.live().standing is Standing.STALE


def test_a_frozen_environment_refreshes_when_it_thaws(world: World) -> None:
    """A wall clock goes on while Lambda keeps an environment frozen."""
    world.snapshots.soft()
    world.ops.makes("access", killing("access"))
    world.clock.advance(3_600)
    world.table.calls.clear()
    assert not world.lets_in(world.snapshots.soft())
    assert world.table.calls


def test_watchers_are_told_of_changes_and_of_failures(world: World) -> None:
    world.snapshots.live()
    world.snapshots.live()
    world.ops.makes("access", killing("access"))
    world.snapshots.live()
    assert world.watch.changes == [2, 3]
    assert world.watch.failures == []
    outage(world)
    world.snapshots.live()
    outage(world, Fault.THROTTLED)
    world.clock.advance(BREAKER)
    world.snapshots.live()
    assert world.watch.failures == ["Unavailable", "Throttled"]
    assert world.watch.changes == [2, 3]


LOOKS: tuple[Callable[[Snapshots], View], ...] = (Snapshots.live, Snapshots.soft)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.THROTTLED])
def test_a_fault_at_any_call_of_a_cold_start_is_never_a_grant(
    world: World, look: Callable[[Snapshots], View], number: int, fault: Fault
) -> None:
    """One call fails, at each place; the state is never half a load, and the next look mends it."""
    environment = world.environment()
    world.table.calls.clear()
    world.table.weather = lambda call: fault if call.number == number else None
    view = look(environment)
    if view.standing is Standing.FRESH:
        assert same_rules(view.snapshot, replayed(world.table))
    else:
        assert view.snapshot.rules.flags == {}
        assert environment.held is None
    world.clock.advance(BREAKER)
    assert world.lets_in(look(environment))
