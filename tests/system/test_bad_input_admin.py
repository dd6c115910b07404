"""Bad input at the admin API: each gets the refusal due, with a path to each fault, and nothing is changed.

Ids begin with the row of the list of attacks that they stand for: A77 keys, A78 preconditions, A80 and A82 lists, A81
members, A83 reasons, A87 cursors, A88 unknown flags; E66 and P52 flag keys; R6 stages.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from bad_bodies import LONE, MALFORMED, MISFIT, UNREASONED, Document, at, encoded, wrong_values
from exact_http import ExactHttp, Timed
from running_gate import Gate
from running_gate.people import new_id

from headgate_cli.local.stack import Stack

FLAG, GONE = "bad-input", "bad-input-gone"
MAX_BODY = 393_216
GATE = {"route": "GET /api/towns", "class": "observe"}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is right as it stands; each row spoils one thing of it."""

    method: str
    path: str
    document: Document
    holds: str = ""  # whose version If-Match takes
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
}
CHANGES = tuple(name for name, call in CALLS.items() if call.changes)
HOLDING = tuple(name for name, call in CALLS.items() if call.holds)
KEYED = tuple(name for name in CHANGES if name != "kill")


@dataclass(frozen=True, slots=True)
class Target:
    """The stack, and the versions that nothing here may change."""

    gate: Gate
    versions: Mapping[str, int]

    def send(
        self, name: str, body: bytes | None = None, headers: Mapping[str, str | None] | None = None, path: str = ""
    ) -> Timed:
        """A call with another body, path, or headers (None takes one away)."""
        call = CALLS[name]
        sent: dict[str, str | None] = {"content-type": "application/json", "idempotency-key": new_id("key")}
        if call.holds:
            sent["if-match"] = f'"{self.versions[call.holds]}"'
        kept = {key: value for key, value in {**sent, **(headers or {})}.items() if value is not None}
        raw = encoded(call.document) if body is None else body
        return self.gate.signed(call.method, "/admin/v1" + (path or call.path), raw, headers=kept)

    def create(self, key: str, document: Document, headers: Mapping[str, str]) -> Timed:
        """A PUT that holds no version."""
        body = {"reason": "because", **document}
        return self.gate.change("PUT", f"/admin/v1/flags/{key}", body, headers=headers)


@pytest.fixture(scope="module")
def target(stack: Stack) -> Target:
    """A flag to aim at, and one that is gone for good."""
    gate = Gate(stack.ready, ExactHttp())
    flag = gate.have(FLAG, stage="percentage", percent=50, allow={"users": ["listed"]})
    if gate.signed("GET", f"/admin/v1/flags/{GONE}").status == 404:
        answer = gate.change("PUT", f"/admin/v1/flags/{GONE}", {"reason": "x"}, headers={"if-none-match": "*"})
        if answer.status == 201:
            gate.delete(GONE)
    routes = gate.signed("GET", "/admin/v1/routes").expect(200).json
    return Target(gate, {"flag": flag["version"], "routes": routes["version"]})


@pytest.fixture(scope="module")
def revisions(target: Target) -> list[int]:
    """The newest revision after each row."""
    return [target.gate.revision()]


@pytest.fixture(autouse=True)
def unchanged(target: Target, revisions: list[int]) -> Iterator[None]:
    """No row here makes an audit entry."""
    yield
    revisions.append(target.gate.revision())
    assert revisions[-1] == revisions[-2]


def refused(answer: Timed, status: int, slug: str) -> Timed:
    """The answer, if it is this problem and no other."""
    assert (answer.status, answer.slug) == (status, slug), answer.text[:600]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["title"]
    if slug == "invalid-body" and answer.json.get("detail") == "see errors":
        assert all(fault["path"] and fault["message"] for fault in answer.json["errors"])
        assert answer.json["errors"]
    return answer


# -- bodies


@pytest.mark.parametrize("fault", MALFORMED)
@pytest.mark.parametrize("name", CALLS, ids=[f"A81-{name}" for name in CALLS])
def test_what_is_no_json(target: Target, name: str, fault: str) -> None:
    refused(target.send(name, MALFORMED[fault](CALLS[name].document)), 400, "invalid-json")


