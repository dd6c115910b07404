"""The gates of the example service: what each sub-feature opens, and what is open without it."""

from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from running_gate import Answer, Gate, Person, is_refused_at_the_gate
from running_gate.gate import in_parallel, verdicts

pytestmark = pytest.mark.own_stack  # creates many towns

ACCESS = "gastown-access"
CONVOYS, PR_MERGE, MULTI_RIG, MOLECULES = (
    "gastown-convoys",
    "gastown-pr-merge",
    "gastown-multi-rig",
    "gastown-molecules",
)
SUB_FEATURES = (CONVOYS, PR_MERGE, MULTI_RIG, MOLECULES)


@pytest.fixture
def opened(fresh: Gate) -> Gate:
    """Everybody has access; the sub-features are at admin_only."""
    fresh.stage(ACCESS, "ga")
    return fresh


def procedures(gate: Gate, token: str, *names: str, inputs: Mapping[str, Any] | None = None) -> Answer:
    """A tRPC call; a batch if there are several names."""
    path = ",".join(f"gastown.{name}" for name in names)
    return gate.call("POST", f"/trpc/{path}", token=token, body=dict(inputs or {}))


def test_r31_sub_features_exist_after_install(gate: Gate, seeded: Mapping[str, Mapping[str, Any]]) -> None:
    assert set(seeded) == {ACCESS, *SUB_FEATURES}
    assert {flag["stage"] for flag in seeded.values()} == {"admin_only"}
    assert all(seeded[key]["requires"] == [ACCESS] for key in SUB_FEATURES)
    assert gate.signed("GET", "/admin/v1/health").expect(200).json["missing_flags"] == []


def test_r19_batch_is_one_decision_per_procedure(opened: Gate, alice: Person) -> None:
    """A denied token is 403, a missing one 401. A batch passes only if all of it does, in any order."""
    opened.call("POST", "/trpc/gastown.listTowns", body={}).expect(401)
    token = opened.access_token(alice)
    both = procedures(opened, token, "listTowns", "createTown").expect(200).json
    assert [set(result) for result in both] == [{"result"}, {"result"}]
    for names in (("listTowns", "startConvoy"), ("startConvoy", "listTowns"), ("listTowns", "adminGetBead")):
        assert is_refused_at_the_gate(procedures(opened, token, *names)), names
    opened.stage(ACCESS, "admin_only")
    procedures(opened, token, "listTowns", "getTown").expect(207)  # the second lacks its input: the gate admitted both
    assert is_refused_at_the_gate(procedures(opened, token, "createTown"))
    for names in (("listTowns", "createTown"), ("createTown", "listTowns"), ("listTowns", "unheardOf")):
        assert is_refused_at_the_gate(procedures(opened, token, *names)), names
    opened.call("GET", "/trpc/gastown.listTowns,gastown.listTowns", token=token).expect(200)
    for path in ("gastown.listTowns,", ",gastown.listTowns", ",".join(["gastown.listTowns"] * 21)):
        assert is_refused_at_the_gate(opened.call("GET", f"/trpc/{path}", token=token)), path


def test_r22_creating_a_town_is_checked_without_a_page(opened: Gate, alice: Person) -> None:
    """A valid token of a subject who is no longer admitted: user form, org form, tRPC."""
    org = f"org-{alice.user}"
    member = Person(alice.user, orgs=(org,))
    token = opened.access_token(member)
    opened.create_town(member, token).expect(201)
    opened.create_town(member, token, org=org).expect(201)
    opened.stage(ACCESS, "admin_only")
    for answer in (
        opened.create_town(member, token),
        opened.create_town(member, token, org=org),
        procedures(opened, token, "createTown"),
        procedures(opened, token, "createOrgTown", inputs={"organizationId": org}),
    ):
        assert is_refused_at_the_gate(answer)
    assert len(opened.call("GET", "/api/towns", token=token).expect(200).json["towns"]) == 2


def test_r22_an_org_that_is_not_let_in_gets_no_town_through_one_that_is(fresh: Gate, alice: Person) -> None:
    """In the path and in the body alike; an org of somebody else, or in other letters, is refused too."""
    listed, other = f"listed-{alice.user}", f"other-{alice.user}"
    member = Person(alice.user, orgs=(listed, other))
    fresh.allow(ACCESS, orgs=[listed])
    fresh.stage(ACCESS, "allowlist")
    token = fresh.access_token(member)
    for org, status in ((listed, 201), (other, 403), (listed.upper(), 403), ("foreign", 403)):
        fresh.create_town(member, token, org=org).expect(status)
        asked = procedures(fresh, token, "createOrgTown", inputs={"organizationId": org})
        assert asked.status == {201: 200}.get(status, status), org
    assert fresh.call("GET", "/api/towns", token=token).expect(200).json["towns"]  # no org is named


