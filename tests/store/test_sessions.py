"""Session records: started up to a cap, renewed up to a life, ended for good, counted."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fake_clock import FakeClock
from reference_table import Fault, ReferenceTable, always, at, clear

from headgate.core.session import MAX_LIFE, MAX_PER_SUBJECT, SESSION_TOKEN_LIFE, Session, start
from headgate.store.port import ConditionFailed, Contended, Throttled, Unavailable
from headgate.store.sessions import (
    COUNT_PAGES,
    COUNT_SECONDS,
    KEEP,
    Capped,
    Sessions,
    ending,
    is_record_id,
    session_key,
)

NOW = 1_780_000_000


class World:
    """A table, a clock, and what stands between."""

    def __init__(self, page: int = 1_000) -> None:
        self.clock, self.table = FakeClock(NOW), ReferenceTable(page=page)
        self.sessions = Sessions(self.table, clock=self.clock)

    def start(self, subject: str, session_id: str, **members: Any) -> Session:
        """One that begins now."""
        session = start(
            subject=subject, session_id=session_id, now=int(self.clock()), client_id="web",
            **{"orgs": ("o",), "admin": False, "attributes": {"plan": "pro"}, **members},
        )  # fmt: skip
        self.sessions.start(session)
        return session


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_started_is_found(world: World) -> None:
    session = world.start(
        "alice", "town:1", orgs=("o", "p"), admin=True, attributes={"plan": "pro", "n": [1, {"a": None}]}
    )
    assert world.sessions.find("alice", "town:1") == session
    assert world.sessions.find("bob", "town:1") is None
    assert world.sessions.find("alice", "town:2") is None
    record = session_key("alice", "town:1")[1]
    assert world.sessions.by_record(record) == session
    assert is_record_id(record)
    assert not is_record_id("alice")
    assert session.is_live(NOW)
    assert session.is_live(NOW + SESSION_TOKEN_LIFE - 0.001)
    assert not session.is_live(NOW + SESSION_TOKEN_LIFE)


def test_a_start_is_two_reads_and_one_write(world: World) -> None:
    world.start("alice", "s1")
    assert [call.op for call in world.table.calls] == ["get", "query", "write"]


def test_nothing_of_the_subject_stands_in_the_record_s_key(world: World) -> None:
    world.start("alice@example.test", "town:1")
    keys = [f"{pk} {sk}" for pk, rows in world.table.saved().items() for sk in rows]
    assert not any("alice" in key or "town" in key for key in keys)


def test_subjects_and_ids_do_not_run_into_each_other(world: World) -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("a", "b"), ("a", "B"), ("A", "b")]
    for subject, session_id in pairs:
        world.start(subject, session_id)
    assert world.sessions.inside() == (len(pairs), NOW + MAX_LIFE)
    assert len({session_key(*pair) for pair in pairs}) == len(pairs)


# -- life


def test_renewals_reach_to_the_end_of_life_and_no_further(world: World) -> None:
    session = world.start("alice", "s1")
    renewals = 0
    while session.is_live(world.clock()):
        world.clock.advance(SESSION_TOKEN_LIFE - 1)
        if not session.is_live(world.clock()):
            break
        renewed = session.renewed(int(world.clock()))
        assert world.sessions.renew(session, renewed)
        assert renewed.expires_at <= NOW + MAX_LIFE
        session = renewed
        renewals += 1
        assert renewals < 50
    assert session.expires_at == NOW + MAX_LIFE
    assert world.sessions.find("alice", "s1") == session
    assert not session.renewed(int(world.clock())).is_live(world.clock())


def test_a_drain_shortens_a_renewal(world: World) -> None:
    session = world.start("alice", "s1")
    assert session.renewed(NOW + 10, NOW + 60).expires_at == NOW + 60
    assert session.renewed(NOW + 10, NOW + 10**6).expires_at == NOW + 10 + SESSION_TOKEN_LIFE
    assert session.renewed(NOW + MAX_LIFE - 10, NOW + 10**6).expires_at == NOW + MAX_LIFE


def test_a_renewal_of_what_changed_meanwhile_is_refused(world: World) -> None:
    session = world.start("alice", "s1")
    assert world.sessions.renew(session, session.renewed(NOW + 10))
    assert not world.sessions.renew(session, session.renewed(NOW + 20))
    held = world.sessions.find("alice", "s1")
    assert held is not None
    assert held.expires_at == NOW + 10 + SESSION_TOKEN_LIFE


def test_ended_is_ended_and_the_id_may_be_started_anew(world: World) -> None:
    session = world.start("alice", "s1")
    world.table.write([ending(session)])
    held = world.sessions.find("alice", "s1")
    assert held == replace(session, ended=True)
    assert held is not None
    assert not held.is_live(NOW)
    assert not world.sessions.renew(session, session.renewed(NOW + 10))
    assert world.sessions.inside() == (0, None)
    world.clock.advance(10)
    again = world.start("alice", "s1")
    assert world.sessions.find("alice", "s1") == again
    assert again.is_live(NOW + 10)


def test_an_end_of_what_was_renewed_meanwhile_is_not_lost(world: World) -> None:
    """The write holds what it read: whoever ends reads again."""
    session = world.start("alice", "s1")
    assert world.sessions.renew(session, session.renewed(NOW + 10))
    with pytest.raises(ConditionFailed):
        world.table.write([ending(session)])
    held = world.sessions.find("alice", "s1")
    assert held is not None
    world.table.write([ending(held)])
    assert world.sessions.find("alice", "s1") == replace(held, ended=True)


def test_records_outlive_sessions_by_a_day_and_then_go(world: World) -> None:
    world.start("alice", "s1")
    assert world.table.expire(NOW + MAX_LIFE + KEEP - 1) == 0
    assert world.table.expire(NOW + MAX_LIFE + KEEP) == 1
    assert world.sessions.find("alice", "s1") is None


# -- the cap


@pytest.mark.parametrize("page", [1, 7, 1_000])
def test_the_cap_counts_live_sessions_of_one_subject(page: int) -> None:
    world = World(page)
    for number in range(MAX_PER_SUBJECT):
        world.start("alice", f"s{number}")
        world.start("bob", f"s{number}")
    for subject in ("alice", "bob"):
        with pytest.raises(Capped):
            world.start(subject, "one more")
    assert world.sessions.find("alice", "one more") is None
    world.start("carol", "s0")


def test_a_place_that_falls_free_can_be_taken(world: World) -> None:
    sessions = [world.start("alice", f"s{number}") for number in range(MAX_PER_SUBJECT)]
    world.table.write([ending(sessions[7])])
    world.start("alice", "after an end")
    with pytest.raises(Capped):
        world.start("alice", "one more")
    world.clock.advance(SESSION_TOKEN_LIFE)
    world.start("alice", "all others have run out")
    assert world.sessions.inside() == (1, NOW + SESSION_TOKEN_LIFE + MAX_LIFE)


def test_the_dead_do_not_crowd_out_the_living() -> None:
    """Four hundred ended sessions on record, eight pages of them: the cap still counts the live ones, all of them."""
    world = World(page=50)
    for number in range(400):
        world.table.write([ending(world.start("alice", f"old{number}"))])
    for number in range(MAX_PER_SUBJECT):
        world.start("alice", f"s{number}")
    with pytest.raises(Capped):
        world.start("alice", "one more")


def test_starting_again_what_is_there_takes_no_further_place(world: World) -> None:
    for number in range(MAX_PER_SUBJECT):
        world.start("alice", f"s{number}")
    world.start("alice", "s7")
    assert world.sessions.inside() == (MAX_PER_SUBJECT, NOW + MAX_LIFE)


def test_three_lost_races_are_contended(world: World) -> None:
    world.start("alice", "s1")
    world.table.weather = lambda call: Fault.CONTENDED if call.op == "write" else None
    with pytest.raises(Contended):
        world.start("alice", "s2")
    assert world.table.count("write") == 4
    world.table.weather = clear
    assert world.sessions.find("alice", "s2") is None


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(("fault", "raised"), [(Fault.LOST_REQUEST, Unavailable), (Fault.THROTTLED, Throttled)])
def test_a_start_without_the_table_is_no_start(
    world: World, number: int, fault: Fault, raised: type[Exception]
) -> None:
    world.table.weather = at(number, fault)
    with pytest.raises(raised):
        world.start("alice", "s1")
    world.table.weather = clear
    assert world.sessions.find("alice", "s1") is None
    world.start("alice", "s1")


def test_a_start_whose_answer_was_lost_can_be_repeated(world: World) -> None:
    world.table.weather = at(2, Fault.LOST_ANSWER)
    with pytest.raises(Unavailable):
        world.start("alice", "s1")
    world.table.weather = clear
    world.start("alice", "s1")
    assert world.sessions.inside() == (1, NOW + MAX_LIFE)


# -- counting


@pytest.mark.parametrize("page", [1, 3, 1_000])
def test_all_are_listed_in_order_and_from_anywhere(page: int) -> None:
    world = World(page)
    for number in range(60):
        world.start(f"subject-{number}", "s")
    everyone = list(world.sessions.every())
    assert len(everyone) == 60
    assert [record for record, _session in everyone] == sorted(record for record, _session in everyone)
    for place in (0, 17, 58, 59):
        assert list(world.sessions.every(everyone[place][0])) == everyone[place + 1 :]


def test_counting_gives_up_above_its_bound() -> None:
    world = World(page=1)
    for number in range(COUNT_PAGES // 2):
        world.start(f"subject-{number}", "s")
    assert world.sessions.inside() is None
    slow = World()
    slow.start("alice", "s")
    assert slow.sessions.inside() == (1, NOW + MAX_LIFE)
    slow.table.turn = lambda: slow.clock.advance(COUNT_SECONDS)
    assert slow.sessions.inside() is None


def test_counting_says_so_when_the_table_does_not_answer(world: World) -> None:
    world.table.weather = always(Fault.LOST_REQUEST)
    with pytest.raises(Unavailable):
        world.sessions.inside()


OF_ALICE = {"subject": "alice", "session_id": "s1", "started_at": 1, "expires_at": 2, "orgs": []}
UNREADABLE = ["{not json", "null", "[]", "{}", '{"subject": "alice"}', "[" * 100_000] + [
    json.dumps({**OF_ALICE, **odd})
    for odd in ({"started_at": "x"}, {"expires_at": None}, {"orgs": None}, {"orgs": 5}, {"newer": 1})
]


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_record_that_cannot_be_read_is_no_session(world: World, body: str) -> None:
    """It is not renewed, it does not fail the count, and it stands in nobody's way."""
    world.start("alice", "s1")
    world.start("bob", "s1")
    pk, sk = session_key("alice", "s1")
    rows = world.table.partition(pk)
    rows[sk] = {**rows[sk], "body": body}
    assert world.sessions.find("alice", "s1") is None
    assert world.sessions.inside() == (1, NOW + MAX_LIFE)
    world.start("alice", "s2")
    world.start("alice", "s1")
    assert world.sessions.inside() == (3, NOW + MAX_LIFE)