@pytest.mark.parametrize("fault", MISFIT)
@pytest.mark.parametrize("name", CALLS, ids=[f"A81-{name}" for name in CALLS])
def test_json_of_another_shape(target: Target, name: str, fault: str) -> None:
    refused(target.send(name, MISFIT[fault](CALLS[name].document)), 400, "invalid-body")


@pytest.mark.parametrize("fault", UNREASONED)
@pytest.mark.parametrize("name", CHANGES, ids=[f"A83-{name}" for name in CHANGES])
def test_a_change_without_a_good_reason(target: Target, name: str, fault: str) -> None:
    refused(target.send(name, encoded(UNREASONED[fault](CALLS[name].document))), 400, "invalid-body")


@pytest.mark.parametrize("name", CALLS, ids=[f"A80-{name}" for name in CALLS])
def test_a_body_that_is_too_large(target: Target, name: str) -> None:
    body = encoded(CALLS[name].document)
    refused(target.send(name, body + b" " * (MAX_BODY + 1 - len(body))), 413, "too-large")


FIELDS: tuple[tuple[str, str, str], ...] = (
    ("put", "key", ""),
    ("put", "description", "empty text spaced"),
    ("put", "owner", "empty text spaced"),
    ("put", "stage", ""),
    ("put", "percent", "whole fraction"),
    ("put", "unit", ""),
    ("put", "algorithm", ""),
    ("put", "salt", "empty text spaced"),
    ("put", "requires", "list"),
    ("put", "allow", "object"),
    ("put", "allow.users", "list"),
    ("put", "allow.orgs", "list"),
    ("put", "allow.rules", "list"),
    ("put", "values", ""),
    ("put", "claim", "null text"),
    ("put", "allow_shrink", "true"),
    ("delete", "allow_shrink", "true"),
    ("stage", "stage", ""),
    ("stage", "percent", "null whole fraction"),
    ("stage", "unit", "null"),
    ("stage", "allow_shrink", "true"),
    ("allow", "add", "object"),
    ("allow", "add.users", "list"),
    ("allow", "add.orgs", "list"),
    ("allow", "remove", "object"),
    ("allow", "remove.users", "list"),
    ("kill", "reach", ""),
    ("kill", "drain_until", "null"),
    ("routes", "routes", "list"),
    ("routes", "routes.0", ""),
    ("routes", "routes.0.class", ""),
    ("routes", "routes.0.route", ""),
    ("routes", "routes.0.flags", "list"),
    ("routes", "routes.0.asks", "list"),
    ("routes", "routes.0.procedure", ""),
    ("manifest", "flags", "list"),
    ("manifest", "flags.0", ""),
    ("manifest", "flags.0.stage", ""),
    ("manifest", "flags.0.percent", "whole fraction"),
    ("manifest", "flags.0.requires", "list"),
    ("manifest", "routes", "list"),
    ("manifest", "access", "null text"),
    ("manifest", "max_stale", "whole"),
    ("manifest", "token", "object"),
    ("manifest", "token.lifetime", ""),
    ("manifest", "token.claims", "object members"),
    ("manifest", "token.claims.x", "true whole negative fraction empty text spaced"),
    ("manifest", "prune", "true"),
    ("plan", "max_stale", "whole"),
    ("plan", "prune", "true"),
    ("revocation", "subject", "text"),
    ("revocation", "jti", "null"),
    ("key", "kid", ""),
    ("explain", "flag", "text"),
    ("explain", "subject", "object"),
    ("explain", "subject.orgs", "list"),
    ("explain", "subject.admin", "true"),
    ("explain", "subject.attributes", "object members"),
    ("explain", "as_of", "null whole"),
)


