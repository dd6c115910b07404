"""Session records: start up to a cap, renewal up to a maximum life, end, and counts."""

import json
from dataclasses import replace

import pytest
from in_memory_gate import InMemoryGate
from reference_table import Fault, ReferenceTable, always, at, clear

from headgate.core.session import MAX_LIFE, MAX_PER_SUBJECT, SESSION_TOKEN_LIFE
from headgate.store.port import ConditionFailed, Contended, Throttled, Unavailable
from headgate.store.sessions import COUNT_PAGES, COUNT_SECONDS, KEEP, Capped, ending, is_record_id, session_key

NOW = 1_780_000_000


@pytest.fixture
def gate() -> InMemoryGate:
    return InMemoryGate()


def test_a_started_session_is_found(gate: InMemoryGate) -> None:
    session = gate.start_session(
        "alice", "town:1", orgs=("o", "p"), admin=True, attributes={"plan": "pro", "n": [1, {"a": None}]}
    )
    assert gate.sessions.find("alice", "town:1") == session
    assert gate.sessions.find("bob", "town:1") is None
    assert gate.sessions.find("alice", "town:2") is None
    record = session_key("alice", "town:1")[1]
    assert gate.sessions.by_record(record) == session
    assert is_record_id(record)
    assert not is_record_id("alice")
    assert session.is_live(NOW)
    assert session.is_live(NOW + SESSION_TOKEN_LIFE - 0.001)
    assert not session.is_live(NOW + SESSION_TOKEN_LIFE)


def test_a_start_costs_two_reads_and_one_write(gate: InMemoryGate) -> None:
    gate.start_session("alice", "s1")
    assert [call.op for call in gate.table.calls] == ["get", "query", "write"]


def test_a_record_key_contains_nothing_of_the_subject(gate: InMemoryGate) -> None:
    gate.start_session("alice@example.test", "town:1")
    keys = [f"{pk} {sk}" for pk, rows in gate.table.saved().items() for sk in rows]
    assert not any("alice" in key or "town" in key for key in keys)


def test_different_subject_and_id_pairs_never_share_a_record(gate: InMemoryGate) -> None:
    pairs = [("a", "bc"), ("ab", "c"), ("a", "b"), ("a", "B"), ("A", "b")]
    for subject, session_id in pairs:
        gate.start_session(subject, session_id)
    assert gate.sessions.inside() == (len(pairs), NOW + MAX_LIFE)
    assert len({session_key(*pair) for pair in pairs}) == len(pairs)


# -- life


def test_renewals_extend_a_session_up_to_its_maximum_life(gate: InMemoryGate) -> None:
    session = gate.start_session("alice", "s1")
    renewals = 0
    while session.is_live(gate.clock()):
        gate.clock.advance(SESSION_TOKEN_LIFE - 1)
        if not session.is_live(gate.clock()):
            break
        renewed = session.renewed(int(gate.clock()))
        assert gate.sessions.renew(session, renewed)
        assert renewed.expires_at <= NOW + MAX_LIFE
        session = renewed
        renewals += 1
        assert renewals < 50
    assert session.expires_at == NOW + MAX_LIFE
    assert gate.sessions.find("alice", "s1") == session
    assert not session.renewed(int(gate.clock())).is_live(gate.clock())


def test_a_drain_shortens_a_renewal(gate: InMemoryGate) -> None:
    session = gate.start_session("alice", "s1")
    assert session.renewed(NOW + 10, NOW + 60).expires_at == NOW + 60
    assert session.renewed(NOW + 10, NOW + 10**6).expires_at == NOW + 10 + SESSION_TOKEN_LIFE
    assert session.renewed(NOW + MAX_LIFE - 10, NOW + 10**6).expires_at == NOW + MAX_LIFE


def test_a_renewal_of_a_modified_record_is_refused(gate: InMemoryGate) -> None:
    session = gate.start_session("alice", "s1")
    assert gate.sessions.renew(session, session.renewed(NOW + 10))
    assert not gate.sessions.renew(session, session.renewed(NOW + 20))
    held = gate.sessions.find("alice", "s1")
    assert held is not None
    assert held.expires_at == NOW + 10 + SESSION_TOKEN_LIFE


