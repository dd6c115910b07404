"""Every mutating call of the admin API, with a fault at each store call, then the same request again.

After any loss or crash, at any point: one effect, one entry, the same answer. The points are found by running
the call without faults and counting its store calls, so that none is missed when the code changes.
"""

import json
from collections.abc import Callable
from functools import reduce
from hashlib import sha256
from typing import Any

import pytest
from desk import POOL, Ask, Desk, Reply, quiet
from fake_clock import FakeClock
from operators import check, entries
from proofs import Tally
from reference_table import Call, Crashed, Fault, ReferenceTable, at, clear

from headgate.core.audit import GENESIS
from headgate.core.session import record_id, start
from headgate.openapi import SERVED
from headgate.store.port import InvalidWrite
from headgate.store.sessions import Sessions

NOW = 1_780_000_000.0
READING = {
    "POST /admin/v1/manifest/plan", "POST /admin/v1/explain", "POST /admin/v1/preview",
    "POST /admin/v1/audit/checkpoints",
}  # fmt: skip
"""POST routes that change nothing."""
POLICY = {"route": "GET /x", "class": "observe"}
WHY = {"reason": "a test"}
SESSION = record_id("alice", "s1")
MANIFEST = {
    "access": "access", "max_stale": 5, "token": {"lifetime": 600}, "prune": True, "allow_shrink": True,
    "allow_open": True, **WHY,
    "flags": [{"key": "access"}, {"key": "f", "stage": "ga"}, {"key": "h", "requires": ["f"]}, {"key": "i"}],
    "routes": [POLICY, {"route": "GET /z", "class": "observe"}],
}  # fmt: skip
F = {"key": "f"}
ON_2 = {"if-match": '"2"'}
NEW = {"if-none-match": "*"}
IMPORTS = "/admin/v1/flags/{key}/imports"
IMPORT = {"key": "g", "import": "i-1"}
STAGED = ["ann", "ben"]
DIGEST = reduce(lambda digest, name: sha256(f"{digest}\n{name}".encode()).hexdigest(), STAGED, GENESIS)

CALLS: dict[str, Ask] = {
    "create": Ask("PUT /admin/v1/flags/{key}", {"stage": "ga", **WHY}, {"key": "new"}, NEW),
    "create a sub-feature": Ask("PUT /admin/v1/flags/{key}", {"requires": ["f"], **WHY}, {"key": "new"}, NEW),
    "replace": Ask("PUT /admin/v1/flags/{key}", {"stage": "ga", **WHY}, F, ON_2),
    "delete": Ask("DELETE /admin/v1/flags/{key}", {"allow_shrink": True, **WHY}, F, ON_2),
    "stage": Ask("POST /admin/v1/flags/{key}/stage", {"stage": "percentage", "percent": 25, **WHY}, F, ON_2),
    "allow": Ask("POST /admin/v1/flags/{key}/allow", {"add": {"users": ["carol"]}, **WHY}, F, ON_2),
    "open an import": Ask(f"POST {IMPORTS}", {"id": "i-2", "kind": "user", "mode": "add", **WHY}, F),
    "stage ids": Ask(f"POST {IMPORTS}/{{import}}/members", {"at": 2, "ids": ["cas", "dan"]}, IMPORT),
    "commit an import": Ask(f"POST {IMPORTS}/{{import}}/commit", {"count": 2, "digest": DIGEST, **WHY}, IMPORT),
    "abandon an import": Ask(f"DELETE {IMPORTS}/{{import}}", WHY, IMPORT),
    "kill": Ask("POST /admin/v1/flags/{key}/kill", {**WHY}, F),
    "kill again": Ask("POST /admin/v1/flags/{key}/kill", {**WHY}, {"key": "g"}),
    "sever": Ask("POST /admin/v1/flags/{key}/kill", {"reach": "sever", **WHY}, {"key": "access"}),
    "restore": Ask("POST /admin/v1/flags/{key}/restore", WHY, {"key": "g"}),
    "restore what lives": Ask("POST /admin/v1/flags/{key}/restore", WHY, F),
    "routes": Ask("PUT /admin/v1/routes", {"routes": [POLICY], **WHY, "allow_shrink": True}, {}, {"if-match": '"1"'}),
    "manifest": Ask("POST /admin/v1/manifest", MANIFEST),
    "revoke a subject": Ask("POST /admin/v1/revocations", {"subject": "alice", **WHY}),
    "revoke a token": Ask("POST /admin/v1/revocations", {"jti": "t-1", **WHY}),
    "begin with a restored table": Ask("POST /admin/v1/restored", {"highest": 60, "confirm": False, **WHY}),
    "confirm a restored table": Ask("POST /admin/v1/restored", {"highest": 60, "confirm": True, **WHY}),
    "end a session": Ask("DELETE /admin/v1/sessions/{id}", WHY, {"id": SESSION}),
    "rotate": Ask("POST /admin/v1/keys/rotate", WHY),
    "revoke a key": Ask("POST /admin/v1/keys/revoke", {"kid": POOL[1], **WHY}),
}
WAYS = {
    "dies": (Fault.CRASH_BEFORE, Fault.CRASH_AFTER),
    "is not answered": (Fault.LOST_REQUEST, Fault.LOST_ANSWER),
    "is told to wait": (Fault.THROTTLED, Fault.CONTENDED),
}


