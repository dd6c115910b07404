"""The session, revocation, and key calls: inputs, permissions, and no effect when refused."""

import base64
import json
import uuid
from typing import Any

import pytest
from running_gate import Answer, Gate, Person
from running_gate.gate import REASON

WHY = {"reason": REASON}
UNKNOWN = "0" * 64
LIST_SESSIONS, LIST_KEYS = ("GET", "/admin/v1/sessions"), ("GET", "/admin/v1/keys")
END = ("DELETE", f"/admin/v1/sessions/{UNKNOWN}")
REVOKE, ROTATE = ("POST", "/admin/v1/revocations"), ("POST", "/admin/v1/keys/rotate")
REVOKE_KEY = ("POST", "/admin/v1/keys/revoke")
ROLES = {"viewer", "auditor", "editor", "kill_operator", "service"}
MAY = {
    LIST_SESSIONS: {"viewer", "auditor", "editor"},
    LIST_KEYS: {"viewer", "auditor", "editor"},
    END: {"editor"},
    REVOKE: set(),
    ROTATE: set(),
    REVOKE_KEY: set(),
}
"""Roles other than admin that may call."""


@pytest.mark.parametrize("call", MAY, ids=" ".join)
def test_permissions_by_call(gate: Gate, call: tuple[str, str]) -> None:
    """An allowed call is rejected for its empty body, so it changes nothing."""
    method, path = call
    body, revision = (None, gate.revision()) if method == "GET" else ({}, gate.revision())
    passed = 200 if method == "GET" else 400
    for role in ROLES | {"admin"}:
        expected = passed if role in MAY[call] | {"admin"} else 403
        assert gate.change(method, path, body, role=role).status == expected, role
    token = gate.access_token(Person(admin=True))
    gate.call(method, path, token=token, body=body, headers={"idempotency-key": "x"}).expect(403)
    gate.call(method, path, body=body, headers={"idempotency-key": "x"}).expect(403)
    assert gate.revision() == revision


NOT_BODIES: list[tuple[Any, str]] = [
    (None, "invalid-json"),
    (b"", "invalid-json"),
    (b"{", "invalid-json"),
    (b'{"reason": "a", "reason": "b"}', "invalid-json"),
    (b'{"reason": NaN}', "invalid-json"),
    (b"[" * 5_000, "invalid-json"),
    ([], "invalid-body"),
    ("reason", "invalid-body"),
    ({}, "invalid-body"),
    ({"reason": ""}, "invalid-body"),
    ({"reason": "  "}, "invalid-body"),
    ({"reason": "a\nb"}, "invalid-body"),
    ({"reason": "\x1b[2J"}, "invalid-body"),
    ({"reason": 7}, "invalid-body"),
    ({"reason": "x" * 1_025}, "invalid-body"),
    ({**WHY, "actor": "me"}, "invalid-body"),
    ({**WHY, "version": 1}, "invalid-body"),
]
BODIES = {
    END: NOT_BODIES,
    ROTATE: NOT_BODIES,
    REVOKE: [
        *NOT_BODIES,
        (WHY, "invalid-body"),
        ({"subject": "alice"}, "invalid-body"),
        ({**WHY, "subject": "alice", "jti": "t1"}, "invalid-body"),
        ({**WHY, "subject": None, "jti": None}, "invalid-body"),
        ({**WHY, "subject": ""}, "invalid-body"),
        ({**WHY, "subject": " "}, "invalid-body"),
        ({**WHY, "subject": "a b"}, "invalid-body"),
        ({**WHY, "subject": "a\u2028b"}, "invalid-body"),
        (b'{"reason": "x", "subject": "\\ud800"}', "invalid-body"),
        ({**WHY, "subject": "x" * 257}, "invalid-body"),
        ({**WHY, "subject": "\u00e4" * 129}, "invalid-body"),
        ({**WHY, "subject": 7}, "invalid-body"),
        ({**WHY, "subject": ["alice"]}, "invalid-body"),
        ({**WHY, "jti": {}}, "invalid-body"),
        ({**WHY, "jti": "t1", "at": 7}, "invalid-body"),
        ({**WHY, "sub": "alice"}, "invalid-body"),
    ],
    REVOKE_KEY: [
        *NOT_BODIES,
        (WHY, "invalid-body"),
        ({**WHY, "kid": ""}, "invalid-body"),
        ({**WHY, "kid": "unknown"}, "invalid-body"),
        ({**WHY, "kid": None}, "invalid-body"),
        ({**WHY, "kid": ["k1"]}, "invalid-body"),
    ],
}