@pytest.mark.parametrize(("name", "path", "fitting"), FIELDS, ids=[f"A81-{name}-{path}" for name, path, _ in FIELDS])
def test_a_member_of_a_wrong_type(target: Target, name: str, path: str, fitting: str) -> None:
    """Every value that does not fit, one by one; the fault names the member, or one above or below it."""
    for kind, value in wrong_values(fitting):
        answer = target.send(name, encoded(at(CALLS[name].document, path, value)))
        assert (answer.status, answer.slug) == (400, "invalid-body"), (kind, answer.text[:300])
        root = path.partition(".")[0]
        assert any(fault["path"].partition(".")[0] in (root, "$") for fault in answer.json["errors"]), answer.text


@pytest.mark.parametrize("user", [LONE, "a\0b", "x" * 2_000, "ü" * 99, "a b"], ids=ascii)
def test_a_subject_is_whatever_an_operator_asks_about(target: Target, user: str) -> None:
    """A81: explain stores nothing, so any text may be asked about; none breaks it."""
    attributes = {user[:64]: user}
    subject = {"user": user, "orgs": [user], "attributes": attributes}
    answer = target.send("explain", encoded({"flag": FLAG, "subject": subject}))
    assert answer.status in (200, 400)
    assert answer.status == 400 or answer.json["value"] in (True, False)


# -- what the members say

STAGES: Mapping[str, Mapping[str, Any]] = {
    "R6-an unknown stage": {"stage": "beta"},
    "R6-a stage in capitals": {"stage": "GA"},
    "R6-percentage without a percent": {"stage": "percentage"},
    "R6-percentage with null": {"stage": "percentage", "percent": None},
    "R6-below 0": {"stage": "percentage", "percent": -0.001},
    "R6-above 100": {"stage": "percentage", "percent": 100.001},
    "R6-4 decimals": {"stage": "percentage", "percent": 33.3333},
    "R6-tiny": {"stage": "percentage", "percent": 1e-9},
    "R6-huge": {"stage": "percentage", "percent": 10**300},
    "R45-a percent as text": {"stage": "percentage", "percent": "50"},
    "R45-a percent as boolean": {"stage": "percentage", "percent": True},
    "R6-an unknown unit": {"stage": "ga", "unit": "team"},
    "A81-lists do not belong here": {"stage": "ga", "allow": {"users": ["mallory"]}},
}


@pytest.mark.parametrize("members", STAGES.values(), ids=STAGES)
def test_a_stage_that_is_none(target: Target, members: Document) -> None:
    refused(target.send("stage", encoded({"reason": "because", **members})), 400, "invalid-body")


RULE: Document = {"attribute": "plan", "op": "equals", "value": "pro"}


def rules(*clauses: Any) -> Document:
    return {"allow": {"rules": [{"clauses": list(clauses)}]}}


