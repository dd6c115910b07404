"""The kill under load: what it promises from the moment its answer arrives, and what it leaves alone."""

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from hammer import Call, Hammer, Shot, now
from live_gate import ACCESS_TOKEN, ID_TOKEN, Gate, Reply, bearer, expect, granted, later, within

from headgate_cli.local.stack import running_stack

pytestmark = pytest.mark.system

ACCESS, CONVOYS, MULTI_RIG = "gastown-access", "gastown-convoys", "gastown-multi-rig"
SOFT = 6.0
"""Seconds: the soft TTL is at most 5."""
BATCH = "/trpc/gastown.startBead,gastown.sling"
"""Two `entry` procedures that the reference worker only names: it answers 501 once the gate has let them in."""


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    with running_stack() as stack:
        yield Gate(stack)


@pytest.fixture(autouse=True)
def open_to_all(gate: Gate) -> None:
    """Access and convoys at GA and alive, before each test."""
    for key in (ACCESS, CONVOYS):
        flag = gate.flag(key)
        if flag["killed"]:
            expect(200, gate.restore(key))
        if flag["stage"] != "ga":
            gate.put_stage(key, "ga")


def is_granted(reply: Reply) -> bool:
    """Let in: whatever the worker then said, the gate did not refuse."""
    return reply.status not in (401, 403, 503)


def make_town(gate: Gate, user: str, token: str) -> str:
    reply = gate.post(f"/api/users/{quote(user)}/towns", token, {"name": "a town"})
    return str(expect(201, reply).json["id"])


def make_session(gate: Gate, user: str, *, admin: bool = False) -> tuple[str, str, str]:
    """A town, an access token, and the token of the town's session."""
    token = gate.token(user, **({"admin": "true"} if admin else {}))
    town = make_town(gate, user, token)
    return town, token, granted(gate.session(token, f"town:{town}"))


def heartbeat(gate: Gate, town: str, session: str) -> Reply:
    return gate.post(f"/api/towns/{town}/agents/agent-1/heartbeat", session, {})


# -- under load


def eager_client(gate: Gate, user: str) -> list[tuple[str, Call]]:
    """A non-admin who wants in by every door, with a token from before."""
    identity, token = gate.id_token(user), gate.token(user)
    return [
        ("mint", lambda: gate.exchange(identity)),
        ("batch", lambda: gate.post(BATCH, token, {})),
        ("batch", lambda: gate.post(BATCH, token, {})),
        ("mint", lambda: gate.exchange(identity)),
        ("session", lambda: gate.session(token, f"new:{user}")),
        ("town", lambda: gate.post(f"/api/users/{user}/towns", token, {})),
    ]


def steady_client(gate: Gate, user: str) -> list[tuple[str, Call]]:
    """Work that was let in before: it beats, and renews its session."""
    town, _, session = make_session(gate, user)
    return [
        ("beat", lambda: heartbeat(gate, town, session)),
        ("beat", lambda: heartbeat(gate, town, session)),
        ("renew", lambda: gate.session(session, f"town:{town}", by=ACCESS_TOKEN)),
    ]


def admin_client(gate: Gate, user: str) -> list[tuple[str, Call]]:
    identity, token = gate.id_token(user, admin="true"), gate.token(user, admin="true")
    return [
        ("admin mint", lambda: gate.exchange(identity)),
        ("admin batch", lambda: gate.post(BATCH, token, {})),
    ]


DOORS = ("mint", "batch", "session", "town")