def test_r23_no_container_starts_without_the_flag(opened: Gate, alice: Person) -> None:
    """A cold start needs the flag. A running container is left alone and answers as before."""
    token = opened.access_token(alice)
    running, cold = opened.town(alice, token), opened.town(alice, token)
    opened.call("POST", f"/api/towns/{running}/container", token=token, body={}).expect(201)
    opened.stage(ACCESS, "admin_only")
    for town, status in ((running, 200), (cold, 403)):
        answer = opened.call("POST", f"/api/towns/{town}/container", token=token, body={}).expect(status)
        assert not is_refused_at_the_gate(answer)  # the gate admitted it and passed the ask's value on
        procedures(opened, token, "sendMessage", inputs={"townId": town, "message": "hello"}).expect(status)
    opened.stage(ACCESS, "ga")
    opened.call("POST", f"/api/towns/{cold}/container", token=token, body={}).expect(201)


def test_r24_every_combination_of_sub_features_can_be_set(opened: Gate, alice: Person, root: Person) -> None:
    """2^4 combinations, one change between each (a Gray code). With access off, all are off."""
    id_token, admins = opened.id_token(alice), opened.id_token(root)
    on: set[str] = set()
    seen = set()
    for step in range(1, 17):
        entitled = _entitlements(opened.exchange(id_token))
        assert entitled == {ACCESS, *on}
        seen.add(frozenset(entitled))
        flips = SUB_FEATURES[min((step & -step).bit_length() - 1, 3)]
        on ^= {flips}
        opened.stage(flips, "ga" if flips in on else "admin_only")
    assert len(seen) == 16
    for key in SUB_FEATURES:
        opened.stage(key, "ga")
    opened.stage(ACCESS, "admin_only")
    assert [opened.explain(key, alice)["value"] for key in SUB_FEATURES] == [False] * 4
    assert [opened.explain(key, alice)["reason"] for key in SUB_FEATURES] == ["PREREQUISITE_FAILED"] * 4
    assert _entitlements(opened.exchange(admins)) == {ACCESS, *SUB_FEATURES}


def test_r04_stages_of_access_and_features_are_independent(opened: Gate, alice: Person) -> None:
    opened.stage(CONVOYS, "allowlist")
    opened.allow(CONVOYS, users=[alice.user])
    own = opened.evaluation_token(alice)
    opened.settled()
    before = opened.evaluate_all(own).expect(200)
    shown = verdicts(before)
    assert (shown[ACCESS], shown[CONVOYS], shown[MULTI_RIG]) == (True, True, False)
    opened.stage(MULTI_RIG, "percentage", percent=100)
    opened.settled()
    after = opened.evaluate_all(own).expect(200)
    assert _others(after, MULTI_RIG) == _others(before, MULTI_RIG)
    assert verdicts(after)[MULTI_RIG] is True


def test_r25_convoys_are_denied_and_single_slings_are_not(opened: Gate, alice: Person) -> None:
    """Also for a machine with only a session token: the decision is for its subject, the town's owner."""
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    session = opened.session_token(token, f"town:{town}")
    batch = f"/api/towns/{town}/agents/mayor/convoys"
    assert is_refused_at_the_gate(opened.call("POST", f"/api/towns/{town}/convoys", token=token, body={}))
    assert is_refused_at_the_gate(opened.call("POST", batch, token=session, body={}))
    assert is_refused_at_the_gate(procedures(opened, token, "startConvoy", inputs={"townId": town}))
    procedures(opened, token, "sling").expect(501)  # admitted: the example does not implement it
    opened.settled()
    assert verdicts(opened.evaluate_all(token))[CONVOYS] is False
    opened.stage(CONVOYS, "allowlist")
    opened.allow(CONVOYS, users=[alice.user])
    opened.call("POST", f"/api/towns/{town}/convoys", token=token, body={}).expect(201)
    assert opened.call("POST", batch, token=session, body={}).expect(201).json["created_by"] == "mayor"
    procedures(opened, token, "startConvoy", inputs={"townId": town}).expect(200)