def test_an_ended_session_stays_ended_and_its_id_can_be_started_again(gate: InMemoryGate) -> None:
    session = gate.start_session("alice", "s1")
    gate.table.write([ending(session)])
    held = gate.sessions.find("alice", "s1")
    assert held == replace(session, ended=True)
    assert held is not None
    assert not held.is_live(NOW)
    assert not gate.sessions.renew(session, session.renewed(NOW + 10))
    assert gate.sessions.inside() == (0, None)
    gate.clock.advance(10)
    again = gate.start_session("alice", "s1")
    assert gate.sessions.find("alice", "s1") == again
    assert again.is_live(NOW + 10)


def test_an_end_of_a_renewed_record_fails_and_succeeds_after_a_new_read(gate: InMemoryGate) -> None:
    """The write is conditional on the record that was read."""
    session = gate.start_session("alice", "s1")
    assert gate.sessions.renew(session, session.renewed(NOW + 10))
    with pytest.raises(ConditionFailed):
        gate.table.write([ending(session)])
    held = gate.sessions.find("alice", "s1")
    assert held is not None
    gate.table.write([ending(held)])
    assert gate.sessions.find("alice", "s1") == replace(held, ended=True)


def test_a_record_is_kept_a_day_after_the_session_and_then_expires(gate: InMemoryGate) -> None:
    gate.start_session("alice", "s1")
    assert gate.table.expire(NOW + MAX_LIFE + KEEP - 1) == 0
    assert gate.table.expire(NOW + MAX_LIFE + KEEP) == 1
    assert gate.sessions.find("alice", "s1") is None


# -- the cap


@pytest.mark.parametrize("page", [1, 7, 1_000])
def test_the_cap_counts_live_sessions_of_one_subject(page: int) -> None:
    gate = InMemoryGate(ReferenceTable(page=page))
    for number in range(MAX_PER_SUBJECT):
        gate.start_session("alice", f"s{number}")
        gate.start_session("bob", f"s{number}")
    for subject in ("alice", "bob"):
        with pytest.raises(Capped):
            gate.start_session(subject, "one more")
    assert gate.sessions.find("alice", "one more") is None
    gate.start_session("carol", "s0")


def test_an_ended_or_expired_session_frees_a_place(gate: InMemoryGate) -> None:
    sessions = [gate.start_session("alice", f"s{number}") for number in range(MAX_PER_SUBJECT)]
    gate.table.write([ending(sessions[7])])
    gate.start_session("alice", "after an end")
    with pytest.raises(Capped):
        gate.start_session("alice", "one more")
    gate.clock.advance(SESSION_TOKEN_LIFE)
    gate.start_session("alice", "all others have run out")
    assert gate.sessions.inside() == (1, NOW + SESSION_TOKEN_LIFE + MAX_LIFE)


def test_ended_sessions_do_not_affect_the_cap() -> None:
    """Four hundred ended sessions on eight pages: the cap still counts all live ones."""
    gate = InMemoryGate(ReferenceTable(page=50))
    for number in range(400):
        gate.table.write([ending(gate.start_session("alice", f"old{number}"))])
    for number in range(MAX_PER_SUBJECT):
        gate.start_session("alice", f"s{number}")
    with pytest.raises(Capped):
        gate.start_session("alice", "one more")


def test_a_session_that_ended_by_reuse_keeps_its_place_until_it_would_have_expired(gate: InMemoryGate) -> None:
    """Otherwise one subject could start and end sessions without limit, each end with an audit entry."""
    for number in range(MAX_PER_SUBJECT):
        gate.table.write([ending(gate.start_session("alice", f"s{number}"), reused=True)])
    with pytest.raises(Capped):
        gate.start_session("alice", "one more")
    gate.clock.advance(SESSION_TOKEN_LIFE)
    gate.start_session("alice", "one more")


