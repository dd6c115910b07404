"""The admin API is the only way to change flags: its inputs, its permissions, and no lost updates."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from running_gate import Gate, Person
from running_gate.gate import REASON, in_parallel, settings
from running_gate.people import new_id

ACCESS = "gastown-access"
FLAGS = "/admin/v1/flags"


def test_r33_flag_lifecycle_through_documented_calls(gate: Gate) -> None:
    """Create, read, list, stage, lists, kill, restore, replace, delete."""
    key = new_id("life")
    created = gate.create(key, description="a life", stage="allowlist")
    assert (created["version"], created["stage"], created["percent"], created["unit"]) == (1, "allowlist", 0, "user")
    assert created["updated_by"].startswith("arn:aws:sts::")
    shown = gate.signed("GET", f"{FLAGS}/{key}").expect(200)
    assert (shown.json, shown.headers["etag"]) == (created, '"1"')
    assert gate.flags()[key] == created
    assert gate.stage(key, "percentage", percent=12.5, unit="org")["percent"] == 12.5
    added = gate.allow(key, users=["u-1", "u-2"], orgs=["o-1"])
    assert (added["added"], added["removed"]) == (3, 0)
    assert gate.disallow(key, users=["u-2"])["allow"] == {"users": ["u-1"], "orgs": ["o-1"], "rules": []}
    members = gate.signed("GET", f"{FLAGS}/{key}/allow?kind=org").expect(200).json
    assert (members["members"], members["counts"]) == (["o-1"], {"users": 1, "orgs": 1})
    before = gate.flag(key)
    assert gate.kill(key)["killed"]["reason"] == REASON
    assert settings(gate.restore(key)) == settings(before)
    assert gate.replace(key, stage="ga")["salt"] == created["salt"]
    gate.delete(key)
    assert gate.signed("GET", f"{FLAGS}/{key}").expect(404).slug == "unknown-flag"
    assert key not in gate.flags()
    document = {"reason": REASON}
    again = gate.change("PUT", f"{FLAGS}/{key}", document, headers={"if-none-match": "*"}).expect(409)
    assert again.slug == "key-retired"


def test_r33_flags_are_listed_in_pages(gate: Gate) -> None:
    found: list[str] = []
    path = f"{FLAGS}?limit=2"
    while True:
        page = gate.signed("GET", path).expect(200).json
        found += [flag["key"] for flag in page["flags"]]
        if page["next"] is None:
            break
        path = f"{FLAGS}?limit=2&cursor={page['next']}"
    assert found == sorted(gate.flags())
    assert gate.signed("GET", f"{FLAGS}?cursor=forged").expect(400).slug == "invalid-cursor"


UPDATES: dict[str, Callable[[str], tuple[str, str, dict[str, Any]]]] = {
    "replace": lambda key: ("PUT", f"{FLAGS}/{key}", {}),
    "stage": lambda key: ("POST", f"{FLAGS}/{key}/stage", {"stage": "ga"}),
    "allow": lambda key: ("POST", f"{FLAGS}/{key}/allow", {"add": {"users": ["u-1"]}}),
    "delete": lambda key: ("DELETE", f"{FLAGS}/{key}", {}),
}


@pytest.mark.parametrize("update", UPDATES)
def test_r33_stale_version_is_rejected(gate: Gate, update: str) -> None:
    """428 without If-Match, 412 with the current ETag when stale, 400 for anything but one ETag. Nothing changes."""
    key = new_id("versions")
    gate.create(key)
    current = gate.stage(key, "allowlist")
    revision = gate.revision()
    method, path, body = UPDATES[update](key)
    body["reason"] = REASON
    assert gate.change(method, path, body).expect(428).slug == "precondition-required"
    stale = gate.change(method, path, body, version=1).expect(412)
    assert (stale.slug, stale.headers["etag"]) == ("precondition-failed", '"2"')
    for wrong in ("*", '"2", "3"', 'W/"2"', "2", ""):
        gate.change(method, path, body, headers={"if-match": wrong}).expect(400)
    assert (gate.flag(key), gate.revision()) == (current, revision)


def test_r33_one_of_eight_concurrent_updates_succeeds(gate: Gate) -> None:
    key = new_id("race")
    gate.create(key)
    body = {"stage": "allowlist", "reason": REASON}
    answers = in_parallel(lambda _: gate.change("POST", f"{FLAGS}/{key}/stage", body, version=1), range(8))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    assert gate.flag(key)["version"] == 2


def test_r33_permissions_by_role(gate: Gate, alice: Person) -> None:
    """By IAM, on exact routes. All roles except kill operators and services may read; editors may change."""
    key = new_id("rights")
    gate.create(key)
    reads = [("GET", FLAGS), ("GET", f"{FLAGS}/{key}"), ("GET", f"{FLAGS}/{key}/allow"), ("GET", "/admin/v1/routes")]
    reads += [("GET", "/admin/v1/manifest"), ("GET", "/admin/v1/audit"), ("GET", "/admin/v1/health")]
    for role, status in (("viewer", 200), ("auditor", 200), ("editor", 200), ("kill_operator", 403), ("service", 403)):
        assert {gate.signed(*read, role=role).status for read in reads} == {status}, role
    explain = ("POST", "/admin/v1/explain", {"flag": key, "subject": alice.document()})
    assert [gate.signed(*explain, role=role).status for role in ("viewer", "editor", "auditor")] == [200, 200, 403]
    stage, body = f"{FLAGS}/{key}/stage", {"stage": "allowlist", "reason": REASON}
    for role in ("viewer", "auditor", "kill_operator", "service"):
        gate.change("POST", stage, body, version=1, role=role).expect(403)
    gate.change("POST", f"{FLAGS}/{key}/restore", {"reason": REASON}, role="kill_operator").expect(403)
    gate.change("POST", stage, body, version=1, role="editor").expect(200)
    gate.signed("POST", "/v1/service-token", role="service").expect(200)
    for role in ("viewer", "kill_operator", "auditor", "editor"):
        gate.signed("POST", "/v1/service-token", role=role).expect(403)


def test_r33_unsigned_or_badly_signed_request_is_denied(fresh: Gate, root: Person) -> None:
    """No signature, an admin's token, or a signature over another path: API Gateway answers 403."""
    token = fresh.access_token(root)
    for credential in (None, token):
        answer = fresh.call("GET", FLAGS, token=credential).expect(403)
        assert answer.json == {"message": "Forbidden"}
    forged = Gate({**fresh.ready, "admin": {**fresh.ready["admin"], "secret_access_key": "guessed"}}, fresh.http)
    forged.signed("GET", FLAGS).expect(403)
    elsewhere = Gate({**fresh.ready, "region": "eu-west-1"}, fresh.http)
    elsewhere.signed("GET", FLAGS).expect(403)


