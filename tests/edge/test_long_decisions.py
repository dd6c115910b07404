"""Whoever stands on a long list, at every door: let in like anybody else, by one batched read, never by an error."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence

import pytest
from environment import ADMIN, Environment
from fake_clock import FakeClock
from members_desk import WHY, MembersDesk
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError
from reference_table import Call, Fault, ReferenceTable, Weather, clear

from headgate.core.model import Subject
from headgate.sdk.gate import Gate, NotAllowed
from headgate.sdk.provider import HeadgateProvider
from headgate.store import memberships as lists
from headgate.store.dynamo import REQUEST_BUDGET, DynamoTable
from headgate.store.port import Throttled
from headgate.store.snapshots import Snapshots

DOORS = ("enter", "mint", "evaluate", "evaluate all", "start a session")
LISTED = [f"m{n}" for n in range(20)]
STRANGER = "stranger"


class World:
    """An access flag with a long list, and one environment of every function."""

    def __init__(self, **members: object) -> None:
        self.clock, self.table = FakeClock(), ReferenceTable()
        self.desk = MembersDesk(self.table, self.clock, key="access", inline=0)
        self.desk.creates(**members)
        self.desk.changes(add=LISTED)
        routes = [{"route": "GET /enter", "class": "entry", "flags": ["access"]}, {"route": "GET /observe",
                  "class": "observe"}, {"route": "GET /asks", "class": "continue", "asks": ["access"]}]  # fmt: skip
        manifest = {"access": "access", "max_stale": 30, "routes": routes, **WHY}
        assert self.desk.does("POST /admin/v1/manifest", manifest).status == 200
        self.environment = Environment(self.table, self.clock)

    def lets_in(self, door: str, person: str) -> bool | None:
        self.clock.advance(0.002)  # another session
        return self.environment.asks(door, person).granted

    def reads(self, act: Callable[[], object]) -> list[int]:
        """How many items each read of the table is for."""
        before = len(self.table.calls)
        act()
        return [len(call.keys) for call in self.table.calls[before:] if call.op == "get"]


def of_members(fault: Fault) -> Weather:
    """Nothing but member items is touched by it."""
    return lambda call: fault if call.op == "get" and _is_of_members(call) else None


def _is_of_members(call: Call) -> bool:
    return all(pk.startswith("members#") for pk, _sk in call.keys)


@pytest.mark.parametrize("door", DOORS)
def test_every_door_knows_the_long_list(door: str) -> None:
    world = World()
    assert world.lets_in(door, LISTED[3])
    assert world.lets_in(door, LISTED[3])
    assert not world.lets_in(door, STRANGER)
    assert world.lets_in(door, ADMIN)
    world.desk.changes(remove=[LISTED[3]])
    world.clock.advance(0 if door in ("enter", "mint", "start a session") else 5)  # live at once, evaluate in 5 s
    assert not world.lets_in(door, LISTED[3])
    assert world.lets_in(door, LISTED[4])


@pytest.mark.parametrize(
    ("door", "first", "again"), [("enter", [1, 1], [1]), ("mint", [1, 1], [1]), ("evaluate", [1], [])]
)
def test_a_long_list_costs_one_read_a_subject(door: str, first: Sequence[int], again: Sequence[int]) -> None:
    """1 consistent read and 1 batched; none but the head while it is kept; none at all for admins."""
    world = World()
    world.environment.warm()
    assert world.reads(lambda: world.lets_in(door, LISTED[1])) == first
    assert world.reads(lambda: world.lets_in(door, LISTED[1])) == again
    assert world.reads(lambda: world.lets_in(door, STRANGER)) == first
    assert world.reads(lambda: world.lets_in(door, ADMIN)) == again
    world.clock.advance(lists.HELD_FOR + 1)
    assert len(world.reads(lambda: world.lets_in(door, LISTED[1]))) == 2


@pytest.mark.parametrize("state", ["killed", "admin_only", "inline", "removed"])
def test_what_cannot_matter_is_not_read(state: str) -> None:
    world = World()
    if state == "killed":
        world.desk.does("POST /admin/v1/flags/{key}/kill", WHY)
    elif state == "admin_only":
        body = {"stage": "admin_only", "allow_shrink": True, **WHY}
        world.desk.does("POST /admin/v1/flags/{key}/stage", body, **{"if-match": '"2"'})
    elif state == "inline":
        other = MembersDesk(world.table, world.clock, key="access")
        other.changes(add=["someone"])
        world.desk.changes(remove=LISTED)
    else:
        world.desk.changes(remove=LISTED)
    world.environment.warm()
    assert world.reads(lambda: world.lets_in("enter", "someone")) == [1]
    assert world.lets_in("enter", "someone") is (state == "inline")


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.THROTTLED])
@pytest.mark.parametrize("door", DOORS)
def test_a_list_that_cannot_be_read_lets_nobody_in(door: str, fault: Fault) -> None:
    """503 for a while where there is one, 403 at the gate; admins pass, and afterwards all is as before."""
    world = World()
    world.environment.warm()
    world.table.weather = of_members(fault)
    for person in (LISTED[0], STRANGER):
        outcome = world.environment.asks(door, person)
        assert not outcome.granted
        assert outcome.status == (200 if door == "enter" else 503)
        world.clock.advance(2)  # longer than the breaker
    assert world.lets_in(door, ADMIN)
    world.table.weather = clear
    world.clock.advance(2)
    assert world.lets_in(door, LISTED[0])
    assert not world.lets_in(door, STRANGER)


@pytest.mark.parametrize("door", DOORS)
def test_who_is_known_is_let_in_while_the_lists_are_away(door: str) -> None:
    world = World()
    world.environment.warm()
    assert world.lets_in(door, LISTED[0])
    world.table.weather = of_members(Fault.LOST_REQUEST)
    assert world.lets_in(door, LISTED[0])


@pytest.mark.parametrize("door", DOORS)
def test_a_list_that_decides_nothing_is_not_missed(door: str) -> None:
    """At GA everybody is in, listed or not."""
    world = World(stage="ga")
    world.environment.warm()
    world.table.weather = of_members(Fault.LOST_REQUEST)
    assert world.lets_in(door, LISTED[0])
    world.clock.advance(2)  # longer than the breaker: a session needs the store for itself
    assert world.lets_in(door, STRANGER)


def test_the_log_says_why_a_gate_denied(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.environment.warm()
    world.table.weather = of_members(Fault.THROTTLED)
    capsys.readouterr()
    assert not world.lets_in("enter", LISTED[0])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["code"] for line in lines if line.get("event") == "denied"] == ["list-unavailable:access"]
    assert not any(LISTED[0] in json.dumps(line) for line in lines)


def test_a_member_item_that_cannot_be_read_lets_nobody_in() -> None:
    world = World()
    shards = [pk for pk in world.table.saved() if pk.startswith("members#")]
    for events in ('[["x"]]', "{", "", "[[1,2]]", "[[1.5,1]]", "[1]"):
        for pk in shards:
            for sk, item in world.table.partition(pk).items():
                world.table.partition(pk)[sk] = {**item, "events": events}
        assert world.environment.asks("mint", LISTED[0]).status == 503, events


def test_in_process_it_is_the_same() -> None:
    world = World()
    world.desk.changes(add=["acme"], kind="orgs")
    gate = Gate(world.table, clock=world.clock, live=True)
    assert gate.allows("access", Subject(LISTED[0]))
    assert gate.allows("access", Subject("x", ("other", "acme")))
    assert not gate.allows("access", Subject("acme"))
    assert not gate.allows("access", Subject("x", (LISTED[0],)))
    provider = HeadgateProvider(world.table, clock=world.clock, jitter=lambda: 0.5)
    provider.initialize(EvaluationContext())
    details = provider.resolve_boolean_details("access", False, EvaluationContext(LISTED[1]))
    assert (details.value, details.flag_metadata["reason"]) == (True, "ALLOWLIST")
    assert provider.resolve_boolean_details("access", True, EvaluationContext(STRANGER)).value is False
    world.table.weather = of_members(Fault.LOST_REQUEST)
    with pytest.raises(NotAllowed, match="UNAVAILABLE"):
        gate.check("access", Subject(LISTED[5]))
    with pytest.raises(GeneralError):
        provider.resolve_boolean_details("access", True, EvaluationContext(LISTED[5]))
    assert gate.allows("access", Subject("root", admin=True))


@pytest.mark.parametrize("user", ["", "x" * 257, "a b", "\ud800", "a\nb"])
def test_who_could_be_no_member_is_not_looked_up(user: str) -> None:
    """No such key may reach the table."""
    world = World()
    gate = Gate(world.table, clock=world.clock, live=True)
    gate.allows("access", Subject(STRANGER))
    assert world.reads(lambda: gate.allows("access", Subject(user))) == [1]


def test_many_orgs_are_read_a_hundred_at_a_time() -> None:
    world = World()
    world.desk.changes(add=["o249"], kind="orgs")
    environment = Snapshots(world.table, clock=world.clock)
    subject = Subject("x", tuple(f"o{n}" for n in range(250)))
    view = environment.live()
    found = world.reads(lambda: environment.with_lists(view, subject, ["access"]))
    assert found == [100, 100, 51]
    assert environment.with_lists(view, subject, ["access"]).subject.listed == {"access"}


def test_what_is_kept_is_bounded() -> None:
    world = World()
    environment = Snapshots(world.table, clock=world.clock)
    world.desk.changes(add=["someone"], kind="orgs")
    view = environment.live()
    for begin in range(0, lists.HELD + 2_000, 1_000):
        subject = Subject(f"u{begin}", tuple(f"o{begin + n}" for n in range(1_000)))
        environment.with_lists(view, subject, ["access"])
    assert len(environment._lists._held) == lists.HELD
    assert lists.HELD_FOR <= 600


def test_the_lists_take_what_the_head_left_of_the_budget() -> None:
    """1 s for all that a request asks of the store: how much is gone is told to the table."""
    world = World()
    environment = Snapshots(world.table, clock=world.clock)
    view = environment.live()
    world.clock.advance(0.4)
    environment.with_lists(view, Subject(LISTED[0]), ["access"])
    assert world.table.spent == pytest.approx(0.4)


def test_a_slow_head_leaves_no_time_for_lists() -> None:
    """Then it is a throttle: nobody is let in by it, and the breaker stays as it is."""
    table = DynamoTable("t", object(), budget=REQUEST_BUDGET)
    with pytest.raises(Throttled, match="budget"):
        table.get([("members#f#0", "user#x")], spent=0.6)


def test_the_past_is_asked_about_with_the_whole_budget() -> None:
    """Reading the stream may have taken long, and in a fresh environment nothing was read before."""
    world = World()
    revision = world.desk.flag["revision"]
    world.clock.advance(60)
    for desk in (world.desk, MembersDesk(world.table, world.clock, key="access")):
        assert desk.explains(LISTED[0], as_of=revision) == (True, "ALLOWLIST")
        assert world.table.spent == 0


def test_no_list_is_read_on_an_event_loop() -> None:
    world = World()
    provider = HeadgateProvider(world.table, clock=world.clock, jitter=lambda: 0.5)
    provider.initialize(EvaluationContext())
    readers: list[int] = []
    world.table.turn = lambda: readers.append(threading.get_ident())
    asked = provider.resolve_boolean_details_async("access", False, EvaluationContext(LISTED[0]))
    assert asyncio.run(asked).value is True
    assert readers
    assert threading.get_ident() not in readers