FLAGS: Mapping[str, Mapping[str, Any]] = {
    "A81-another key than the path's": {"key": "another"},
    "A82-an e-mail address": {"allow": {"users": ["listed", "someone@example.org"]}},
    "A82-an id with a blank": {"allow": {"users": ["listed", "some one"]}},
    "A82-an id of 257 bytes": {"allow": {"users": ["listed", "x" * 257]}},
    "A82-an empty id": {"allow": {"orgs": [""]}},
    "A82-an id that is no UTF-8": {"allow": {"orgs": [LONE]}},
    "A80-an id twice": {"allow": {"users": ["listed", "listed"]}},
    "A80-1,001 ids": {"allow": {"users": [f"u{i}" for i in range(1_001)]}},
    "A80-1,001 users and orgs": {
        "allow": {"users": [f"u{i}" for i in range(501)], "orgs": [f"o{i}" for i in range(500)]}
    },
    "A81-an unknown member of a list": {"allow": {"groups": ["g"]}},
    "E73-a regular expression": rules({"attribute": "plan", "op": "matches", "value": "(a+)+$"}),
    "E73-a rule without clauses": {"allow": {"rules": [{"clauses": []}]}},
    "E73-a clause without attribute": rules({"op": "equals", "value": 1}),
    "E73-an operand of a wrong type": rules({**RULE, "op": "in", "value": "pro"}),
    "E73-a number that is text": rules({**RULE, "op": "less", "value": "10"}),
    "E73-a date that is none": rules({**RULE, "op": "less", "value": "soon", "kind": "date"}),
    "E73-exists with an operand": rules({**RULE, "op": "exists"}),
    "E73-201 operands": rules({**RULE, "op": "in", "value": list(range(201))}),
    "E73-21 clauses": rules(*[RULE] * 21),
    "E73-51 rules": {"allow": {"rules": [{"clauses": [RULE]}] * 51}},
    "A81-itself as parent": {"requires": [FLAG]},
    "A81-a parent that does not exist": {"requires": ["never-made"]},
    "A81-a parent that is no key": {"requires": ["Not A Key"]},
    "A81-11 parents": {"requires": [f"p{i}" for i in range(11)]},
    "R45-a boolean turned round": {"values": {"on": False, "off": True}},
    "R45-values of two types": {"values": {"on": "pr", "off": False}},
    "R45-one value": {"values": {"on": "pr"}},
    "R45-three values": {"values": {"on": "a", "off": "b", "maybe": "c"}},
    "R45-a value that is no UTF-8": {"values": {"on": LONE, "off": "direct"}},
    "R45-an object that is no UTF-8": {"values": {"on": {"deep": [{"er": LONE}]}, "off": {}}},
    "R45-a name that is no UTF-8": {"values": {"on": {LONE: 1}, "off": {}}},
    "E73-an operand that is no UTF-8": rules({**RULE, "value": LONE}),
    "E73-an attribute that is no UTF-8": rules({**RULE, "attribute": LONE}),
    "E73-an attribute without a name": rules({**RULE, "attribute": " "}),
    "R45-lists as values": {"values": {"on": [1], "off": []}},
    "A81-a claim that is standard": {"claim": "sub"},
    "A81-the claim admin": {"claim": "admin"},
    "A81-a claim with a dot": {"claim": "https://example.org/x"},
    "A81-a salt with a NUL": {"salt": "a\0b"},
    "A81-a salt of 129 bytes": {"salt": "x" * 129},
    "A81-an unknown algorithm": {"algorithm": "md5"},
    "A81-a description of two lines": {"description": "one\ntwo"},
}


@pytest.mark.parametrize("members", FLAGS.values(), ids=FLAGS)
def test_a_flag_that_is_none(target: Target, members: Document) -> None:
    """As a replacement, and as a new flag."""
    refused(target.send("put", encoded({"reason": "because", "allow_shrink": True, **members})), 400, "invalid-body")
    key = new_id("bad")
    own = {**members, "key": key} if members.get("key") == key else members
    if "itself" not in str(members) and members.get("requires") != [FLAG]:
        refused(target.create(key, own, {"if-none-match": "*"}), 400, "invalid-body")


def test_a_flag_larger_than_it_may_be(target: Target) -> None:
    """A80: 64 KB is what an audit entry can hold twice."""
    clauses = [{"attribute": "plan", "op": "in", "value": [f"{i:0>100}" for i in range(200)]}] * 4
    document = {"reason": "because", "stage": "ga", "allow": {"rules": [{"clauses": clauses}]}}
    refused(target.send("put", encoded(document)), 413, "too-large")


LISTS: Mapping[str, tuple[Mapping[str, Any], int, str]] = {
    "A80-1,001 ids": ({"add": {"users": [f"u{i}" for i in range(1_001)]}}, 413, "too-large"),
    "A80-1,001 ids in two lists": (
        {"add": {"users": [f"u{i}" for i in range(501)]}, "remove": {"orgs": [f"o{i}" for i in range(500)]}},
        413,
        "too-large",
    ),
    "A80-an id twice": ({"add": {"users": ["u", "u"]}}, 400, "invalid-body"),
    "A80-an id that comes and goes": ({"add": {"users": ["u"]}, "remove": {"users": ["u"]}}, 400, "invalid-body"),
    "A82-an e-mail address": ({"add": {"users": ["someone@example.org"]}}, 400, "invalid-body"),
    "A82-an id with a blank": ({"add": {"users": ["a b"]}}, 400, "invalid-body"),
    "A82-an id with a line break": ({"add": {"users": ["a\nb"]}}, 400, "invalid-body"),
    "A82-an id that is a number": ({"add": {"users": [7]}}, 400, "invalid-body"),
    "A81-rules do not belong here": ({"add": {"rules": []}}, 400, "invalid-body"),
    "A78-taking away without saying so": ({"remove": {"users": ["listed"]}}, 409, "would-shrink"),
}