def test_no_stale_grant_while_clients_hammer(gate: Gate) -> None:
    """Five kills in one run: not one grant to a non-admin by a call that began after the kill's answer came."""
    clients = [eager_client(gate, f"eager-{index}") for index in range(8)]
    clients += [steady_client(gate, f"steady-{index}") for index in range(2)] + [admin_client(gate, "root")]
    totals: Counter[str] = Counter()
    with Hammer(clients) as hammer:
        for who in ("kill_operator", "admin", "kill_operator", "admin", "kill_operator"):
            begin = now()
            hammer.wait(30, "batch", since=begin)
            kill = expect(200, gate.kill(ACCESS, who=who))
            hammer.wait(60, "batch", since=kill.ended)
            restore = expect(200, gate.restore(ACCESS))
            tell(totals, "open", hammer.between(begin, kill.began))
            tell(totals, "killed", hammer.between(kill.ended, restore.began))
            again = now()
            hammer.wait(30, "batch", since=again)
            tell(totals, "restored", hammer.between(again, now()))
            totals["kills"] += 1
        shots = hammer.shots
    print(dict(sorted(totals.items())))

    assert totals["kills"] == 5
    for door in DOORS:
        assert totals[f"killed {door} granted"] == 0
        assert totals[f"killed {door} refused"] > 0
        assert totals[f"open {door} refused"] == 0
        assert totals[f"restored {door} refused"] == 0
    passing = [shot for shot in shots if shot.name in ("beat", "renew", "admin mint", "admin batch")]
    assert [shot for shot in passing if not is_granted(shot.reply)] == []
    assert min(Counter(shot.name for shot in passing).values()) > 20
    assert {shot.reply.status for shot in shots} <= {200, 201, 403, 501}


def tell(totals: Counter[str], phase: str, shots: list[Shot]) -> None:
    for shot in shots:
        totals[f"{phase} {shot.name} {'granted' if is_granted(shot.reply) else 'refused'}"] += 1


# -- one at a time


def test_every_door_is_shut_at_once_and_opens_again_as_it_was(gate: Gate) -> None:
    user = "walker"
    town, token, _ = make_session(gate, user)
    before = gate.flag(ACCESS)
    kill = expect(200, gate.kill(ACCESS, who="kill_operator"))
    assert kill.json["sessions_inside"] >= 1
    assert kill.json["last_leaves_at"]

    denied = gate.exchange(gate.id_token(user))
    assert (denied.status, denied.json["error"]) == (403, "access_denied")
    assert "access_token" not in denied.json
    assert int(denied.headers["x-headgate-revision"]) >= kill.json["revision"]
    for path in (f"/api/users/{user}/towns", f"/api/towns/{town}/rigs", f"/api/towns/{town}/convoys", BATCH):
        assert gate.post(path, token, {}).status == 403
    assert gate.exchange(gate.id_token("root", admin="true")).status == 200
    evaluation = gate.evaluation(user)
    found, took = within(
        SOFT, lambda: gate.evaluate(evaluation, ACCESS), lambda r: r.json["metadata"]["reason"] == "KILLED"
    )
    print(f"evaluate says so after {took:.2f} s")
    assert (found.json["value"], found.json["reason"]) == (False, "DISABLED")
    assert gate.evaluate(evaluation, CONVOYS).json["metadata"]["reason"] == "PREREQUISITE_FAILED"

    restored = expect(200, gate.restore(ACCESS)).json
    server = ("version", "revision", "updated_at", "updated_by")
    assert {k: v for k, v in restored.items() if k not in server} == {k: v for k, v in before.items() if k not in server}
    assert gate.exchange(gate.id_token(user)).status == 200
    assert gate.post(f"/api/towns/{town}/rigs", token, {}).status == 201


def test_a_killed_user_watches_and_stops_own_work(gate: Gate) -> None:
    user = "watcher"
    town, token, session = make_session(gate, user)
    expect(200, gate.kill(ACCESS))
    assert gate.send("GET", f"/api/towns/{town}/status", headers=bearer(token)).status == 200
    assert heartbeat(gate, town, session).status == 200
    renewed = granted(gate.session(gate.id_token(user), f"town:{town}", by=ID_TOKEN))
    assert heartbeat(gate, town, renewed).status == 200
    assert gate.session(token, "town:another").status == 403
    assert gate.send("DELETE", f"/api/towns/{town}/container", headers=bearer(renewed)).status == 200


def test_a_sub_feature_falls_alone(gate: Gate) -> None:
    user = "builder"
    town, token, session = make_session(gate, user)
    sling = f"/api/towns/{town}/agents/agent-1/convoys"
    assert gate.post(f"/api/towns/{town}/convoys", token, {}).status == 201
    assert gate.post(sling, session, {}).status == 201

    kill = expect(200, gate.kill(CONVOYS, who="kill_operator"))
    assert kill.json["sessions_inside"] is None  # sessions hang on the access flag only
    assert gate.post(f"/api/towns/{town}/convoys", token, {}).status == 403
    assert gate.post(sling, session, {}).status == 403  # decided live for the session's subject
    assert gate.post("/trpc/gastown.sling,gastown.startConvoy", token, {}).status == 403
    assert gate.post(f"/api/towns/{town}/rigs", token, {}).status == 201
    assert gate.post(BATCH, token, {}).status == 501
    assert heartbeat(gate, town, session).status == 200
    minted = gate.exchange(gate.id_token(user))
    assert minted.status == 200

    expect(200, gate.restore(CONVOYS))
    assert gate.post(sling, session, {}).status == 201


