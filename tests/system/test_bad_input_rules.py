"""Invalid rules in well-formed bodies: stages, flags, lists, kills, routes, manifests, revocations.

Ids begin with the row in docs/attacks.md or the requirement: A78 shrinking, A80, A82 lists, A81 members, A88 kills;
E73 attribute rules; R6 stages, R45 strict booleans; Z46 revocations.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bad_bodies import LONE, Document, encoded
from bad_calls import FLAG, GATE, Target, aim, refused
from running_gate.people import new_id

from headgate_cli.local.stack import Stack


@pytest.fixture(scope="module")
def target(stack: Stack) -> Target:
    """The calls, and a flag to make them on."""
    return aim(stack)


@pytest.fixture(autouse=True)
def unchanged(target: Target) -> Iterator[None]:
    """No row in this file makes an audit entry."""
    yield
    target.expect_unchanged()


STAGES: Mapping[str, Mapping[str, Any]] = {
    "R6-an unknown stage": {"stage": "beta"},
    "R6-a stage in upper case": {"stage": "GA"},
    "R6-percentage without a percent": {"stage": "percentage"},
    "R6-percentage with a null percent": {"stage": "percentage", "percent": None},
    "R6-below 0": {"stage": "percentage", "percent": -0.001},
    "R6-above 100": {"stage": "percentage", "percent": 100.001},
    "R6-4 decimals": {"stage": "percentage", "percent": 33.3333},
    "R6-a tiny percent": {"stage": "percentage", "percent": 1e-9},
    "R6-a huge percent": {"stage": "percentage", "percent": 10**300},
    "R45-a percent as a string": {"stage": "percentage", "percent": "50"},
    "R45-a percent as a boolean": {"stage": "percentage", "percent": True},
    "R6-an unknown unit": {"stage": "ga", "unit": "team"},
    "A81-lists where none are allowed": {"stage": "ga", "allow": {"users": ["mallory"]}},
}


@pytest.mark.parametrize("members", STAGES.values(), ids=STAGES)
def test_invalid_stage_is_rejected(target: Target, members: Document) -> None:
    refused(target.send("stage", encoded({"reason": "because", **members})), 400, "invalid-body")


RULE: Document = {"attribute": "plan", "op": "equals", "value": "pro"}


def rules(*clauses: Any) -> Document:
    return {"allow": {"rules": [{"clauses": list(clauses)}]}}


FLAGS: Mapping[str, Mapping[str, Any]] = {
    "A81-another key than the path's": {"key": "another"},
    "A82-an email address": {"allow": {"users": ["listed", "someone@example.org"]}},
    "A82-an id with a blank": {"allow": {"users": ["listed", "some one"]}},
    "A82-an id of 257 bytes": {"allow": {"users": ["listed", "x" * 257]}},
    "A82-an empty id": {"allow": {"orgs": [""]}},
    "A82-an id that is not UTF-8": {"allow": {"orgs": [LONE]}},
    "A80-a duplicate id": {"allow": {"users": ["listed", "listed"]}},
    "A80-1,001 ids": {"allow": {"users": [f"u{i}" for i in range(1_001)]}},
    "A80-1,001 users and orgs": {
        "allow": {"users": [f"u{i}" for i in range(501)], "orgs": [f"o{i}" for i in range(500)]}
    },
    "A81-an unknown member of a list": {"allow": {"groups": ["g"]}},
    "E73-a regular expression": rules({"attribute": "plan", "op": "matches", "value": "(a+)+$"}),
    "E73-a rule without clauses": {"allow": {"rules": [{"clauses": []}]}},
    "E73-a clause without an attribute": rules({"op": "equals", "value": 1}),
    "E73-an operand of the wrong type": rules({**RULE, "op": "in", "value": "pro"}),
    "E73-a number as a string": rules({**RULE, "op": "less", "value": "10"}),
    "E73-an invalid date": rules({**RULE, "op": "less", "value": "soon", "kind": "date"}),
    "E73-exists with an operand": rules({**RULE, "op": "exists"}),
    "E73-201 operands": rules({**RULE, "op": "in", "value": list(range(201))}),
    "E73-21 clauses": rules(*[RULE] * 21),
    "E73-51 rules": {"allow": {"rules": [{"clauses": [RULE]}] * 51}},
    "A81-itself as a parent": {"requires": [FLAG]},
    "A81-a parent that does not exist": {"requires": ["never-made"]},
    "A81-a malformed parent key": {"requires": ["Not A Key"]},
    "A81-11 parents": {"requires": [f"p{i}" for i in range(11)]},
    "R45-inverted boolean values": {"values": {"on": False, "off": True}},
    "R45-values of two types": {"values": {"on": "pr", "off": False}},
    "R45-one value": {"values": {"on": "pr"}},
    "R45-three values": {"values": {"on": "a", "off": "b", "maybe": "c"}},
    "R45-a value that is not UTF-8": {"values": {"on": LONE, "off": "direct"}},
    "R45-an object that is not UTF-8": {"values": {"on": {"deep": [{"er": LONE}]}, "off": {}}},
    "R45-a name that is not UTF-8": {"values": {"on": {LONE: 1}, "off": {}}},
    "E73-an operand that is not UTF-8": rules({**RULE, "value": LONE}),
    "E73-an attribute that is not UTF-8": rules({**RULE, "attribute": LONE}),
    "E73-an attribute without a name": rules({**RULE, "attribute": " "}),
    "R45-lists as values": {"values": {"on": [1], "off": []}},
    "A81-a registered claim": {"claim": "sub"},
    "A81-the claim admin": {"claim": "admin"},
    "A81-a claim with a dot": {"claim": "https://example.org/x"},
    "A81-a salt with a NUL": {"salt": "a\0b"},
    "A81-a salt of 129 bytes": {"salt": "x" * 129},
    "A81-an unknown algorithm": {"algorithm": "md5"},
    "A81-a description of two lines": {"description": "one\ntwo"},
}


@pytest.mark.parametrize("members", FLAGS.values(), ids=FLAGS)
def test_invalid_flag_is_rejected(target: Target, members: Document) -> None:
    """As a replacement, and as a new flag."""
    refused(target.send("put", encoded({"reason": "because", "allow_shrink": True, **members})), 400, "invalid-body")
    key = new_id("bad")
    own = {**members, "key": key} if members.get("key") == key else members
    if "itself" not in str(members) and members.get("requires") != [FLAG]:
        refused(target.create(key, own, {"if-none-match": "*"}), 400, "invalid-body")


def test_oversized_flag_is_rejected(target: Target) -> None:
    """A80: an audit entry holds the flag twice, which limits it to 64 KB."""
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
    "A80-a duplicate id": ({"add": {"users": ["u", "u"]}}, 400, "invalid-body"),
    "A80-an id added and removed": ({"add": {"users": ["u"]}, "remove": {"users": ["u"]}}, 400, "invalid-body"),
    "A82-an email address": ({"add": {"users": ["someone@example.org"]}}, 400, "invalid-body"),
    "A82-an id with a blank": ({"add": {"users": ["a b"]}}, 400, "invalid-body"),
    "A82-an id with a line break": ({"add": {"users": ["a\nb"]}}, 400, "invalid-body"),
    "A82-an id that is a number": ({"add": {"users": [7]}}, 400, "invalid-body"),
    "A81-rules where none are allowed": ({"add": {"rules": []}}, 400, "invalid-body"),
    "A78-shrinking without allow_shrink": ({"remove": {"users": ["listed"]}}, 409, "would-shrink"),
}


@pytest.mark.parametrize(("members", "status", "slug"), LISTS.values(), ids=LISTS)
def test_invalid_list_member_is_rejected(target: Target, members: Document, status: int, slug: str) -> None:
    refused(target.send("allow", encoded({"reason": "because", **members})), status, slug)


SHRINKING: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "an earlier stage": ("stage", {"stage": "allowlist"}),
    "a lower percent": ("stage", {"stage": "percentage", "percent": 49.999}),
    "another unit": ("stage", {"stage": "percentage", "percent": 50, "unit": "org"}),
    "another salt": ("put", {"stage": "percentage", "percent": 50, "allow": {"users": ["listed"]}, "salt": "other"}),
    "a removed entry": ("put", {"stage": "percentage", "percent": 50}),
    "an added parent": ("put", {"stage": "ga", "requires": ["gastown-access"]}),
    "deletion": ("delete", {"allow_shrink": False}),
}


@pytest.mark.parametrize(("name", "members"), SHRINKING.values(), ids=[f"A78-{name}" for name in SHRINKING])
def test_shrink_without_allow_shrink_is_rejected(target: Target, name: str, members: Document) -> None:
    refused(target.send(name, encoded({"reason": "because", **members})), 409, "would-shrink")


KILLS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "an unknown reach": (FLAG, {"reach": "total"}),
    "drain without a time": ("gastown-access", {"reach": "drain"}),
    "a time without drain": ("gastown-access", {"reach": "gate", "drain_until": "2099-01-01T00:00:00Z"}),
    "a time in the past": ("gastown-access", {"reach": "drain", "drain_until": "2020-01-01T00:00:00Z"}),
    "a time without an offset": ("gastown-access", {"reach": "drain", "drain_until": "2099-01-01T00:00:00"}),
    "a date": ("gastown-access", {"reach": "drain", "drain_until": "2099-01-01"}),
    "no time": ("gastown-access", {"reach": "drain", "drain_until": "tomorrow"}),
    "seconds": ("gastown-access", {"reach": "drain", "drain_until": 4070908800}),
    "the year 10000": ("gastown-access", {"reach": "drain", "drain_until": "9999-12-31T23:59:59-23:59"}),
    "the year 0": ("gastown-access", {"reach": "drain", "drain_until": "0001-01-01T00:00:00+23:59"}),
    "drain on a flag without sessions": (FLAG, {"reach": "drain", "drain_until": "2099-01-01T00:00:00Z"}),
    "sever on a flag without sessions": (FLAG, {"reach": "sever"}),
    "a stage": (FLAG, {"stage": "ga"}),
}


@pytest.mark.parametrize(("key", "members"), KILLS.values(), ids=[f"A88-{name}" for name in KILLS])
def test_invalid_kill_is_rejected(target: Target, key: str, members: Document) -> None:
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
    "a malformed flag key": {"route": "GET /x", "flags": ["Not A Key"]},
    "11 flags": {"route": "GET /x", "flags": [f"f{i}" for i in range(11)]},
    "a procedure name with a comma": {"procedure": "a.b,c.d"},
    "an unknown member": {"route": "GET /x", "auth": "none"},
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=[f"A81-{name}" for name in POLICIES])
@pytest.mark.parametrize("name", ["routes", "manifest", "plan"])
def test_invalid_route_policy_is_rejected(target: Target, name: str, policy: Document) -> None:
    body = {"reason": "because", "routes": [GATE, policy]}
    refused(target.send(name, encoded(body)), 400, "invalid-body")
    twice = {"reason": "because", "routes": [GATE, GATE]}
    refused(target.send(name, encoded(twice)), 400, "invalid-body")


MANIFESTS: Mapping[str, Mapping[str, Any]] = {
    "a duplicate key": {"flags": [{"key": "a"}, {"key": "a"}]},
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
    "a max_stale over an hour": {"max_stale": 3_601},
    "a negative max_stale": {"max_stale": -1},
    "a malformed access key": {"access": "Not A Key"},
    "an unknown part": {"segments": []},
}


@pytest.mark.parametrize("members", MANIFESTS.values(), ids=[f"A81-{name}" for name in MANIFESTS])
@pytest.mark.parametrize("name", ["manifest", "plan"])
def test_invalid_manifest_is_rejected(target: Target, name: str, members: Document) -> None:
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
def test_invalid_revocation_is_rejected(target: Target, members: Document) -> None:
    refused(target.send("revocation", encoded({"reason": "because", **members})), 400, "invalid-body")


@pytest.mark.parametrize("record", ["x", "0" * 64, "0" * 63, "g" * 64, "%00" * 64, "..%2F" * 8, "0" * 2_000], ids=ascii)
def test_unknown_session_is_404(target: Target, record: str) -> None:
    """A88: none of these is a server error."""
    refused(target.send("end", path=f"/sessions/{record}"), 404, "not-found")
