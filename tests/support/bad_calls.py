"""Valid calls of the admin API, to be made invalid in one respect at a time, and the expected error."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from bad_bodies import Document, encoded
from exact_http import ExactHttp
from proofs import pairs
from running_gate import Answer, Gate
from running_gate.people import new_id

from headgate_cli.local.stack import Stack

FLAG, GONE = "bad-input", "bad-input-gone"
GATE = {"route": "GET /api/towns", "class": "observe"}


@dataclass(frozen=True, slots=True)
class Call:
    """A valid call. Each row makes one part of it invalid."""

    method: str
    path: str
    document: Document
    holds: str = ""  # the resource whose version If-Match contains
    changes: bool = True


CALLS: Mapping[str, Call] = {
    "put": Call("PUT", f"/flags/{FLAG}", {"stage": "ga", "reason": "because"}, holds="flag"),
    "delete": Call("DELETE", f"/flags/{FLAG}", {"allow_shrink": True, "reason": "because"}, holds="flag"),
    "stage": Call("POST", f"/flags/{FLAG}/stage", {"stage": "ga", "reason": "because"}, holds="flag"),
    "allow": Call("POST", f"/flags/{FLAG}/allow", {"add": {"users": ["u"]}, "reason": "because"}, holds="flag"),
    "kill": Call("POST", f"/flags/{FLAG}/kill", {"reach": "gate", "reason": "because"}),
    "restore": Call("POST", f"/flags/{FLAG}/restore", {"reason": "because"}),
    "routes": Call("PUT", "/routes", {"routes": [GATE], "allow_shrink": True, "reason": "because"}, holds="routes"),
    "manifest": Call("POST", "/manifest", {"flags": [{"key": new_id("bad")}], "reason": "because"}),
    "plan": Call("POST", "/manifest/plan", {"flags": [{"key": FLAG}], "reason": "because"}, changes=False),
    "revocation": Call("POST", "/revocations", {"subject": "nobody", "reason": "because"}),
    "end": Call("DELETE", f"/sessions/{'0' * 64}", {"reason": "because"}),
    "rotation": Call("POST", "/keys/rotate", {"reason": "because"}),
    "key": Call("POST", "/keys/revoke", {"kid": "no-such-key", "reason": "because"}),
    "explain": Call("POST", "/explain", {"flag": FLAG, "subject": {"user": "because"}}, changes=False),
    "preview": Call(
        "POST", "/preview", {"flag": FLAG, "change": {"stage": "ga"}, "subjects": [{"user": "because"}]}, changes=False
    ),
}
CHANGES = tuple(name for name, call in CALLS.items() if call.changes)
HOLDING = tuple(name for name, call in CALLS.items() if call.holds)
KEYED = tuple(name for name in CHANGES if name != "kill")


@dataclass(frozen=True, slots=True)
class Target:
    """The stack, and the versions that no test here may change."""

    gate: Gate
    versions: Mapping[str, int]
    seen: list[int] = field(default_factory=list)

    def expect_unchanged(self) -> None:
        """No audit entry was made since the last call."""
        self.seen.append(self.gate.revision())
        assert self.seen[-1] == self.seen[-2]

    def send(
        self, name: str, body: bytes | None = None, headers: Mapping[str, str | None] | None = None, path: str = ""
    ) -> Answer:
        """The call with another body, path, or headers (None removes one)."""
        call = CALLS[name]
        sent: dict[str, str | None] = {"content-type": "application/json", "idempotency-key": new_id("key")}
        if call.holds:
            sent["if-match"] = f'"{self.versions[call.holds]}"'
        kept = {key: value for key, value in {**sent, **(headers or {})}.items() if value is not None}
        raw = encoded(call.document) if body is None else body
        return self.gate.signed(call.method, "/admin/v1" + (path or call.path), raw, headers=kept)

    def create(self, key: str, document: Document, headers: Mapping[str, str]) -> Answer:
        """A PUT without a version."""
        body = {"reason": "because", **document}
        return self.gate.change("PUT", f"/admin/v1/flags/{key}", body, headers=headers)


def aim(stack: Stack) -> Target:
    """Create the flag to make calls on, and a retired one."""
    gate = Gate(stack.ready, ExactHttp())
    flag = gate.have(FLAG, stage="percentage", percent=50, allow={"users": ["listed"]})
    made = gate.change("PUT", f"/admin/v1/flags/{GONE}", {"reason": "x"}, headers={"if-none-match": "*"})
    if made.status == 201:
        gate.delete(GONE)
    routes = gate.signed("GET", "/admin/v1/routes").expect(200).json
    return Target(gate, {"flag": flag["version"], "routes": routes["version"]}, [gate.revision()])


def crossed(row: str, names: Iterable[str], faults: Iterable[str]) -> pytest.MarkDecorator:
    """A test of each call with each fault, or of fewer pairs (`pairs`); ids begin with the row in docs/attacks.md."""
    found = pairs(names, faults)
    return pytest.mark.parametrize(("name", "fault"), found, ids=[f"{row}-{name}-{fault}" for name, fault in found])


def refused(answer: Answer, status: int, slug: str) -> Answer:
    """The answer, if it is exactly this problem."""
    assert (answer.status, answer.slug) == (status, slug), answer.text[:600]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]
    if slug == "invalid-body" and answer.json.get("detail") == "errors lists each fault":
        assert all(fault["path"] and fault["message"] for fault in answer.json["errors"])
        assert answer.json["errors"]
    return answer
