"""Preview and plan at the admin function: they equal what explain says of every subject after the change."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from desk import quiet
from fake_clock import FakeClock
from members_desk import MembersDesk
from reference_table import ReferenceTable
from stand import Stand

ACCESS, CONVOYS = "gastown-access", "gastown-convoys"
STRANGERS = [{"user": f"u-{number}"} for number in range(200)]
PREVIEW = "POST /admin/v1/preview"


@pytest.fixture(scope="module")
def gate(stand: Stand) -> Iterator[Stand]:
    """Access by list with a user, an org, and a session; convoys for everyone whom access admits."""
    stand.renew()
    listed = {"users": ["alice", "bob"], "orgs": ["acme"], "rules": []}
    document = {"stage": "allowlist", "allow": listed, "salt": "s", "reason": "for the test"}
    put(stand, ACCESS, document)
    put(stand, CONVOYS, {"stage": "ga", "requires": [ACCESS], "reason": "for the test"})
    assert stand.replay("token.session")["statusCode"] == 200
    yield stand
    stand.is_fresh = False


def version(stand: Stand, key: str) -> str:
    return str(stand.admin("GET /admin/v1/flags/{key}", None, key=key)["headers"]["etag"])


def put(stand: Stand, key: str, document: Any) -> None:
    headers = {"if-match": version(stand, key)}
    answer = stand.admin("PUT /admin/v1/flags/{key}", {"allow_shrink": True, **document}, key=key, headers=headers)
    assert answer["statusCode"] == 200, answer["body"]


def asked(stand: Stand, change: Any, *, flag: str = ACCESS, status: int = 200, **more: Any) -> Any:
    answer = stand.admin(PREVIEW, {"flag": flag, "change": change, **more})
    assert answer["statusCode"] == status, answer["body"]
    return json.loads(answer["body"])


def revision(stand: Stand) -> Any:
    return json.loads(stand.admin("GET /admin/v1/audit", None)["body"])["head"]


def verdicts(stand: Stand, flag: str, subjects: Any) -> list[bool]:
    bodies = [{"flag": flag, "subject": subject} for subject in subjects]
    return [json.loads(stand.admin("POST /admin/v1/explain", body)["body"])["value"] for body in bodies]


@pytest.mark.parametrize(
    ("change", "gains", "loses", "shrinks"),
    [
        ({"stage": "ga"}, 0, 0, False),
        ({"stage": "admin_only"}, 0, 3, True),
        ({"kill": True}, 0, 3, False),
        ({"restore": True}, 0, 0, False),
        ({"delete": True}, 0, 3, True),
        ({"add": {"users": ["carol"]}}, 1, 0, False),
        ({"add": {"users": ["carol"]}, "remove": {"users": ["bob"], "orgs": ["acme"]}}, 1, 2, True),
        ({"put": {"stage": "allowlist", "allow": {"users": ["bob", "carol"]}}}, 1, 2, True),
    ],
)
def test_known_subjects_gain_and_lose(gate: Stand, change: Any, gains: int, loses: int, shrinks: bool) -> None:
    before = revision(gate)
    told = asked(gate, change)
    assert (told["gains"], told["loses"], told["shrinks"]) == (gains, loses, shrinks)
    assert told["affects"] == ([{"flag": CONVOYS, "gains": gains, "loses": loses}] if gains or loses else [])
    assert len(told["samples"]["gains"]) == gains
    assert len(told["samples"]["loses"]) == loses
    listed = 3 + (1 if gains else 0)
    assert told["known"] == {"named": 0, "sessions": 1, "listed": listed, "complete": True}  # the session is an admin's
    assert revision(gate) == before


def test_a_preview_of_a_ramp_matches_the_ramp(gate: Stand) -> None:
    """200 named subjects: the preview of a ramp, then the ramp itself."""
    ramp = {"stage": "percentage", "percent": 30}
    told = asked(gate, ramp, subjects=STRANGERS)
    assert told["known"]["named"] == len(STRANGERS)
    assert told["share"] == {
        "before": {"percent": 0, "unit": "user"}, "after": {"percent": 30, "unit": "user"}, "gains": 30, "loses": 0,
    }  # fmt: skip
    before = verdicts(gate, ACCESS, STRANGERS)
    path, headers = "POST /admin/v1/flags/{key}/stage", {"if-match": version(gate, ACCESS)}
    done = gate.admin(path, {**ramp, "reason": "ramp"}, key=ACCESS, headers=headers)
    assert done["statusCode"] == 200
    after = verdicts(gate, ACCESS, STRANGERS)
    assert sum(before) == 0
    assert told["gains"] == sum(after) > 30
    assert told["loses"] == 0
    gaining = [subject["user"] for subject, is_on in zip(STRANGERS, after, strict=True) if is_on]
    assert [move["subject"]["user"] for move in told["samples"]["gains"]] == gaining[:10]
    assert told["samples"]["gains"][0]["before"] == {"value": False, "reason": "NOT_LISTED"}
    assert told["samples"]["gains"][0]["after"] == {"value": True, "reason": "SPLIT"}
    back = {"stage": "allowlist", "reason": "back", "allow_shrink": True}
    assert gate.admin(path, back, key=ACCESS, headers={"if-match": version(gate, ACCESS)})["statusCode"] == 200


def test_a_named_subject_is_decided_with_its_given_orgs_and_admin(gate: Stand) -> None:
    subjects = [{"user": "dora", "orgs": ["acme"]}, {"user": "alice", "admin": True}]
    told = asked(gate, {"remove": {"orgs": ["acme"], "users": ["alice"]}}, subjects=subjects)
    assert told["loses"] == 2  # dora by her org, and the org itself; alice is an admin
    assert told["samples"]["loses"][0]["subject"] == {"user": "dora", "orgs": ["acme"], "admin": False}
    assert told["samples"]["loses"][0]["source"] == "named"
    assert told["known"]["listed"] == 2


def test_a_plan_counts_gains_and_losses_by_flag(gate: Stand) -> None:
    flags = [
        {"key": ACCESS, "allow": {"users": ["alice", "carol"]}},
        {"key": "gastown-molecules", "stage": "allowlist", "requires": [ACCESS], "allow": {"users": ["carol"]}},
    ]
    answer = json.loads(gate.admin("POST /admin/v1/manifest/plan", {"flags": flags, "max_stale": 30})["body"])
    found = [(step["flag"], step.get("gains"), step.get("loses")) for step in answer["changes"]]
    assert found == [(ACCESS, 1, 2), ("gastown-molecules", 1, 0), (None, None, None)]
    samples = answer["changes"][0]["samples"]
    assert [move["subject"]["user"] for move in samples["gains"]] == ["carol"]
    assert [move["subject"]["user"] or move["subject"]["orgs"] for move in samples["loses"]] == ["bob", ["acme"]]
    assert answer["affects"] == [{"flag": CONVOYS, "gains": 1, "loses": 2}]
    assert answer["shrinks"] is True
    assert answer["known"]["complete"] is True


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({}, "change"),
        ({"stage": "ga", "kill": True}, "change"),
        ({"kill": True, "restore": True}, "change"),
        ({"kill": False}, "change.kill"),
        ({"kill": 1}, "change.kill"),
        ({"percent": 10}, "change"),
        ({"kill": True, "percent": 10}, "change"),
        ({"stage": "percentage"}, "change.percent"),
        ({"stage": "percentage", "percent": 10.0001}, "change.percent"),
        ({"stage": "percentage", "percent": "10"}, "change.percent"),
        ({"add": {"users": ["a@example.com"]}}, "change.users"),
        ({"add": {"users": ["a"]}, "remove": {"users": ["a"]}}, "change.users"),
        ({"put": {"key": "another"}}, "change.put.key"),
        ({"put": {"stage": "wide"}}, "change.put.stage"),
        ({"put": {"requires": ["nobody"]}}, "change.requires.0"),
        ({"put": {"requires": [CONVOYS]}}, "change.requires"),
        ({"put": {"version": 3}}, "change.put.version"),
    ],
)
def test_a_preview_is_refused_for_the_faults_of_its_change(gate: Stand, change: Any, path: str) -> None:
    problem = asked(gate, change, status=400)
    assert problem["type"] == "urn:headgate:invalid-body"
    assert path in {fault["path"] for fault in problem["errors"]} | {
        fault["path"].rpartition(".")[0] for fault in problem["errors"]
    }


def test_a_preview_of_an_unknown_flag_needs_a_put_and_of_a_retired_key_is_refused(gate: Stand) -> None:
    assert asked(gate, {"stage": "ga"}, flag="never-made", status=404)["type"] == "urn:headgate:unknown-flag"
    made = asked(gate, {"put": {"stage": "allowlist", "allow": {"users": ["alice"]}}}, flag="never-made")
    assert (made["gains"], made["shrinks"]) == (1, False)
    put(gate, "gastown-pr-merge", {"stage": "ga", "reason": "soon gone"})
    body = {"reason": "gone", "allow_shrink": True}
    headers = {"if-match": version(gate, "gastown-pr-merge")}
    gone = gate.admin("DELETE /admin/v1/flags/{key}", body, key="gastown-pr-merge", headers=headers)
    assert gone["statusCode"] == 204
    assert asked(gate, {"put": {}}, flag="gastown-pr-merge", status=409)["type"] == "urn:headgate:key-retired"


def test_a_preview_with_too_many_ids_or_subjects_is_refused(gate: Stand) -> None:
    many = [f"u-{number}" for number in range(1_001)]
    assert asked(gate, {"add": {"users": many}}, status=413)["type"] == "urn:headgate:too-large"
    assert asked(gate, {"stage": "ga"}, subjects=[{"user": user} for user in many], status=400)
    assert asked(gate, {"stage": "ga"}, subjects=[{"user": "\ud800"}])["gains"] == 1


def test_subjects_beyond_the_lookup_limit_are_not_counted() -> None:
    """1,000 subjects with 25 orgs are more entries than one preview reads; the last one is already in by an org."""
    desk = MembersDesk(ReferenceTable(), FakeClock(), inline=0)
    desk.creates()
    desk.changes(add=["last-org"], kind="orgs")
    many = [{"user": f"u{number}", "orgs": [f"o{number}-{org}" for org in range(25)]} for number in range(999)]
    subjects = [*many, {"user": "last", "orgs": ["last-org"]}]
    with quiet():
        told = desk.does("POST /admin/v1/preview", {"flag": "f", "change": {"stage": "ga"}, "subjects": subjects}).body
        first = desk.does(
            "POST /admin/v1/preview", {"flag": "f", "change": {"stage": "ga"}, "subjects": subjects[-1:]}
        ).body
    assert 700 < told["gains"] == told["known"]["named"] < 999
    assert told["known"]["complete"] is False
    assert first["gains"] == 0
