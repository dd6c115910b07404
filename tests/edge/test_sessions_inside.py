"""Who is still inside: a kill's answer and the list of sessions say the same, and what its reach makes true."""

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.core.documents import rfc3339
from headgate.core.session import MAX_LIFE, SESSION_TOKEN_LIFE, start
from headgate.store.sessions import Sessions

NOW = 1_800_000_000
LIST = Ask("GET /admin/v1/sessions")


@pytest.mark.parametrize(
    ("reach", "wait", "inside", "token_ends", "last"),
    [
        ({}, 0, 2, SESSION_TOKEN_LIFE, MAX_LIFE),
        ({"reach": "sever"}, 0, 0, None, None),
        ({"reach": "drain", "drain_until": rfc3339(NOW + 60)}, 0, 2, 60, 60),
        ({"reach": "drain", "drain_until": rfc3339(NOW + 60)}, 59, 2, 60, 60),
        ({"reach": "drain", "drain_until": rfc3339(NOW + 60)}, 60, 0, None, None),
        ({"reach": "drain", "drain_until": rfc3339(NOW + 7_200)}, 0, 2, SESSION_TOKEN_LIFE, 7_200),
        ({"reach": "drain", "drain_until": rfc3339(NOW + 2 * MAX_LIFE)}, 0, 2, SESSION_TOKEN_LIFE, MAX_LIFE),
    ],
)
@quiet()
def test_kill_and_list_agree_on_who_is_inside(
    reach: dict[str, str], wait: int, inside: int, token_ends: int | None, last: int | None
) -> None:
    clock, table = FakeClock(NOW), ReferenceTable()
    desk = Desk(table, clock)
    desk.must(Ask("POST /admin/v1/manifest", {"access": "f", "flags": [{"key": "f"}], "reason": "why"}))
    for name in ("alice", "bob"):
        session = start(subject=name, session_id="s", now=NOW, orgs=(), admin=False, attributes={}, client_id="web")
        Sessions(table, clock=clock).start(session)
    order = Ask("POST /admin/v1/flags/{key}/kill", {"reason": "drill", **reach}, {"key": "f"})
    told = {"inside": inside, "last_leaves_at": None if last is None else rfc3339(NOW + last)}
    answer = desk.must(order).body
    clock.advance(wait)
    listed = desk.must(LIST).body
    assert listed["counts"] == told
    assert [one["expires_at"] for one in listed["sessions"]] == [rfc3339(NOW + (token_ends or 0))] * inside
    if not wait:
        assert {"inside": answer["sessions_inside"], "last_leaves_at": answer["last_leaves_at"]} == told
    desk.must(Ask("POST /admin/v1/flags/{key}/restore", {"reason": "over"}, {"key": "f"}))
    assert desk.must(LIST).body["counts"] == {"inside": 2, "last_leaves_at": rfc3339(NOW + MAX_LIFE)}