def test_starting_a_live_session_again_uses_no_further_place(gate: InMemoryGate) -> None:
    for number in range(MAX_PER_SUBJECT):
        gate.start_session("alice", f"s{number}")
    gate.start_session("alice", "s7")
    assert gate.sessions.inside() == (MAX_PER_SUBJECT, NOW + MAX_LIFE)


def test_a_start_that_loses_three_races_raises_contended(gate: InMemoryGate) -> None:
    gate.start_session("alice", "s1")
    gate.table.weather = lambda call: Fault.CONTENDED if call.op == "write" else None
    with pytest.raises(Contended):
        gate.start_session("alice", "s2")
    assert gate.table.count("write") == 4
    gate.table.weather = clear
    assert gate.sessions.find("alice", "s2") is None


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(("fault", "raised"), [(Fault.LOST_REQUEST, Unavailable), (Fault.THROTTLED, Throttled)])
def test_a_start_fails_without_the_table_and_starts_nothing(
    gate: InMemoryGate, number: int, fault: Fault, raised: type[Exception]
) -> None:
    gate.table.weather = at(number, fault)
    with pytest.raises(raised):
        gate.start_session("alice", "s1")
    gate.table.weather = clear
    assert gate.sessions.find("alice", "s1") is None
    gate.start_session("alice", "s1")


def test_a_start_with_a_lost_answer_can_be_repeated(gate: InMemoryGate) -> None:
    gate.table.weather = at(2, Fault.LOST_ANSWER)
    with pytest.raises(Unavailable):
        gate.start_session("alice", "s1")
    gate.table.weather = clear
    gate.start_session("alice", "s1")
    assert gate.sessions.inside() == (1, NOW + MAX_LIFE)


# -- counting


@pytest.mark.parametrize("page", [1, 3, 1_000])
def test_sessions_are_listed_in_order_from_any_place(page: int) -> None:
    gate = InMemoryGate(ReferenceTable(page=page))
    for number in range(60):
        gate.start_session(f"subject-{number}", "s")
    everyone = list(gate.sessions.every())
    assert len(everyone) == 60
    assert [record for record, _session in everyone] == sorted(record for record, _session in everyone)
    for place in (0, 17, 58, 59):
        assert list(gate.sessions.every(everyone[place][0])) == everyone[place + 1 :]


def test_a_count_above_its_bound_is_none(gate: InMemoryGate) -> None:
    paged = InMemoryGate(ReferenceTable(page=1))
    for number in range(COUNT_PAGES // 2):
        paged.start_session(f"subject-{number}", "s")
    assert paged.sessions.inside() is None
    gate.start_session("alice", "s")
    assert gate.sessions.inside() == (1, NOW + MAX_LIFE)
    gate.table.turn = lambda: gate.clock.advance(COUNT_SECONDS)
    assert gate.sessions.inside() is None


def test_a_count_without_the_table_raises_unavailable(gate: InMemoryGate) -> None:
    gate.table.weather = always(Fault.LOST_REQUEST)
    with pytest.raises(Unavailable):
        gate.sessions.inside()


OF_ALICE = {"subject": "alice", "session_id": "s1", "started_at": 1, "expires_at": 2, "orgs": []}
UNREADABLE = ["{not json", "null", "[]", "{}", '{"subject": "alice"}', "[" * 100_000] + [
    json.dumps({**OF_ALICE, **odd})
    for odd in ({"started_at": "x"}, {"expires_at": None}, {"orgs": None}, {"orgs": 5}, {"newer": 1})
]


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
def test_an_unreadable_record_is_not_a_session(gate: InMemoryGate, body: str) -> None:
    """It cannot be renewed, the count succeeds, and it blocks no start."""
    gate.start_session("alice", "s1")
    gate.start_session("bob", "s1")
    pk, sk = session_key("alice", "s1")
    rows = gate.table.partition(pk)
    rows[sk] = {**rows[sk], "body": body}
    assert gate.sessions.find("alice", "s1") is None
    assert gate.sessions.inside() == (1, NOW + MAX_LIFE)
    gate.start_session("alice", "s2")
    gate.start_session("alice", "s1")
    assert gate.sessions.inside() == (3, NOW + MAX_LIFE)