@pytest.mark.parametrize(("members", "status", "slug"), LISTS.values(), ids=LISTS)
def test_members_that_are_none(target: Target, members: Document, status: int, slug: str) -> None:
    refused(target.send("allow", encoded({"reason": "because", **members})), status, slug)


SHRINKING: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "an earlier stage": ("stage", {"stage": "allowlist"}),
    "a lower percent": ("stage", {"stage": "percentage", "percent": 49.999}),
    "another unit": ("stage", {"stage": "percentage", "percent": 50, "unit": "org"}),
    "another salt": ("put", {"stage": "percentage", "percent": 50, "allow": {"users": ["listed"]}, "salt": "other"}),
    "an entry gone": ("put", {"stage": "percentage", "percent": 50}),
    "a parent more": ("put", {"stage": "ga", "requires": ["gastown-access"]}),
    "deletion": ("delete", {"allow_shrink": False}),
}


@pytest.mark.parametrize(("name", "members"), SHRINKING.values(), ids=[f"A78-{name}" for name in SHRINKING])
def test_access_is_not_taken_away_by_accident(target: Target, name: str, members: Document) -> None:
    refused(target.send(name, encoded({"reason": "because", **members})), 409, "would-shrink")


KILLS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "an unknown reach": (FLAG, {"reach": "total"}),
    "drain without a time": ("gastown-access", {"reach": "drain"}),
    "a time without drain": ("gastown-access", {"reach": "gate", "drain_until": "2099-01-01T00:00:00Z"}),
    "a time that is past": ("gastown-access", {"reach": "drain", "drain_until": "2020-01-01T00:00:00Z"}),
    "a time without an offset": ("gastown-access", {"reach": "drain", "drain_until": "2099-01-01T00:00:00"}),
    "a date": ("gastown-access", {"reach": "drain", "drain_until": "2099-01-01"}),
    "no time": ("gastown-access", {"reach": "drain", "drain_until": "tomorrow"}),
    "seconds": ("gastown-access", {"reach": "drain", "drain_until": 4070908800}),
    "the year 10000": ("gastown-access", {"reach": "drain", "drain_until": "9999-12-31T23:59:59-23:59"}),
    "the year 0": ("gastown-access", {"reach": "drain", "drain_until": "0001-01-01T00:00:00+23:59"}),
    "drain on a flag that no session hangs on": (FLAG, {"reach": "drain", "drain_until": "2099-01-01T00:00:00Z"}),
    "sever on a flag that no session hangs on": (FLAG, {"reach": "sever"}),
    "a stage": (FLAG, {"stage": "ga"}),
}


@pytest.mark.parametrize(("key", "members"), KILLS.values(), ids=[f"A88-{name}" for name in KILLS])
def test_a_kill_that_is_none(target: Target, key: str, members: Document) -> None:
    body = encoded({"reason": "because", **members})
    refused(target.send("kill", body, path=f"/flags/{key}/kill"), 400, "invalid-body")


POLICIES: Mapping[str, Mapping[str, Any]] = {
    "neither route nor procedure": {"class": "observe"},
    "both": {"route": "GET /x", "procedure": "x.y"},
    "no method": {"route": "/x"},
    "any method": {"route": "ANY /x"},
    "the default route": {"route": "$default"},
    "a greedy path": {"route": "GET /x/{proxy+}"},
    "a path with a blank": {"route": "GET /x /y"},
    "an unknown class": {"route": "GET /x", "class": "public"},
    "flags on an open route": {"route": "GET /x", "class": "open", "flags": ["gastown-access"]},
    "a flag that is no key": {"route": "GET /x", "flags": ["Not A Key"]},
    "11 flags": {"route": "GET /x", "flags": [f"f{i}" for i in range(11)]},
    "a procedure with a comma": {"procedure": "a.b,c.d"},
    "an unknown member": {"route": "GET /x", "auth": "none"},
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=[f"A81-{name}" for name in POLICIES])
@pytest.mark.parametrize("name", ["routes", "manifest", "plan"])
def test_a_route_policy_that_is_none(target: Target, name: str, policy: Document) -> None:
    body = {"reason": "because", "routes": [GATE, policy]}
    refused(target.send(name, encoded(body)), 400, "invalid-body")
    twice = {"reason": "because", "routes": [GATE, GATE]}
    refused(target.send(name, encoded(twice)), 400, "invalid-body")