@pytest.mark.parametrize("call", BODIES, ids=" ".join)
def test_invalid_body_is_rejected(gate: Gate, call: tuple[str, str]) -> None:
    revision, keys = gate.revision(), gate.signed(*LIST_KEYS).expect(200).json["keys"]
    for body, slug in BODIES[call]:
        answer = gate.change(*call, body)
        assert (answer.status, answer.slug) == (400, slug), (body, answer)
        assert answer.headers["content-type"] == "application/problem+json"
        if slug == "invalid-body":
            assert all(fault["path"] and fault["message"] for fault in answer.json["errors"]), body
    assert gate.revision() == revision
    assert [key["state"] for key in gate.signed(*LIST_KEYS).json["keys"]] == [key["state"] for key in keys]


@pytest.mark.parametrize("call", [END, REVOKE, ROTATE, REVOKE_KEY], ids=" ".join)
def test_change_without_an_idempotency_key_is_rejected(gate: Gate, call: tuple[str, str]) -> None:
    revision, good = gate.revision(), {**WHY, "subject": "alice"} if call == REVOKE else WHY
    for headers in ({}, {"idempotency-key": ""}, {"idempotency-key": "x" * 65}, {"idempotency-key": "a b"}):
        answer = gate.signed(*call, good, headers=headers)
        assert (answer.status, answer.slug) == (400, "idempotency-key-required"), headers
    assert gate.revision() == revision


@pytest.mark.parametrize(
    "record",
    [UNKNOWN, "0", "town:1", "z" * 64, "A" * 64, UNKNOWN + "0", "..", "%00", "a%2Fb", "%C3%A9", "0" * 32 + "!"],
)
def test_ending_an_unknown_session_is_404(gate: Gate, record: str) -> None:
    answer = gate.change("DELETE", f"/admin/v1/sessions/{record}", WHY)
    assert answer.status in (400, 404), answer
    if record in (UNKNOWN, "town:1"):
        assert answer.slug == "not-found"
    assert "errorMessage" not in answer.text


def test_failed_end_does_not_use_up_its_key(gate: Gate) -> None:
    """Only successes are stored: the same key may be used with the right id."""
    key = uuid.uuid4().hex
    gate.change(*END, WHY, key=key).expect(404)
    gate.change(*REVOKE, {**WHY, "subject": Person().user}, key=key).expect(201)


def cursor(*place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        *[(f"limit={limit}", "invalid-body") for limit in ("0", "1001", "-1", "x", "", "1.5", "99999999999999999999")],
        *[(f"cursor={text}", "invalid-cursor") for text in ("", "x", "e30", "bnVsbA", "%00", "%3D" * 8)],
        (f"cursor={cursor('flags', UNKNOWN)}", "invalid-cursor"),
        (f"cursor={cursor('sessions')}", "invalid-cursor"),
        (f"cursor={cursor('sessions', 7)}", "invalid-cursor"),
        (f"cursor={cursor('sessions', '')}", "invalid-cursor"),
        (f"cursor={cursor('sessions', 'zz')}", "invalid-cursor"),
        (f"cursor={cursor('sessions', 'f' * 65)}", "invalid-cursor"),
        (f"cursor={cursor('sessions', UNKNOWN, UNKNOWN)}", "invalid-cursor"),
    ],
)
def test_list_rejects_a_cursor_it_did_not_issue(gate: Gate, query: str, slug: str) -> None:
    answer = gate.signed("GET", f"/admin/v1/sessions?{query}")
    assert (answer.status, answer.slug) == (400, slug), answer


def test_cursor_past_the_end_is_an_empty_page(gate: Gate) -> None:
    page: Answer = gate.signed("GET", f"/admin/v1/sessions?cursor={cursor('sessions', 'f' * 64)}").expect(200)
    assert (page.json["sessions"], page.json["next"]) == ([], None)