def test_r26_merge_by_pull_request_needs_its_flag(opened: Gate, alice: Person) -> None:
    """Off: refused, and `direct` is read. On: accepted. Off again: `direct`, and the stored choice stays `pr`."""
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    config = f"/api/towns/{town}/config"

    def effective(answer: Answer) -> str:
        return str(answer.expect(200).json["merge_strategy"])

    opened.call("PATCH", config, token=token, body={"merge_strategy": "pr"}).expect(403)
    assert effective(opened.call("GET", f"/api/towns/{town}", token=token)) == "direct"
    assert effective(opened.call("PATCH", config, token=token, body={"merge_strategy": "direct"})) == "direct"
    opened.stage(PR_MERGE, "ga")
    assert effective(opened.call("PATCH", config, token=token, body={})) == "direct"  # the stored choice is kept
    assert effective(opened.call("PATCH", config, token=token, body={"merge_strategy": "pr"})) == "pr"
    assert effective(opened.call("GET", f"/api/towns/{town}", token=token)) == "pr"
    opened.kill(PR_MERGE)
    assert effective(opened.call("PATCH", config, token=token, body={})) == "direct"
    opened.call("PATCH", config, token=token, body={"merge_strategy": "pr"}).expect(403)
    opened.restore(PR_MERGE)
    assert effective(opened.call("PATCH", config, token=token, body={})) == "pr"
    assert effective(opened.call("PATCH", config, token=token, body={"merge_strategy": None})) == "direct"


def test_r27_second_rig_needs_its_flag(opened: Gate, alice: Person) -> None:
    """A town with two rigs keeps both. Of two concurrent first rigs, one is first."""
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    rigs = f"/api/towns/{town}/rigs"
    opened.call("POST", rigs, token=token, body={}).expect(201)
    opened.call("POST", rigs, token=token, body={}).expect(403)
    opened.stage(MULTI_RIG, "ga")
    opened.call("POST", rigs, token=token, body={}).expect(201)
    opened.stage(MULTI_RIG, "admin_only")
    opened.call("POST", rigs, token=token, body={}).expect(403)
    held = opened.call("GET", f"/api/towns/{town}/status", token=token).expect(200).json
    assert (held["rig_count"], len(held["rigs"])) == (2, 2)
    raced = opened.town(alice, token)
    answers = in_parallel(lambda _: opened.call("POST", f"/api/towns/{raced}/rigs", token=token, body={}), range(8))
    assert sorted(answer.status for answer in answers) == [201] + [403] * 7


def test_r28_creating_molecules_is_gated(opened: Gate, alice: Person) -> None:
    """`current` and `advance` of a molecule are classified in the manifest (machine) and not served here."""
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    path = f"/api/towns/{town}/molecules"
    assert is_refused_at_the_gate(opened.call("POST", path, token=token, body={}))
    opened.stage(MOLECULES, "ga")
    opened.call("POST", path, token=token, body={}).expect(201)
    opened.kill(MOLECULES)
    assert is_refused_at_the_gate(opened.call("POST", path, token=token, body={}))
    held = opened.call("GET", f"/api/towns/{town}/status", token=token).expect(200).json
    assert len(held["molecules"]) == 1
    listed = {
        policy.get("route"): policy for policy in opened.signed("GET", "/admin/v1/routes").expect(200).json["routes"]
    }
    in_rig = "/api/towns/{town}/rigs/{rig}"
    assert listed[f"GET {in_rig}/agents/{{agent}}/molecule/current"] | {"route": ""} == {
        "route": "",
        "class": "machine",
    }
    assert listed[f"POST {in_rig}/agents/{{agent}}/molecule/advance"] | {"route": ""} == {
        "route": "",
        "class": "machine",
    }


def test_r29_access_at_ga_while_features_stay_staged(opened: Gate, alice: Person) -> None:
    """Killing a sub-feature does not affect access or the other features."""
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    new = {CONVOYS: "convoys", MOLECULES: "molecules"}
    for path in new.values():
        assert is_refused_at_the_gate(opened.call("POST", f"/api/towns/{town}/{path}", token=token, body={}))
    opened.call("PATCH", f"/api/towns/{town}/config", token=token, body={"merge_strategy": "pr"}).expect(403)
    for key in new:
        opened.stage(key, "ga")
    opened.kill(CONVOYS)
    assert is_refused_at_the_gate(opened.call("POST", f"/api/towns/{town}/convoys", token=token, body={}))
    opened.call("POST", f"/api/towns/{town}/molecules", token=token, body={}).expect(201)
    opened.mint(alice).expect(200)
    opened.create_town(alice, token).expect(201)


def _entitlements(minted: Answer) -> set[str]:
    """The flags that are on according to the token."""
    claims = jwt.decode(minted.expect(200).json["access_token"], options={"verify_signature": False})
    return set(claims["entitlements"])


def _others(bulk: Answer, key: str) -> dict[str, Any]:
    return {
        flag["key"]: {**flag, "metadata": flag["metadata"]["reason"]}
        for flag in bulk.json["flags"]
        if flag["key"] != key
    }
