"""Reach of a kill: one sub-feature or all, new access only or sessions too, repeated, and on a flag in any state."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from killing import ACCESS, BATCH, CONVOYS, heartbeat, kill, make_session, open_all, post, restore
from running_gate import Answer, Gate, Person, until
from running_gate.gate import ID_TOKEN, SETTLED_WITHIN, settings

pytestmark = pytest.mark.own_stack  # makes several hundred changes

NOON = "2099-06-01T12:00:00.000Z"
HALF_PAST_ELEVEN = "2099-06-01T11:30:00.000Z"


@pytest.fixture
def opened(fresh: Gate) -> Gate:
    """Access and convoys at GA."""
    open_all(fresh)
    return fresh


def test_killing_a_sub_feature_leaves_access_and_other_features_on(opened: Gate, alice: Person) -> None:
    town, token, session = make_session(opened, alice)
    sling = f"/api/towns/{town}/agents/agent-1/convoys"
    post(opened, f"/api/towns/{town}/convoys", token).expect(201)
    post(opened, sling, session).expect(201)

    assert kill(opened, CONVOYS).json["sessions_inside"] is None  # sessions depend on the access flag only
    post(opened, f"/api/towns/{town}/convoys", token).expect(403)
    post(opened, sling, session).expect(403)  # decided live for the session's subject
    post(opened, "/trpc/gastown.sling,gastown.startConvoy", token).expect(403)
    post(opened, BATCH, token).expect(501)
    post(opened, f"/api/towns/{town}/rigs", token).expect(201)
    heartbeat(opened, town, session).expect(200)
    opened.mint(alice).expect(200)

    restore(opened, CONVOYS)
    post(opened, sling, session).expect(201)


def test_killing_a_parent_turns_its_sub_features_off(opened: Gate, alice: Person) -> None:
    """Also on a machine route that names only the sub-feature. Admins keep it through their token."""
    town, _, session = make_session(opened, alice)
    sling = f"/api/towns/{town}/agents/agent-1/convoys"
    admins_town, _, admins_session = make_session(opened, Person(admin=True))
    post(opened, sling, session).expect(201)
    kill(opened, ACCESS)
    post(opened, sling, session).expect(403)
    heartbeat(opened, town, session).expect(200)
    post(opened, f"/api/towns/{admins_town}/agents/agent-1/convoys", admins_session).expect(201)
    assert opened.explain(CONVOYS, alice)["reason"] == "PREREQUISITE_FAILED"


def test_repeated_kill_is_audited_and_changes_nothing(opened: Gate) -> None:
    first = kill(opened, ACCESS, reason="the first reason").json
    again = kill(opened, ACCESS, reason="the second reason", role="admin").json
    assert (again["version"], again["killed"]) == (first["version"], first["killed"])
    (entry,) = opened.audit(after=opened.revision() - 1)
    assert (entry["action"], entry["reason"]) == ("flag.kill", "the second reason")
    assert entry["before"] == entry["after"]


@pytest.mark.parametrize(
    "headers",
    [{"if-match": '"99999"'}, {"if-match": "*"}, {"if-match": "nonsense"}, {"idempotency-key": "bad key"}],
    ids=["stale", "any", "garbage", "bad key"],
)
def test_kill_needs_no_precondition_and_no_idempotency_key(opened: Gate, headers: dict[str, str]) -> None:
    path, body = f"/admin/v1/flags/{ACCESS}/kill", {"reason": "now"}
    reply = opened.signed("POST", path, body, role="kill_operator", headers=headers).expect(200)
    assert reply.json["killed"]["reason"] == "now"


def test_two_kills_may_share_an_idempotency_key(opened: Gate, alice: Person) -> None:
    path, key = f"/admin/v1/flags/{ACCESS}/kill", {"idempotency-key": "the-same-key"}
    opened.signed("POST", path, {"reason": "one"}, headers=key).expect(200)
    restore(opened)
    opened.mint(alice).expect(200)
    opened.signed("POST", path, {"reason": "two"}, headers=key).expect(200)
    opened.mint(alice).expect(403)


def test_reach_of_a_killed_flag_only_rises(opened: Gate) -> None:
    """A later drain time is ignored; the earlier one stays. Times are compared as instants, whatever their offset."""
    rows: list[tuple[dict[str, str], str, str | None]] = [
        ({"reach": "gate"}, "gate", None),
        ({"reach": "drain", "drain_until": NOON}, "drain", NOON),
        ({"reach": "gate"}, "drain", NOON),
        ({"reach": "drain", "drain_until": "2099-06-01T12:00:01Z"}, "drain", NOON),
        ({"reach": "drain", "drain_until": "2099-06-01T09:30:00-05:00"}, "drain", NOON),
        ({"reach": "drain", "drain_until": "2099-06-01T13:30:00+02:00"}, "drain", HALF_PAST_ELEVEN),
        ({"reach": "sever"}, "sever", None),
        ({"reach": "drain", "drain_until": NOON}, "sever", None),
        ({"reach": "gate"}, "sever", None),
    ]
    for body, reach, drained in rows:
        killed = kill(opened, ACCESS, **body).json["killed"]
        assert (killed["reach"], killed.get("drain_until")) == (reach, drained), body
    assert opened.signed("GET", "/admin/v1/health").json["killed_flags"][ACCESS] == "sever"


def test_sever_ends_sessions_and_refuses_renewal(opened: Gate, alice: Person) -> None:
    town, token, session = make_session(opened, alice)
    admins_town, _, admins_session = make_session(opened, Person(admin=True))
    heartbeat(opened, town, session).expect(200)
    kill(opened, ACCESS, reach="sever")
    until(lambda: heartbeat(opened, town, session), has(403), within=SETTLED_WITHIN)
    heartbeat(opened, admins_town, admins_session).expect(403)
    refused = until(lambda: opened.session(session, f"town:{town}"), has(403), within=SETTLED_WITHIN)
    assert refused.json["error"] == "access_denied"
    opened.session(token, f"town:{town}").expect(403)
    opened.session(opened.id_token(alice), f"town:{town}", ID_TOKEN).expect(403)
    # with an access token, the owner can still see and stop it
    opened.call("GET", f"/api/towns/{town}/status", token=token).expect(200)
    opened.call("DELETE", f"/api/towns/{town}/container", token=token).expect(200)

    restore(opened)
    until(lambda: heartbeat(opened, town, session), has(200), within=SETTLED_WITHIN)
    until(lambda: opened.session(session, f"town:{town}"), has(200), within=SETTLED_WITHIN)


def test_drain_keeps_sessions_until_its_time(opened: Gate, alice: Person) -> None:
    town, token, session = make_session(opened, alice)
    end = datetime.now(UTC) + timedelta(seconds=8)
    last = kill(opened, ACCESS, reach="drain", drain_until=end.isoformat()).json["last_leaves_at"]
    assert last is None or datetime.fromisoformat(last) <= end  # None: a busy machine does not count within 0.3 s
    short = until(lambda: opened.session(session, f"town:{town}").expect(200), ends_soon, within=6.0)
    beats: list[tuple[datetime, int]] = []

    def beat() -> Answer:
        answer = heartbeat(opened, town, session)
        beats.append((datetime.now(UTC), answer.status))
        return answer

    until(beat, has(403), within=8 + SETTLED_WITHIN)
    before = [status for at, status in beats if at < end]
    assert before
    assert set(before) == {200}
    late = (beats[-1][0] - end).total_seconds()
    print(f"{len(before)} heartbeats before the drain time; refused {late:.2f} s after it")
    assert late < 3
    opened.session(session, f"town:{town}").expect(403)
    opened.session(token, f"town:{town}").expect(403)

    restore(opened)
    until(lambda: heartbeat(opened, town, session), has(200), within=SETTLED_WITHIN)
    heartbeat(opened, town, short.json["access_token"]).expect(403)  # it was issued to expire with the drain, and has


def has(status: int) -> Any:
    """Whether an answer has this status."""
    return lambda answer: answer.status == status


def ends_soon(answer: Answer) -> bool:
    """Whether a session token expires before the usual hour."""
    return bool(answer.json["expires_in"] <= 8)


LISTED = {
    "users": ["listed"],
    "orgs": ["org-1"],
    "rules": [{"clauses": [{"attribute": "plan", "op": "equals", "value": "pro"}]}],
}
ASKING = (
    Person("listed"),
    Person("member", orgs=("org-1",)),
    Person("by-rule", attributes=(("plan", "pro"),)),
    Person("nobody"),
)
STAGES = (
    ("admin_only", "user"),
    ("allowlist", "org"),
    ("percentage", "user"),
    ("percentage", "org"),
    ("percentage", "org_or_user"),
    ("ga", "user"),
)
STATES = tuple(product(STAGES, ({}, LISTED)))


def test_flag_in_any_state_can_be_killed_and_restored(gate: Gate) -> None:
    """12 states: every stage and unit, with and without lists and rules. Killed, only admins pass; restore is exact."""
    for (stage, unit), allow in STATES:
        flag = gate.have("state-to-kill", stage=stage, unit=unit, percent=100, allow=allow)
        before = [gate.explain(flag["key"], person)["value"] for person in ASKING]
        kill(gate, flag["key"])
        explained = [gate.explain(flag["key"], person) for person in ASKING]
        assert [(one["value"], one["reason"]) for one in explained] == [(False, "KILLED")] * len(ASKING), (stage, unit)
        assert gate.explain(flag["key"], Person(admin=True))["value"] is True
        assert settings(restore(gate, flag["key"]).json) == settings(flag)
        assert [gate.explain(flag["key"], person)["value"] for person in ASKING] == before


@pytest.mark.parametrize("call", ["kill", "restore"])
def test_unknown_flag_cannot_be_killed_or_restored(gate: Gate, call: str) -> None:
    revision = gate.revision()
    answer = gate.change("POST", f"/admin/v1/flags/never-made/{call}", {"reason": "a test"})
    assert (answer.status, answer.slug) == (404, "unknown-flag")
    assert gate.revision() == revision