MANIFESTS: Mapping[str, Mapping[str, Any]] = {
    "a key twice": {"flags": [{"key": "a"}, {"key": "a"}]},
    "a bad key": {"flags": [{"key": "Not A Key"}]},
    "no key": {"flags": [{"stage": "ga"}]},
    "a cycle": {"flags": [{"key": "cycle-a", "requires": ["cycle-b"]}, {"key": "cycle-b", "requires": ["cycle-a"]}]},
    "a parent that does not exist": {"flags": [{"key": "orphan", "requires": ["never-made"]}]},
    "killed": {"flags": [{"key": FLAG, "killed": None}]},
    "a short life": {"token": {"lifetime": 59}},
    "a long life": {"token": {"lifetime": 3_601}},
    "a standard claim": {"token": {"claims": {"sub": "root"}}},
    "the claim admin": {"token": {"claims": {"admin": True}}},
    "an unknown variable": {"token": {"claims": {"x": "$secret"}}},
    "a claim that is a list": {"token": {"claims": {"x": []}}},
    "21 claims": {"token": {"claims": {f"c{i}": 1 for i in range(21)}}},
    "claims that fill the token": {"token": {"claims": {f"c{i}": "x" * 128 for i in range(20)}}},
    "more than an hour stale": {"max_stale": 3_601},
    "less than nothing stale": {"max_stale": -1},
    "an access that is no key": {"access": "Not A Key"},
    "an unknown part": {"segments": []},
}


@pytest.mark.parametrize("members", MANIFESTS.values(), ids=[f"A81-{name}" for name in MANIFESTS])
@pytest.mark.parametrize("name", ["manifest", "plan"])
def test_a_manifest_that_is_none(target: Target, name: str, members: Document) -> None:
    refused(target.send(name, encoded({"reason": "because", **members})), 400, "invalid-body")


