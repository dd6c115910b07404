"""The kill: no new access from the moment it answers, running work continues, and restore brings everything back."""

from collections.abc import Mapping
from typing import Any

import pytest
from running_gate import Answer, Gate, Person, is_refused_at_the_gate, until
from running_gate.gate import ACCESS_TOKEN, ID_TOKEN, REASON, settings, verdicts

ACCESS = "gastown-access"
SUB_FEATURES = ("gastown-convoys", "gastown-pr-merge", "gastown-multi-rig", "gastown-molecules")


def test_r03_nothing_is_admitted_after_the_kill(fresh: Gate, alice: Person, root: Person) -> None:
    """The bound is zero: the first exchange and the first entry route after the answer are refused, five times."""
    fresh.stage(ACCESS, "ga")
    token, admins = fresh.access_token(alice), fresh.access_token(root)
    for _ in range(5):
        fresh.mint(alice).expect(200)
        fresh.create_town(alice, token).expect(201)
        fresh.kill(ACCESS)
        fresh.mint(alice).expect(403)
        assert is_refused_at_the_gate(fresh.create_town(alice, token))
        fresh.mint(root).expect(200)
        fresh.create_town(root, admins).expect(201)
        fresh.restore(ACCESS)


@pytest.mark.parametrize("stage", ["admin_only", "allowlist", "percentage", "ga"])
def test_r14_one_request_kills_and_one_restores_every_stage(fresh: Gate, stage: str, root: Person) -> None:
    listed = Person()
    fresh.allow(ACCESS, users=[listed.user], orgs=["an-org"])
    before = fresh.stage(ACCESS, stage, percent=100)
    is_in = stage != "admin_only"
    fresh.mint(listed).expect(200 if is_in else 403)
    killed = fresh.kill(ACCESS)
    assert killed["killed"]["reach"] == "gate"
    assert settings(fresh.flag(ACCESS)) == settings(before)
    assert killed.keys() == set("key stage percent killed version revision sessions_inside last_leaves_at".split())
    kills = fresh.signed("GET", "/admin/v1/kills", role="kill_operator").expect(200).json["flags"]
    assert {"key": ACCESS, "stage": stage, "killed": killed["killed"]} in kills
    fresh.mint(listed).expect(403)
    fresh.mint(root).expect(200)
    again = fresh.kill(ACCESS)
    assert (again["killed"], again["version"]) == (killed["killed"], killed["version"])
    restored = fresh.restore(ACCESS)
    assert (restored["killed"], settings(restored)) == (None, settings(before))
    fresh.mint(listed).expect(200 if is_in else 403)
    fresh.mint(Person()).expect(200 if stage in ("percentage", "ga") else 403)


@pytest.mark.parametrize("who", ["viewer", "auditor", "service", "nobody", "bearer"])
def test_r14_kill_without_permission_changes_nothing(fresh: Gate, who: str, alice: Person) -> None:
    fresh.stage(ACCESS, "ga")
    before, revision = fresh.flag(ACCESS), fresh.revision()
    path, body = f"/admin/v1/flags/{ACCESS}/kill", {"reason": REASON}
    if who in ("nobody", "bearer"):
        token = fresh.access_token(alice) if who == "bearer" else None
        answer = fresh.call("POST", path, token=token, body=body)
    else:
        answer = fresh.signed("POST", path, body, role=who)
    answer.expect(403)
    assert (fresh.flag(ACCESS), fresh.revision()) == (before, revision)
    fresh.mint(alice).expect(200)


def test_r15_kill_denies_all_access_to_non_admins(fresh: Gate, alice: Person) -> None:
    """Exchange, entry routes with an earlier token, and evaluate, for the flag and all of its sub-features."""
    for key in (ACCESS, *SUB_FEATURES):
        fresh.stage(key, "ga")
    token = fresh.access_token(alice)
    town = fresh.town(alice, token)
    own, about = fresh.evaluation_token(alice), {"targetingKey": alice.user}
    fresh.settled()
    flags = verdicts(fresh.evaluate_all(own, about))
    assert [flags[key] for key in (ACCESS, *SUB_FEATURES)] == [True, True, "pr", True, True]
    fresh.kill(ACCESS)
    fresh.mint(alice).expect(403)
    for path in ("rigs", "convoys", "molecules"):
        assert is_refused_at_the_gate(fresh.call("POST", f"/api/towns/{town}/{path}", token=token, body={}))
    for procedure in ("createTown", "createRig", "sling", "startConvoy"):
        assert is_refused_at_the_gate(fresh.call("POST", f"/trpc/gastown.{procedure}", token=token, body={}))
    off = [False, False, "direct", False, False]
    until(
        lambda: verdicts(fresh.evaluate_all(own, about)),
        lambda seen: [seen[key] for key in (ACCESS, *SUB_FEATURES)] == off,
        within=6,
    )
    single = fresh.evaluate(ACCESS, own, about).expect(200).json
    assert (single["reason"], single["metadata"]["reason"]) == ("DISABLED", "KILLED")