def test_a_parents_kill_takes_its_sub_features_along_on_machine_routes_too(gate: Gate) -> None:
    town, _, session = make_session(gate, "slinger")
    sling = f"/api/towns/{town}/agents/agent-1/convoys"
    assert gate.post(sling, session, {}).status == 201
    expect(200, gate.kill(ACCESS))
    assert gate.post(sling, session, {}).status == 403
    assert heartbeat(gate, town, session).status == 200


def test_killed_while_killed_is_on_record_and_changes_nothing(gate: Gate) -> None:
    first = expect(200, gate.kill(ACCESS, reason="the first reason")).json
    again = expect(200, gate.kill(ACCESS, reason="the second reason", who="kill_operator")).json
    assert again["version"] == first["version"]
    assert again["killed"] == first["killed"]
    entry = gate.admin("GET", "/audit?limit=1").json["entries"][0]
    assert (entry["action"], entry["reason"]) == ("flag.kill", "the second reason")
    assert entry["before"] == entry["after"]
    assert entry["revision"] == gate.head()[0]


@pytest.mark.parametrize(
    "headers",
    [{"if-match": '"99999"'}, {"if-match": "*"}, {"if-match": "nonsense"}, {"idempotency-key": ""}, {"x": "y"}],
    ids=["stale", "any", "garbage", "no key", "none"],
)
def test_a_kill_asks_for_no_precondition_and_no_key(gate: Gate, headers: dict[str, str]) -> None:
    reply = gate.admin("POST", f"/flags/{ACCESS}/kill", {"reason": "now"}, headers, who="kill_operator")
    assert reply.status == 200
    assert reply.json["killed"]["reason"] == "now"


def test_one_key_for_two_kills_is_no_obstacle(gate: Gate) -> None:
    key = {"idempotency-key": "the-same-key"}
    assert gate.admin("POST", f"/flags/{CONVOYS}/kill", {"reason": "one"}, key).status == 200
    expect(200, gate.restore(CONVOYS))
    assert gate.admin("POST", f"/flags/{CONVOYS}/kill", {"reason": "two"}, key).status == 200
    assert gate.exchange(gate.id_token("someone")).status == 200
    assert gate.flag(CONVOYS)["killed"]["reason"] == "two"


def test_reach_only_rises(gate: Gate) -> None:
    noon = "2099-06-01T12:00:00Z"
    rows = [
        ({"reach": "gate"}, "gate", None),
        ({"reach": "drain", "drain_until": noon}, "drain", noon),
        ({"reach": "gate"}, "drain", noon),
        ({"reach": "drain", "drain_until": "2099-06-01T12:00:01Z"}, "drain", noon),  # later
        ({"reach": "drain", "drain_until": "2099-06-01T09:30:00-05:00"}, "drain", noon),  # later, though it sorts first
        ({"reach": "drain", "drain_until": "2099-06-01T13:30:00+02:00"}, "drain", "2099-06-01T11:30:00Z"),  # sooner
        ({"reach": "sever"}, "sever", None),
        ({"reach": "drain", "drain_until": noon}, "sever", None),
        ({"reach": "gate"}, "sever", None),
    ]
    for body, reach, until in rows:
        killed = expect(200, gate.kill(ACCESS, **body)).json["killed"]
        assert killed["reach"] == reach, body
        assert moment(killed.get("drain_until")) == moment(until), body
    health = gate.admin("GET", "/health").json
    assert health["killed_flags"][ACCESS] == "sever"


def moment(text: str | None) -> float | None:
    from datetime import datetime

    return None if text is None else datetime.fromisoformat(text).timestamp()


# -- reach