REVOCATIONS: Mapping[str, Mapping[str, Any]] = {
    "nobody": {},
    "two things": {"subject": "nobody", "jti": "0123"},
    "a blank subject": {"subject": " "},
    "a subject that no token can have": {"subject": "a b"},
    "a subject of 257 bytes": {"subject": "x" * 257},
    "a list of subjects": {"subject": ["nobody"]},
    "a later time": {"subject": "nobody", "at": "2099-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("members", REVOCATIONS.values(), ids=[f"Z46-{name}" for name in REVOCATIONS])
def test_a_revocation_that_is_none(target: Target, members: Document) -> None:
    refused(target.send("revocation", encoded({"reason": "because", **members})), 400, "invalid-body")


@pytest.mark.parametrize("record", ["x", "0" * 64, "0" * 63, "g" * 64, "%00" * 64, "..%2F" * 8, "0" * 2_000], ids=ascii)
def test_a_session_that_is_not_there(target: Target, record: str) -> None:
    """A88: none of these is an error of ours."""
    refused(target.send("end", path=f"/sessions/{record}"), 404, "not-found")


# -- preconditions and keys

PRECONDITIONS: Mapping[str, tuple[str | None, int, str]] = {
    "none": (None, 428, "precondition-required"),
    "stale": ('"99999"', 412, "precondition-failed"),
    "older": ('"0"', 412, "precondition-failed"),
    "any": ("*", 400, "invalid-body"),
    "empty": ("", 400, "invalid-body"),
    "unquoted": ("1", 400, "invalid-body"),
    "weak": ('W/"1"', 400, "invalid-body"),
    "two": ('"1", "2"', 400, "invalid-body"),
    "negative": ('"-1"', 400, "invalid-body"),
    "with a zero before": ('"01"', 400, "invalid-body"),
    "other digits": ('"\u00b2"'.encode().decode("latin-1"), 400, "invalid-body"),
    "very long": ('"' + "9" * 5_000 + '"', 400, "invalid-body"),
}


@pytest.mark.parametrize(("text", "status", "slug"), PRECONDITIONS.values(), ids=PRECONDITIONS)
@pytest.mark.parametrize("name", HOLDING, ids=[f"A78-{name}" for name in HOLDING])
def test_a_precondition_that_does_not_hold(target: Target, name: str, text: str | None, status: int, slug: str) -> None:
    answer = refused(target.send(name, headers={"if-match": text}), status, slug)
    if status == 412:
        assert answer.headers["etag"] == f'"{target.versions[CALLS[name].holds]}"'


CREATIONS: Mapping[str, tuple[str, Mapping[str, str], int, str]] = {
    "A79-a key that exists": (FLAG, {"if-none-match": "*"}, 409, "exists"),
    "A79-a key that was deleted": (GONE, {"if-none-match": "*"}, 409, "key-retired"),
    "A78-replacing what was deleted": (GONE, {"if-match": '"1"'}, 404, "unknown-flag"),
    "A78-replacing what never was": ("never-made", {"if-match": '"1"'}, 404, "unknown-flag"),
    "A78-an ETag where * belongs": ("never-made", {"if-none-match": '"1"'}, 400, "invalid-body"),
    "A78-both": ("never-made", {"if-none-match": "*", "if-match": '"1"'}, 400, "invalid-body"),
    "A78-neither, on a flag that is there": (FLAG, {}, 428, "precondition-required"),
}


@pytest.mark.parametrize(("key", "headers", "status", "slug"), CREATIONS.values(), ids=CREATIONS)
def test_a_creation_that_is_none(target: Target, key: str, headers: Mapping[str, str], status: int, slug: str) -> None:
    refused(target.create(key, {}, headers), status, slug)


KEYS: Mapping[str, str | None] = {
    "none": None,
    "empty": "",
    "65 characters": "x" * 65,
    "a blank": "a b",
    "two": "one,two",
    "quotes": '"quoted"',
    "other letters": "cl\u00e9",
    "a path": "../../x;y",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("name", KEYED, ids=[f"A77-{name}" for name in KEYED])
def test_a_change_without_a_good_key(target: Target, name: str, key: str | None) -> None:
    refused(target.send(name, headers={"idempotency-key": key}), 400, "idempotency-key-required")


# -- addresses

BAD_KEYS: Mapping[str, str] = {
    "E66-capitals": "Bad-Input",
    "E66-a dot first": ".bad",
    "E66-a dash first": "-bad",
    "E66-65 characters": "x" * 65,
    "E66-a blank": "bad%20input",
    "E66-a line break": "bad%0Ainput",
    "E66-a line break at the end": "bad-input%0A",
    "E66-other letters": "b%C3%A4d",
    "P52-a slash": "bad%2Finput",
    "P52-a slash, encoded twice": "bad%252Finput",
    "P52-upwards": "%2e%2e%2fbad-input",
    "P52-upwards, whole": "%2e%2e",
    "P52-NUL": "bad-input%00",
    "P52-overlong": "bad%C0%AFinput",
    "P52-not UTF-8": "bad%FF",
    "P52-a surrogate": "bad%ED%A0%80",
    "P53-a question mark": "bad-input%3Fx",
    "P53-a hash": "bad-input%23x",
    "P51-a parameter": "bad-input;a=b",
    "P51-a plus": "bad+input",
}


@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_that_is_none(target: Target, key: str) -> None:
    """On every route that takes one."""
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}"), 400, "invalid-flag-key")
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}/allow"), 400, "invalid-flag-key")
    for name in ("put", "delete", "stage", "allow", "kill", "restore"):
        path = CALLS[name].path.replace(FLAG, key)
        refused(target.send(name, path=path), 400, "invalid-flag-key")


@pytest.mark.parametrize("name", ["delete", "stage", "allow", "kill", "restore"])
@pytest.mark.parametrize("key", ["never-made", GONE], ids=["A88-never made", "A88-deleted"])
def test_a_flag_that_is_not_there(target: Target, name: str, key: str) -> None:
    path = CALLS[name].path.replace(FLAG, key)
    refused(target.send(name, path=path), 404, "unknown-flag")
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}"), 404, "unknown-flag")
    refused(target.gate.signed("GET", f"/admin/v1/flags/{key}/allow"), 404, "unknown-flag")