def beginning() -> dict[str, Any]:
    """A table with flags of every kind, one of them killed; routes, a profile, a session."""
    clock, table = FakeClock(NOW), ReferenceTable()
    desk = Desk(table, clock)
    for key, stage in (("access", "ga"), ("f", "allowlist"), ("g", "ga")):
        desk.must(Ask("PUT /admin/v1/flags/{key}", {"stage": stage, **WHY}, {"key": key}, NEW))
    desk.must(Ask("POST /admin/v1/flags/{key}/allow", {"add": {"users": ["bob"]}, **WHY}, F, {"if-match": '"1"'}))
    desk.must(Ask("POST /admin/v1/flags/{key}/kill", WHY, {"key": "g"}))
    desk.must(Ask(f"POST {IMPORTS}", {"id": "i-1", "kind": "user", "mode": "add", **WHY}, {"key": "g"}))
    desk.must(Ask(f"POST {IMPORTS}/{{import}}/members", {"at": 0, "ids": STAGED}, IMPORT))
    routes = [POLICY, {"route": "GET /y", "class": "entry"}]
    desk.must(Ask("POST /admin/v1/manifest", {"access": "access", "routes": routes, **WHY}))
    Sessions(table, clock=clock).start(
        start(subject="alice", session_id="s1", now=int(NOW), orgs=(), admin=False, attributes={}, client_id="web")
    )
    return table.saved()


with quiet():
    BEGINNING = beginning()


class Story:
    """One call under faults, then the same call again in cold environments."""

    def __init__(self, ask: Ask, weather: Callable[[int], Any], *, is_warm: bool) -> None:
        self.clock, self.table = FakeClock(NOW + 10), ReferenceTable()
        self.table.restore(BEGINNING)
        self.before = check(self.table)
        desk = Desk(self.table, self.clock)
        if is_warm:
            desk.must(Ask("GET /admin/v1/routes"))
        start = len(self.table.calls)
        self.table.weather = weather(start)
        self.first = self._outcome(desk, ask)
        self.calls = len(self.table.calls) - start
        self.table.weather = clear
        self.committed = check(self.table) - self.before
        self.reply = self.first if self.is_done(self.first) else self._again(ask)
        self.entries = check(self.table) - self.before

    def _outcome(self, desk: Desk, ask: Ask) -> Reply | None:
        try:
            return desk.answers(ask)
        except Crashed:
            return None

    def _again(self, ask: Ask) -> Reply:
        self.clock.advance(0.01)
        return Desk(self.table, self.clock).must(ask)

    @staticmethod
    def is_done(reply: Reply | None) -> bool:
        """Whether the answer is final; any other is retried with the same Idempotency-Key."""
        if reply is None:
            return False
        assert reply.status in (200, 201, 204, 409, 503), reply
        assert reply.status < 400 or reply.slug in ("busy", "unavailable"), reply
        return reply.status < 400

    def session_has_ended(self) -> bool:
        """The session record, which is written in a transaction of its own."""
        session = Sessions(self.table, clock=self.clock).by_record(SESSION)
        assert session is not None
        return session.ended

    def state(self) -> Any:
        """Rules, sessions, and long lists, without times."""
        saved = self.table.saved()
        held = {pk: saved[pk] for pk in saved if pk.partition("#")[0] in ("rules", "sessions", "members", "imports")}
        return _timeless({pk: {sk: dict(item) for sk, item in rows.items()} for pk, rows in held.items()})


