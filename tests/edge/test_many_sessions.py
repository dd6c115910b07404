"""However many session records there are, a kill answers after its transaction, and a list after a page."""

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.core.session import MAX_LIFE, Session, start
from headgate.edge.admin import sessions as listing
from headgate.store.sessions import COUNT_PAGES, COUNT_SECONDS, Sessions

NOW = 1_780_000_000
DEAD = 2_000
KILL = Ask("POST /admin/v1/flags/{key}/kill", {"reason": "drill"}, {"key": "access"})


class Crowded:
    """An access flag, `DEAD` records of sessions that ended, and one live session."""

    def __init__(self, page: int) -> None:
        self.clock, self.table = FakeClock(NOW), ReferenceTable(page=page)
        self.desk = Desk(self.table, self.clock)
        manifest = {"access": "access", "flags": [{"key": "access", "stage": "ga"}], "reason": "for the test"}
        self.desk.must(Ask("POST /admin/v1/manifest", manifest))
        sessions = Sessions(self.table, clock=self.clock)
        for number in range(DEAD):
            sessions.start(self.session(f"user-{number}", NOW - MAX_LIFE))
        sessions.start(self.session("alice", NOW))
        self.desk.must(Ask("GET /admin/v1/flags"))
        self.table.calls.clear()

    def session(self, subject: str, at: int) -> Session:
        return start(subject=subject, session_id="s", now=at, orgs=(), admin=False, attributes={}, client_id="web")


@pytest.fixture(scope="module")
def crowded() -> Crowded:
    with quiet():
        return Crowded(page=20)


@quiet()
def test_a_kill_counts_within_a_bound_of_pages(crowded: Crowded) -> None:
    reply = crowded.desk.must(KILL)
    assert (reply.body["sessions_inside"], reply.body["last_leaves_at"]) == (None, None)
    operations = [call.op for call in crowded.table.calls]
    assert operations.index("write") < operations.index("query"), "the kill is committed before anything is counted"
    assert operations.count("query") <= COUNT_PAGES + 2
    crowded.table.calls.clear()


@quiet()
def test_a_kill_counts_within_a_bound_of_time() -> None:
    slow = Crowded(page=1_000)
    slow.table.turn = lambda: slow.clock.advance(COUNT_SECONDS / 100)
    before = slow.clock()
    reply = slow.desk.must(KILL)
    assert reply.body["sessions_inside"] is None
    assert slow.clock() - before < COUNT_SECONDS * 10


@quiet()
def test_a_kill_counts_what_it_can() -> None:
    quick = Crowded(page=1_000)
    reply = quick.desk.must(KILL)
    assert reply.body["sessions_inside"] == 1


@quiet()
def test_the_list_of_sessions_reads_a_bounded_number_of_records(crowded: Crowded) -> None:
    most, listing.LOOKED_AT = listing.LOOKED_AT, 500
    try:
        found, pages, cursor = [], 0, None
        while pages == 0 or cursor:
            crowded.table.calls.clear()
            reply = crowded.desk.must(Ask("GET /admin/v1/sessions", query={"cursor": cursor} if cursor else {}))
            reads = [call for call in crowded.table.calls if call.op == "query"]
            assert len(reads) <= 2 * 500 / 20 + 18 + COUNT_PAGES  # a session's record has its roster beside it
            found += [session["subject"] for session in reply.body["sessions"]]
            pages, cursor = pages + 1, reply.body["next"]
    finally:
        listing.LOOKED_AT = most
    assert (found, pages) == (["alice"], DEAD // 500 + 1)
    assert reply.body["counts"] == {"inside": None, "last_leaves_at": None}