def cursor(*place: Any) -> str:
    """A cursor as the server writes it."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


QUERIES: Mapping[str, tuple[str, str]] = {
    "limit 0": ("flags?limit=0", "invalid-body"),
    "limit -1": ("flags?limit=-1", "invalid-body"),
    "limit 1001": ("flags?limit=1001", "invalid-body"),
    "limit x": ("audit?limit=x", "invalid-body"),
    "limit empty": ("audit?limit=", "invalid-body"),
    "limit 1e3": ("audit?limit=1e3", "invalid-body"),
    "limit of other digits": ("flags?limit=%D9%A1", "invalid-body"),
    "limit of 5,000 digits": ("flags?limit=" + "0" * 5_000 + "9", "invalid-body"),
    "limit twice": ("flags?limit=1&limit=2", "invalid-body"),
    "after x": ("audit?after=x", "invalid-body"),
    "after -1": ("audit?after=-1", "invalid-body"),
    "before of 13 digits": ("audit?before=1000000000000", "invalid-body"),
    "an unknown kind": (f"flags/{FLAG}/allow?kind=robot", "invalid-body"),
    "a cursor that is none": ("flags?cursor=x", "invalid-cursor"),
    "an empty cursor": ("flags?cursor=", "invalid-cursor"),
    "a cursor that is not base64": ("flags?cursor=%00%FF", "invalid-cursor"),
    "a cursor of another list": ("audit?cursor=" + cursor("flags", "a"), "invalid-cursor"),
    "a cursor of an entry that is not there": ("audit?cursor=" + cursor("audit", 1, "x"), "invalid-cursor"),
    "a cursor below all entries": ("audit?cursor=" + cursor("audit", 0, "x"), "invalid-cursor"),
    "a cursor after all entries": ("audit?cursor=" + cursor("audit", 10**11, "x"), "invalid-cursor"),
    "a cursor of 13 digits": ("audit?cursor=" + cursor("audit", 10**12, "x"), "invalid-cursor"),
    "a cursor of 2,000 digits": ("audit?cursor=" + cursor("audit", 10**2_000, "x"), "invalid-cursor"),
    "a cursor of 4,400 digits": (
        "audit?cursor=" + cursor("audit", 7, "x").replace("Nyw", "Nzc3" * 1_500 + "Nyw"),
        "invalid-cursor",
    ),
    "a cursor with true for a number": ("audit?cursor=" + cursor("audit", True, "x"), "invalid-cursor"),
    "a cursor written otherwise": ("flags?cursor=" + cursor("flags", "a").replace("ICJ", "Ig"), "invalid-cursor"),
    "a cursor of another flag's list": (f"flags/{FLAG}/allow?cursor=" + cursor("flags", "a"), "invalid-cursor"),
    "a cursor of another list of sessions": ("sessions?cursor=" + cursor("sessions", "zzz"), "invalid-cursor"),
    "a cursor of 2,000 characters": ("sessions?cursor=" + cursor("sessions", "0" * 2_000), "invalid-cursor"),
    "a cursor of a flag among sessions": ("sessions?cursor=" + cursor("flags", "a"), "invalid-cursor"),
    "a limit of sessions": ("sessions?limit=0", "invalid-body"),
    "a cursor nested deep": ("flags?cursor=" + "W1tb" * 1_500, "invalid-cursor"),
}


@pytest.mark.parametrize(("path", "slug"), QUERIES.values(), ids=[f"A87-{name}" for name in QUERIES])
def test_a_query_that_is_none(target: Target, path: str, slug: str) -> None:
    refused(target.gate.signed("GET", f"/admin/v1/{path}"), 400, slug)
