"""`explain`, `health`, and `routes`: the requests, and how the answers are printed."""

import json
from typing import Any

import pytest

STEPS = [
    {"flag": "gastown-access", "step": "exists", "outcome": "passed on", "reason": None},
    {"flag": "gastown-access", "step": "listed", "outcome": "on", "reason": "ALLOWLIST"},
]
DECISION = {"flag": "gastown-access", "value": True, "reason": "ALLOWLIST", "revision": 9, "steps": STEPS}


def test_subject_is_sent_with_typed_attributes(headgate: Any, upstream: Any, reply: Any) -> None:
    upstream.on("POST /admin/v1/explain", reply(body=DECISION))
    named = ("plan=pro", "seats=12", "beta=true", "rate=0.5", "zip=0123", "note=a=b", "empty=")
    attributes = [part for item in named for part in ("--attribute", item)]
    done = headgate(
        "explain", "gastown-access", "--user", "alice", "--org", "o1", "--org", "o2", "--admin", *attributes
    )
    assert upstream.asked[0].json == {
        "flag": "gastown-access",
        "subject": {
            "user": "alice", "orgs": ["o1", "o2"], "admin": True,
            "attributes": {
                "plan": "pro", "seats": 12, "beta": True, "rate": 0.5, "zip": "0123", "note": "a=b", "empty": "",
            },
        },
    }  # fmt: skip
    assert done.stdout.splitlines()[1:] == [
        "gastown-access  exists  passed on",
        "gastown-access  listed  on         ALLOWLIST",
        "",
        "gastown-access is on: ALLOWLIST (revision 9)",
    ]


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({"unit": "org", "percent": 25, "buckets": []}, "by org: no org is known; below 25 % is in"),
        ({"unit": "user", "percent": 25, "buckets": [{"id": "bob", "at": 63.218}]},
         "by user: bob at 63.218 %; below 25 % is in"),
    ],
)  # fmt: skip
def test_missing_org_and_a_high_bucket_are_told_apart(
    invoke: Any, upstream: Any, reply: Any, facts: dict[str, Any], shown: str
) -> None:
    steps = [
        {"flag": "a", "step": "listed", "outcome": "passed on", "reason": None, "facts": {"by_id": False, "rules": []}},
        {"flag": "a", "step": "percentage", "outcome": "off", "reason": "SPLIT", "facts": facts},
    ]
    decision = {"flag": "a", "value": False, "reason": "SPLIT", "revision": 9, "steps": steps}
    upstream.on("POST /admin/v1/explain", reply(body=decision))
    lines = invoke("explain", "a", "--user", "bob").stdout.splitlines()
    assert lines[2].endswith(f"SPLIT   {shown}")
    assert lines[-2:] == [
        f"a is off: SPLIT, {shown} (revision 9)",
        "assumed: no org, no attribute, not an admin (--org, --attribute, and --admin say otherwise)",
    ]
    told = json.loads(invoke("explain", "a", "--user", "bob", "--org", "acme", "--json").stdout)
    assert told["assumed"] == ["no attribute", "not an admin"]


@pytest.mark.parametrize(("given", "sent"), [("7", 7), ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z")])
def test_as_of_accepts_a_revision_or_a_time(invoke: Any, upstream: Any, reply: Any, given: str, sent: Any) -> None:
    upstream.on("POST /admin/v1/explain", reply(body={**DECISION, "value": "true"}))
    done = invoke("explain", "gastown-access", "--as-of", given)
    assert upstream.asked[0].json["as_of"] == sent
    assert "gastown-access is off" in done.stdout  # only JSON true is on
    assert json.loads(invoke("explain", "gastown-access", "--json").stdout)["value"] == "true"


def test_attribute_without_a_value_is_wrong_usage(invoke: Any, upstream: Any) -> None:
    assert invoke("explain", "gastown-access", "--attribute", "plan").exit_code == 2
    assert upstream.asked == []


def test_health_is_printed_in_lines(invoke: Any, upstream: Any, reply: Any) -> None:
    body = {"status": "ok", "missing_flags": [], "head": {"revision": 3, "digest": "d"}, "killed_flags": {}}
    upstream.on("GET /admin/v1/health", reply(body=body))
    assert invoke("health").stdout.splitlines() == [
        "status         ok",
        "missing flags  none",
        "head           revision 3  digest d",
        "killed flags   none",
    ]
    assert json.loads(invoke("health", "--json").stdout) == body


def test_routes_are_a_table(invoke: Any, upstream: Any, reply: Any) -> None:
    routes = [
        {"route": "POST /a", "class": "entry", "flags": ["f"]},
        {"procedure": "b.c", "class": "continue", "asks": ["g"]},
    ]
    upstream.on("GET /admin/v1/routes", reply(body={"routes": routes, "version": 2}))
    lines = invoke("routes").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [["POST", "/a", "entry", "f"], ["b.c", "continue", "g"]]
    assert json.loads(invoke("routes", "--json").stdout)["version"] == 2
