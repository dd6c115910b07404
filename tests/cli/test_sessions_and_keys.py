"""`sessions`, `revoke`, and `keys`: the requests, and how the answers are printed."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

LIST, END = "GET /admin/v1/sessions", "DELETE /admin/v1/sessions/ab12"
KEYS, ROTATE, REVOKE_KEY = "GET /admin/v1/keys", "POST /admin/v1/keys/rotate", "POST /admin/v1/keys/revoke"
REVOKE = "POST /admin/v1/revocations"
RING = {
    "keys": [
        {"kid": "k1", "state": "previous", "since": "2030-01-02T03:00:00.000Z", "age_seconds": 7_300},
        {"kid": "k2", "state": "active", "since": "2030-01-02T03:00:00.000Z", "age_seconds": 61},
        {"kid": "k3", "state": "next", "since": None, "age_seconds": None},
    ],
    "revision": 9,
}


def session(subject: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{number:064x}", "subject": subject, "session_id": f"town:{number}",
        "started_at": "2030-01-02T03:04:05.000Z", "expires_at": "2030-01-02T04:04:05.000Z",
    }  # fmt: skip


def in_pages(found: list[dict[str, Any]], counts: dict[str, Any], reply: Any, page: int = 2) -> Any:
    """The route that lists sessions, in pages by cursor."""

    def answer(request: Any) -> Any:
        start = int(parse_qs(request.query).get("cursor", ["0"])[0])
        more = str(start + page) if start + page < len(found) else None
        return reply(body={"sessions": found[start : start + page], "counts": counts, "next": more})

    return answer


def test_sessions_of_all_pages_are_listed_and_counted(invoke: Any, upstream: Any, reply: Any) -> None:
    found = [session("alice", 1), session("bob", 2), session("alice", 3)]
    counts = {"inside": 37, "last_leaves_at": "2030-01-02T14:07:00.000Z"}
    upstream.on(LIST, in_pages(found, counts, reply))
    lines = invoke("sessions").stdout.splitlines()
    assert lines[0].split() == ["SUBJECT", "SESSION", "STARTED", "TOKEN", "ENDS", "ID"]
    assert lines[1].split() == ["alice", "town:1", "2030-01-02", "03:04", "2030-01-02", "04:04", f"{1:064x}"]
    assert lines[-1] == "37 live sessions, the last ends by 2030-01-02 14:07"
    assert [line.split()[1] for line in lines[1:-1]] == ["town:1", "town:2", "town:3"]
    assert json.loads(invoke("sessions", "list", "--json").stdout) == {"sessions": found, "counts": counts}


def test_sessions_of_one_user_are_listed(invoke: Any, upstream: Any, reply: Any) -> None:
    found = [session("alice", 1), session("bob", 2), session("alice", 3)]
    upstream.on(LIST, in_pages(found, {"inside": 3}, reply))
    for command in (("sessions", "--subject", "alice"), ("sessions", "list", "--subject", "alice")):
        lines = invoke(*command).stdout.splitlines()
        assert [line.split()[:2] for line in lines[1:]] == [["alice", "town:1"], ["alice", "town:3"]]
    assert invoke("sessions", "--subject", "carol").stdout == "no live sessions\n"


def test_sessions_are_counted_locally_if_the_api_did_not(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(LIST, in_pages([session("alice", 1)], {"inside": None, "last_leaves_at": None}, reply))
    assert invoke("sessions").stdout.splitlines()[-1] == "1 live session"


def test_ending_a_session_sends_the_reason(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(END, reply(204))
    assert "ended ab12" in invoke("sessions", "end", "ab12", "--reason", "lost laptop").stdout
    (asked,) = upstream.asked
    assert asked.json == {"reason": "lost laptop"}
    assert len(asked.headers["idempotency-key"]) == 36
    assert json.loads(invoke("sessions", "end", "ab12", "--reason", "x", "--json").stdout) == {"ended": "ab12"}


def test_session_id_cannot_change_the_path(invoke: Any, upstream: Any) -> None:
    assert invoke("sessions", "end", "../keys/rotate", "--reason", "x").exit_code == 5
    assert upstream.lines() == ["DELETE /admin/v1/sessions/..%2Fkeys%2Frotate"]


@pytest.mark.parametrize(
    ("options", "body", "expected"),
    [
        (
            ("--subject", "alice"),
            {"subject": "alice"},
            "revoked all tokens of alice issued up to 2030-01-02T03:04:05.000Z\n",
        ),
        (("--jti", "t1"), {"jti": "t1"}, "revoked token t1\n"),
    ],
)
def test_revoke_sends_what_is_named(
    invoke: Any, upstream: Any, reply: Any, options: tuple[str, str], body: dict[str, str], expected: str
) -> None:
    answer = {"kind": next(iter(body)), "at": "2030-01-02T03:04:05.000Z", "revision": 7}
    upstream.on(REVOKE, reply(201, answer))
    assert invoke("revoke", *options, "--reason", "stolen").stdout == expected
    assert upstream.asked[0].json == {**body, "reason": "stolen"}
    assert json.loads(invoke("revoke", *options, "--reason", "stolen", "--json").stdout) == answer


@pytest.mark.parametrize(
    "options", [(), ("--subject", "alice", "--jti", "t1"), ("--subject", "alice", "--reason", " ")]
)
def test_revoking_none_or_two_at_once_is_wrong_usage(invoke: Any, upstream: Any, options: tuple[str, ...]) -> None:
    given = options if "--reason" in options else (*options, "--reason", "x")
    assert invoke("revoke", *given).exit_code == 2
    assert upstream.asked == []


def test_keys_are_a_table(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(KEYS, reply(body=RING))
    for command in (("keys",), ("keys", "list")):
        lines = invoke(*command).stdout.splitlines()
        assert [line.split(maxsplit=2) for line in lines] == [
            ["KEY", "STATE", "SINCE"], ["k1", "previous", "2 hours ago"], ["k2", "active", "1 minute ago"],
            ["k3", "next"],
        ]  # fmt: skip
    assert json.loads(invoke("keys", "--json").stdout) == RING
    upstream.on(KEYS, reply(body={"keys": [], "revision": 9}))
    assert invoke("keys").stdout == "no usable keys: the key ring cannot be read\n"


def test_rotate_and_revoke_a_key(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(ROTATE, reply(body=RING))
    upstream.on(REVOKE_KEY, reply(body=RING))
    assert "k2   active" in invoke("keys", "rotate", "--reason", "yearly").stdout
    assert "k2   active" in invoke("keys", "revoke", "k1", "--reason", "leak").stdout
    assert [request.json for request in upstream.asked] == [{"reason": "yearly"}, {"kid": "k1", "reason": "leak"}]
    assert all(request.headers["idempotency-key"] for request in upstream.asked)


def test_rotation_that_must_wait_is_a_conflict(invoke: Any, upstream: Any, reply: Any) -> None:
    problem = {
        "type": "urn:headgate:cannot-rotate", "title": "No key can take the place", "status": 409,
        "detail": "the tokens of the previous keys still live",
    }  # fmt: skip
    upstream.on(ROTATE, reply(409, problem))
    done = invoke("keys", "rotate", "--reason", "again")
    assert done.exit_code == 4
    assert done.stderr == "headgate: No key can take the place: the tokens of the previous keys still live (409)\n"


@pytest.mark.parametrize(
    "command", [("sessions", "end", "ab12"), ("revoke", "--jti", "t1"), ("keys", "rotate"), ("keys", "revoke", "k1")]
)
def test_each_change_needs_a_reason(invoke: Any, upstream: Any, command: tuple[str, ...]) -> None:
    assert invoke(*command).exit_code == 2
    assert invoke(*command, "--reason", "a\nb").exit_code == 2
    assert upstream.asked == []