def test_r33_shrink_needs_allow_shrink(gate: Gate) -> None:
    key = new_id("shrink")
    gate.create(key, stage="ga")
    body = {"stage": "allowlist", "reason": REASON}
    assert gate.change("POST", f"{FLAGS}/{key}/stage", body, version=1).expect(409).slug == "would-shrink"
    assert gate.flag(key)["version"] == 1
    gate.change("POST", f"{FLAGS}/{key}/stage", {**body, "allow_shrink": True}, version=1).expect(200)


@pytest.mark.parametrize("key", ["gastown-access", "gastown-convoys", "gastown-pr-merge", "gastown-multi-rig"])
def test_r49_the_four_keys_exist(gate: Gate, key: str) -> None:
    assert gate.flag(key)["key"] == key


@pytest.mark.parametrize("key", ["Gastown", "-a", ".a", "_a", "a b", "a/b", "ä", "a" * 65, "a\n", "%2e%2e", "a;b"])
def test_r49_malformed_key_is_rejected(gate: Gate, key: str) -> None:
    """400 from the admin API, or no route at all if it contains a slash."""
    path = f"{FLAGS}/{quote(key, safe='')}"
    revision = gate.revision()
    for answer in (
        gate.signed("GET", path),
        gate.change("PUT", path, {"reason": REASON}, headers={"if-none-match": "*"}),
        gate.signed("POST", f"{path}/kill", {"reason": REASON}),
    ):
        assert answer.status in (400, 404), answer
        assert answer.slug in ("invalid-flag-key", "invalid-body", ""), answer
    assert gate.revision() == revision


def test_r49_longest_key_is_accepted(gate: Gate) -> None:
    longest = (new_id("z.z_z-") + "z" * 64)[:64]
    assert gate.create(longest)["key"] == longest