WHEN = ("updated_at", "at", "opened_at", "revision")


def _timeless(value: Any) -> Any:
    """Without times and revisions: a fault costs time, and a repeated kill costs a revision."""
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in WHEN}
    if isinstance(value, str) and value.startswith("{"):
        return _timeless(json.loads(value))
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def agrees(name: str, story: Story, plain: Story) -> None:
    """Check for one effect, one entry, and the same answer."""
    assert story.state() == plain.state()
    assert story.session_has_ended() is (name == "end a session")
    assert plain.reply is not None
    assert story.reply is not None
    assert story.reply.status == plain.reply.status
    if CALLS[name].route.endswith("/kill"):  # it has no Idempotency-Key: a repetition is one more entry, which says so
        again = entries(story.table)[story.before + plain.entries :]
        assert len(again) == (story.committed if story.first is None or story.first.status >= 400 else 0)
        assert all(entry["before"] == entry["after"] for entry in again)
    else:
        assert story.entries == plain.entries
    if name == "manifest":  # steps already applied are no changes any more, unless the last one was applied
        assert story.reply.body["changes"] in [plain.reply.body["changes"][n:] for n in range(plain.entries)]
    else:
        told = story.reply.body
        if name == "sever" and told["sessions_inside"] is None:  # it counts at the end, and may fail
            told = {**told, **{count: plain.reply.body[count] for count in ("sessions_inside", "last_leaves_at")}}
        assert _timeless(told) == _timeless(plain.reply.body)
        assert story.reply.headers.get("etag") == plain.reply.headers.get("etag")


with quiet():
    BEGAN = Story(Ask("GET /admin/v1/routes"), lambda _start: clear, is_warm=False)


@pytest.mark.proof("admin calls with a fault at each store call, then repeated")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("way", WAYS)
@quiet()
def test_a_call_repeated_after_any_fault_has_one_effect(name: str, way: str, tally: Tally) -> None:
    ask = Ask(**{**vars(CALLS[name]), "idem": "once"})
    for is_warm in (False, True):
        plain = Story(ask, lambda _start: clear, is_warm=is_warm)
        assert plain.entries > 0 or plain.state() != BEGAN.state()
        for number in range(plain.calls):
            for fault in WAYS[way]:
                if fault is Fault.CONTENDED and plain.table.calls[number - plain.calls].op != "write":
                    continue
                story = Story(ask, lambda start, n=number, f=fault: at(start + n, f), is_warm=is_warm)
                agrees(name, story, plain)
                tally.add(points=1, crashes=way == "dies")


def test_every_mutating_route_has_a_call_here() -> None:
    mutating = {route for route in SERVED if not route.startswith("GET ")} - READING
    assert {ask.route for ask in CALLS.values()} == mutating


def unstorable(call: Call) -> None:
    """The table rejects every write as invalid, as an item above 400 KB."""
    if call.op == "write":
        raise InvalidWrite("ValidationError")


@pytest.mark.parametrize("name", CALLS)
@quiet()
def test_a_write_that_the_table_cannot_store_is_refused_at_once(name: str) -> None:
    clock, table = FakeClock(NOW + 10), ReferenceTable()
    table.restore(BEGINNING)
    table.weather = unstorable
    reply = Desk(table, clock).answers(CALLS[name])
    assert (reply.status, reply.slug) == (413, "too-large")
    assert "it was not made" in reply.body["detail"]
    assert (table.count("write"), clock() - NOW) == (1, 10)
    assert table.saved() == BEGINNING