def test_sever_ends_sessions_and_their_renewal(gate: Gate) -> None:
    town, token, session = make_session(gate, "severed")
    admin_town, _, admin_session = make_session(gate, "severed-root", admin=True)
    assert heartbeat(gate, town, session).status == 200
    expect(200, gate.kill(ACCESS, reach="sever"))
    _, took = within(SOFT, lambda: heartbeat(gate, town, session), lambda r: r.status == 403)
    print(f"sessions refused after {took:.2f} s")
    assert heartbeat(gate, admin_town, admin_session).status == 403
    for proof, by in ((session, ACCESS_TOKEN), (token, ACCESS_TOKEN), (gate.id_token("severed"), ID_TOKEN)):
        refused, _ = within(
            SOFT, lambda p=proof, b=by: gate.session(p, f"town:{town}", by=b), lambda r: r.status != 200
        )
        assert (refused.status, refused.json["error"]) == (403, "access_denied")
    # with an access token its owner still sees and stops it
    assert gate.send("GET", f"/api/towns/{town}/status", headers=bearer(token)).status == 200
    assert gate.send("DELETE", f"/api/towns/{town}/container", headers=bearer(token)).status == 200

    expect(200, gate.restore(ACCESS))
    within(SOFT, lambda: heartbeat(gate, town, session), lambda r: r.status == 200)
    within(SOFT, lambda: gate.session(session, f"town:{town}"), lambda r: r.status == 200)


def test_drain_lets_sessions_run_until_its_time(gate: Gate) -> None:
    town, token, session = make_session(gate, "drained")
    until = later(8)
    kill = expect(200, gate.kill(ACCESS, reach="drain", drain_until=until))
    end = kill.began + 8
    assert moment(kill.json["last_leaves_at"]) == pytest.approx(moment(until), abs=1)
    renewals = within(SOFT, lambda: gate.session(session, f"town:{town}"), lambda r: r.json["expires_in"] <= 8)
    short = granted(renewals[0])
    shots = beats_until_refused(gate, town, session, seconds=8 + SOFT)
    early = [shot for shot in shots if shot.ended < end]
    assert early
    assert {shot.status for shot in early} == {200}
    print(f"{len(early)} beats before, refused {shots[-1].began - end:.2f} s after the time given")
    assert shots[-1].ended - end < 3
    assert gate.session(session, f"town:{town}").status == 403
    assert gate.session(token, "town:new").status == 403

    expect(200, gate.restore(ACCESS))
    within(SOFT, lambda: heartbeat(gate, town, session), lambda r: r.status == 200)
    assert heartbeat(gate, town, short).status == 403  # it was made to end with the drain, and has


def beats_until_refused(gate: Gate, town: str, session: str, *, seconds: float) -> list[Reply]:
    shots: list[Reply] = []

    def beat() -> Reply:
        shots.append(heartbeat(gate, town, session))
        return shots[-1]

    within(seconds, beat, lambda reply: reply.status == 403)
    return shots


def test_kills_of_any_state_are_kills(gate: Gate) -> None:
    """Each stage, with and without lists and rules; a flag that is not there is 404."""
    rules = [{"clauses": [{"attribute": "plan", "op": "equals", "value": "pro"}]}]
    allow = {"users": ["listed"], "orgs": ["org-1"], "rules": rules}
    numbers = count()
    for stage in ("admin_only", "allowlist", "percentage", "ga"):
        for listed in ({}, {"allow": allow}):
            for unit in ("user", "org", "org_or_user"):
                key = f"state-{next(numbers)}"
                document = {"stage": stage, "percent": 100, "unit": unit, "reason": "a test", **listed}
                expect(201, gate.admin("PUT", f"/flags/{key}", document, {"if-none-match": "*"}))
                expect(200, gate.kill(key, who="kill_operator"))
                for subject in ({"user": "listed", "orgs": ["org-1"]}, {"user": "x", "attributes": {"plan": "pro"}}):
                    told = gate.admin("POST", "/explain", {"flag": key, "subject": subject}).json
                    assert (told["value"], told["reason"]) == (False, "KILLED"), (stage, listed, unit)
                told = gate.admin("POST", "/explain", {"flag": key, "subject": {"user": "root", "admin": True}}).json
                assert told["value"] is True
    head = gate.head()
    assert gate.kill("never-made").status == 404
    assert gate.admin("POST", "/flags/never-made/restore", {"reason": "x"}).status == 404
    assert gate.head() == head