def test_r16_running_work_continues_after_a_kill(fresh: Gate, alice: Person) -> None:
    """An earlier session works, each kind of token renews it, and its work can be stopped.

    PTY and stream routes are classified in the manifest and not served by the example service.
    """
    fresh.stage(ACCESS, "ga")
    token = fresh.access_token(alice)
    town = fresh.town(alice, token)
    fresh.call("POST", f"/api/towns/{town}/container", token=token, body={}).expect(201)
    session = fresh.session_token(token, f"town:{town}")
    killed = fresh.kill(ACCESS)
    inside = killed["sessions_inside"]
    assert inside is None or inside >= 1  # None: a busy machine does not count within 0.3 s
    assert (killed["last_leaves_at"] is None) is (inside is None)
    fresh.mint(alice).expect(403)
    for _ in range(2):
        for deed in ("heartbeat", "mail", "done"):
            fresh.call("POST", f"/api/towns/{town}/agents/agent-1/{deed}", token=session, body={}).expect(200)
        for credential in (session, token):
            status = fresh.call("GET", f"/api/towns/{town}/status", token=credential).expect(200)
            assert status.json["container"]["state"] == "running"
            fresh.call("PATCH", f"/api/towns/{town}/config", token=credential, body={}).expect(200)
            fresh.call("POST", f"/api/towns/{town}/container", token=credential, body={}).expect(200)
        by_identity = fresh.session(fresh.id_token(alice), f"town:{town}", ID_TOKEN).expect(200)
        fresh.session(token, f"town:{town}", ACCESS_TOKEN).expect(200)
        session = fresh.session(session, f"town:{town}", ACCESS_TOKEN).expect(200).json["access_token"]
        assert by_identity.json["scope"] == "session"
    fresh.session(token, "town:another", ACCESS_TOKEN).expect(403)  # a new session is new access
    fresh.call("DELETE", f"/api/towns/{town}/container", token=session).expect(200)
    fresh.call("DELETE", f"/api/towns/{town}", token=token).expect(200)


def test_r17_every_route_enforces_its_class(fresh: Gate, alice: Person) -> None:
    """All served routes and all procedures of the manifest, with tokens from before the kill."""
    alice = Person(alice.user, orgs=(f"org-{alice.user}",))
    fresh.stage(ACCESS, "ga")
    fresh.stage("gastown-convoys", "ga")
    listed = fresh.signed("GET", "/admin/v1/routes").expect(200).json["routes"]
    token = fresh.access_token(alice)
    served = [policy for policy in listed if "route" in policy and not _is_unserved(fresh, policy, token)]
    assert len(served) == 16
    expected: list[tuple[str, bool]] = []
    seen: list[tuple[str, bool]] = []
    town = fresh.town(alice, token)
    fresh.call("POST", f"/api/towns/{town}/container", token=token, body={}).expect(201)
    session = fresh.session_token(token, f"town:{town}")
    fresh.kill(ACCESS)
    for policy in sorted(served, key=_deletes_last):
        name, kind = policy["route"], policy["class"]
        answer = _request(fresh, policy, alice, town, session if kind == "machine" else token)
        starts = kind == "entry" or name == "POST /api/towns/{town}/agents/{agent}/convoys"
        expected.append((name, starts))
        seen.append((name, is_refused_at_the_gate(answer)))
        assert starts or answer.status == 200, (name, answer)
    for policy in (policy for policy in listed if "procedure" in policy):
        name, kind = policy["procedure"], policy["class"]
        answer = fresh.call("POST", f"/trpc/{name}", token=token, body={})
        expected.append((name, kind in ("entry", "admin", "machine")))
        seen.append((name, is_refused_at_the_gate(answer)))
        assert answer.status in (200, 400, 403, 404, 501), (name, answer)
    assert seen == expected
    assert len(expected) == len(served) + 65


def test_r17_unlisted_route_counts_as_entry(fresh: Gate, alice: Person) -> None:
    """An unlisted procedure, and a route that is removed from the list."""
    fresh.stage(ACCESS, "ga")
    token = fresh.access_token(alice)
    held = fresh.signed("GET", "/admin/v1/routes").expect(200)
    fewer = [policy for policy in held.json["routes"] if policy.get("route") != "GET /api/towns"]
    _put_routes(fresh, fewer)
    try:
        unheard = fresh.call("POST", "/trpc/gastown.unheardOf", token=token, body={})
        assert (unheard.status, unheard.json["error"]["data"]["code"]) == (404, "NOT_FOUND")
        fresh.call("GET", "/api/towns", token=token).expect(200)
        fresh.kill(ACCESS)
        assert is_refused_at_the_gate(fresh.call("POST", "/trpc/gastown.unheardOf", token=token, body={}))
        assert is_refused_at_the_gate(fresh.call("GET", "/api/towns", token=token))
    finally:
        _put_routes(fresh, held.json["routes"])
    fresh.call("GET", f"/api/towns/{Person().user}", token=token).expect(404)
    until(lambda: fresh.call("GET", "/api/towns", token=token).status, lambda status: status == 200, within=6)


def _is_unserved(gate: Gate, policy: Mapping[str, Any], token: str) -> bool:
    answer = _request(gate, policy, Person("nobody"), "no-town", token)
    return answer.status == 404 and answer.json == {"message": "Not Found"}


def _request(gate: Gate, policy: Mapping[str, Any], person: Person, town: str, token: str) -> Answer:
    method, _, path = policy["route"].partition(" ")
    org = person.orgs[0] if person.orgs else "no-org"
    for name, value in {"user": person.user, "org": org, "town": town}.items():
        path = path.replace(f"{{{name}}}", value)
    path = path.replace("{", "").replace("}", "")
    return gate.call(method, path, token=token, body=None if method in ("GET", "DELETE") else {})


def _deletes_last(policy: Mapping[str, Any]) -> tuple[bool, int]:
    method, _, path = policy["route"].partition(" ")
    return method == "DELETE", -len(path)


def _put_routes(gate: Gate, routes: list[dict[str, Any]]) -> None:
    version = gate.signed("GET", "/admin/v1/routes").expect(200).json["version"]
    body = {"routes": routes, "reason": REASON, "allow_shrink": True, "allow_open": True}
    gate.change("PUT", "/admin/v1/routes", body, version=version).expect(200)
