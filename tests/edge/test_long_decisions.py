"""Members of a long list at every site: admitted like any other, with one batched read, never because of an error."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence

import pytest
from in_memory_gate import ADMIN, Environment, InMemoryGate
from members_desk import WHY, MembersDesk
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError
from reference_table import Call, Fault, Weather, clear

from headgate.core.model import Subject
from headgate.sdk.gate import Gate, NotAllowed
from headgate.sdk.provider import HeadgateProvider
from headgate.store import memberships as lists
from headgate.store.dynamo import REQUEST_BUDGET, DynamoTable
from headgate.store.port import Throttled

SITES = ("enter", "mint", "evaluate", "evaluate all", "start a session")
LISTED = [f"m{n}" for n in range(20)]
STRANGER = "stranger"


class LongList(InMemoryGate):
    """An access flag with a long list, and one environment of every function."""

    def __init__(self, **members: object) -> None:
        super().__init__()
        self.members = MembersDesk(self.table, self.clock, key="access", inline=0)
        self.members.creates(**members)
        self.members.changes(add=LISTED)
        routes = [{"route": "GET /enter", "class": "entry", "flags": ["access"]}, {"route": "GET /observe",
                  "class": "observe"}, {"route": "GET /asks", "class": "continue", "asks": ["access"]}]  # fmt: skip
        manifest = {"access": "access", "max_stale": 30, "routes": routes, **WHY}
        assert self.members.does("POST /admin/v1/manifest", manifest).status == 200
        self.environment = Environment(self.table, self.clock)

    def lets_in(self, site: str, person: str) -> bool | None:
        self.clock.advance(0.002)  # another session
        return self.environment.asks(site, person).granted

    def reads(self, act: Callable[[], object]) -> list[int]:
        """How many items each read of the table is for."""
        before = len(self.table.calls)
        act()
        return [len(call.keys) for call in self.table.calls[before:] if call.op == "get"]


def of_members(fault: Fault) -> Weather:
    """The fault affects only reads of member items."""
    return lambda call: fault if call.op == "get" and _is_of_members(call) else None


def _is_of_members(call: Call) -> bool:
    return all(pk.startswith("members#") for pk, _sk in call.keys)


@pytest.mark.parametrize("site", SITES)
def test_every_site_decides_by_the_long_list(site: str) -> None:
    listed = LongList()
    assert listed.lets_in(site, LISTED[3])
    assert listed.lets_in(site, LISTED[3])
    assert not listed.lets_in(site, STRANGER)
    assert listed.lets_in(site, ADMIN)
    listed.members.changes(remove=[LISTED[3]])
    listed.clock.advance(0 if site in ("enter", "mint", "start a session") else 5)  # live at once, evaluate in 5 s
    assert not listed.lets_in(site, LISTED[3])
    assert listed.lets_in(site, LISTED[4])


@pytest.mark.parametrize(
    ("site", "first", "again"), [("enter", [1, 1], [1]), ("mint", [1, 1], [1]), ("evaluate", [1], [])]
)
def test_a_long_list_costs_one_read_per_subject(site: str, first: Sequence[int], again: Sequence[int]) -> None:
    """One consistent read and one batched read; only the head while the answer is cached; none for admins."""
    listed = LongList()
    listed.environment.warm()
    assert listed.reads(lambda: listed.lets_in(site, LISTED[1])) == first
    assert listed.reads(lambda: listed.lets_in(site, LISTED[1])) == again
    assert listed.reads(lambda: listed.lets_in(site, STRANGER)) == first
    assert listed.reads(lambda: listed.lets_in(site, ADMIN)) == again
    listed.clock.advance(lists.HELD_FOR + 1)
    assert len(listed.reads(lambda: listed.lets_in(site, LISTED[1]))) == 2


@pytest.mark.parametrize("state", ["killed", "admin_only", "inline", "removed"])
def test_a_list_that_cannot_affect_the_decision_is_not_read(state: str) -> None:
    listed = LongList()
    if state == "killed":
        listed.members.does("POST /admin/v1/flags/{key}/kill", WHY)
    elif state == "admin_only":
        body = {"stage": "admin_only", "allow_shrink": True, **WHY}
        listed.members.does("POST /admin/v1/flags/{key}/stage", body, **{"if-match": '"2"'})
    elif state == "inline":
        other = MembersDesk(listed.table, listed.clock, key="access")
        other.changes(add=["someone"])
        listed.members.changes(remove=LISTED)
    else:
        listed.members.changes(remove=LISTED)
    listed.environment.warm()
    assert listed.reads(lambda: listed.lets_in("enter", "someone")) == [1]
    assert listed.lets_in("enter", "someone") is (state == "inline")


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.LOST_ANSWER, Fault.THROTTLED])
@pytest.mark.parametrize("site", SITES)
def test_a_list_that_cannot_be_read_admits_nobody(site: str, fault: Fault) -> None:
    """503, or 403 at the authorizer; admins pass, and after the fault all is as before."""
    listed = LongList()
    listed.environment.warm()
    listed.table.weather = of_members(fault)
    for person in (LISTED[0], STRANGER):
        outcome = listed.environment.asks(site, person)
        assert not outcome.granted
        assert outcome.status == (200 if site == "enter" else 503)
        listed.clock.advance(2)  # longer than the breaker
    assert listed.lets_in(site, ADMIN)
    listed.table.weather = clear
    listed.clock.advance(2)
    assert listed.lets_in(site, LISTED[0])
    assert not listed.lets_in(site, STRANGER)


@pytest.mark.parametrize("site", SITES)
def test_a_cached_member_is_admitted_while_lists_are_unavailable(site: str) -> None:
    listed = LongList()
    listed.environment.warm()
    assert listed.lets_in(site, LISTED[0])
    listed.table.weather = of_members(Fault.LOST_REQUEST)
    assert listed.lets_in(site, LISTED[0])


@pytest.mark.parametrize("site", SITES)
def test_an_unavailable_list_does_not_matter_at_ga(site: str) -> None:
    """At GA everyone is in, listed or not."""
    listed = LongList(stage="ga")
    listed.environment.warm()
    listed.table.weather = of_members(Fault.LOST_REQUEST)
    assert listed.lets_in(site, LISTED[0])
    listed.clock.advance(2)  # longer than the breaker: a session needs the store for itself
    assert listed.lets_in(site, STRANGER)


def test_a_denial_for_an_unavailable_list_is_logged_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    listed = LongList()
    listed.environment.warm()
    listed.table.weather = of_members(Fault.THROTTLED)
    capsys.readouterr()
    assert not listed.lets_in("enter", LISTED[0])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["code"] for line in lines if line.get("event") == "denied"] == ["list-unavailable:access"]
    assert not any(LISTED[0] in json.dumps(line) for line in lines)


def test_an_unreadable_member_item_admits_nobody() -> None:
    listed = LongList()
    shards = [pk for pk in listed.table.saved() if pk.startswith("members#")]
    for events in ('[["x"]]', "{", "", "[[1,2]]", "[[1.5,1]]", "[1]"):
        for pk in shards:
            for sk, item in listed.table.partition(pk).items():
                listed.table.partition(pk)[sk] = {**item, "events": events}
        assert listed.environment.asks("mint", LISTED[0]).status == 503, events


def test_the_sdk_gate_and_provider_decide_by_the_long_list() -> None:
    listed = LongList()
    listed.members.changes(add=["acme"], kind="orgs")
    gate = Gate(listed.table, clock=listed.clock, live=True)
    assert gate.allows("access", Subject(LISTED[0]))
    assert gate.allows("access", Subject("x", ("other", "acme")))
    assert not gate.allows("access", Subject("acme"))
    assert not gate.allows("access", Subject("x", (LISTED[0],)))
    provider = HeadgateProvider(listed.table, clock=listed.clock, jitter=lambda: 0.5)
    provider.initialize(EvaluationContext())
    details = provider.resolve_boolean_details("access", False, EvaluationContext(LISTED[1]))
    assert (details.value, details.flag_metadata["reason"]) == (True, "ALLOWLIST")
    assert provider.resolve_boolean_details("access", True, EvaluationContext(STRANGER)).value is False
    listed.table.weather = of_members(Fault.LOST_REQUEST)
    with pytest.raises(NotAllowed, match="UNAVAILABLE"):
        gate.check("access", Subject(LISTED[5]))
    with pytest.raises(GeneralError):
        provider.resolve_boolean_details("access", True, EvaluationContext(LISTED[5]))
    assert gate.allows("access", Subject("root", admin=True))


@pytest.mark.parametrize("user", ["", "x" * 257, "a b", "\ud800", "a\nb"])
def test_an_id_that_cannot_be_a_member_is_not_looked_up(user: str) -> None:
    """No such key may reach the table."""
    listed = LongList()
    gate = Gate(listed.table, clock=listed.clock, live=True)
    gate.allows("access", Subject(STRANGER))
    assert listed.reads(lambda: gate.allows("access", Subject(user))) == [1]


def test_many_orgs_are_looked_up_a_hundred_at_a_time() -> None:
    listed = LongList()
    listed.members.changes(add=["o249"], kind="orgs")
    environment = listed.cold()
    subject = Subject("x", tuple(f"o{n}" for n in range(250)))
    view = environment.live()
    found = listed.reads(lambda: environment.with_lists(view, subject, ["access"]))
    assert found == [100, 100, 51]
    assert environment.with_lists(view, subject, ["access"]).subject.listed == {"access"}


def test_the_member_cache_is_bounded() -> None:
    listed = LongList()
    environment = listed.cold()
    listed.members.changes(add=["someone"], kind="orgs")
    view = environment.live()
    for begin in range(0, lists.HELD + 2_000, 1_000):
        subject = Subject(f"u{begin}", tuple(f"o{begin + n}" for n in range(1_000)))
        environment.with_lists(view, subject, ["access"])
    assert len(environment._lists._held) == lists.HELD
    assert lists.HELD_FOR <= 600


def test_a_list_read_gets_the_budget_that_the_head_left() -> None:
    """A request has 1 s for all its store reads; the table is told how much is spent."""
    listed = LongList()
    environment = listed.cold()
    view = environment.live()
    listed.clock.advance(0.4)
    environment.with_lists(view, Subject(LISTED[0]), ["access"])
    assert listed.table.spent == pytest.approx(0.4)


def test_a_list_read_without_enough_budget_raises_throttled() -> None:
    """A throttle admits nobody and does not open the breaker."""
    table = DynamoTable("t", object(), budget=REQUEST_BUDGET)
    with pytest.raises(Throttled, match="budget"):
        table.get([("members#f#0", "user#x")], spent=0.6)


def test_a_list_read_as_of_the_past_gets_the_whole_budget() -> None:
    """Reading the stream may take long, and a cold environment has read nothing before."""
    listed = LongList()
    revision = listed.members.flag["revision"]
    listed.clock.advance(60)
    for desk in (listed.members, MembersDesk(listed.table, listed.clock, key="access")):
        assert desk.explains(LISTED[0], as_of=revision) == (True, "ALLOWLIST")
        assert listed.table.spent == 0


def test_no_list_is_read_on_an_event_loop() -> None:
    listed = LongList()
    provider = HeadgateProvider(listed.table, clock=listed.clock, jitter=lambda: 0.5)
    provider.initialize(EvaluationContext())
    readers: list[int] = []
    listed.table.turn = lambda: readers.append(threading.get_ident())
    asked = provider.resolve_boolean_details_async("access", False, EvaluationContext(LISTED[0]))
    assert asyncio.run(asked).value is True
    assert readers
    assert threading.get_ident() not in readers
