"""Steps that the kill tests share, on one running stack."""

from running_gate import Answer, Gate, Person

ACCESS, CONVOYS = "gastown-access", "gastown-convoys"
BATCH = "/trpc/gastown.startBead,gastown.sling"
"""Two `entry` procedures that the example service does not implement: it answers 501 once the gate admits them."""


def is_granted(answer: Answer) -> bool:
    """Whether the gate admitted the request, whatever the worker then answered."""
    return answer.status not in (401, 403, 429, 503)


def open_all(gate: Gate) -> None:
    """Set access and convoys to GA, not killed."""
    for key in (ACCESS, CONVOYS):
        flag = gate.flag(key)
        if flag["killed"]:
            gate.restore(key)
        if flag["stage"] != "ga":
            gate.stage(key, "ga")


def kill(gate: Gate, key: str = ACCESS, *, role: str = "kill_operator", **members: object) -> Answer:
    """Kill, and return the whole answer."""
    body = {"reason": "a test's kill", **members}
    return gate.signed("POST", f"/admin/v1/flags/{key}/kill", body, role=role).expect(200)


def restore(gate: Gate, key: str = ACCESS) -> Answer:
    """Restore, and return the whole answer."""
    return gate.change("POST", f"/admin/v1/flags/{key}/restore", {"reason": "a test's end"}).expect(200)


def make_session(gate: Gate, person: Person) -> tuple[str, str, str]:
    """A town, an access token, and the session token of the town."""
    token = gate.access_token(person)
    town = gate.town(person, token)
    return town, token, gate.session_token(token, f"town:{town}")


def post(gate: Gate, path: str, token: str) -> Answer:
    """POST with an empty body."""
    return gate.call("POST", path, token=token, body={})


def heartbeat(gate: Gate, town: str, session: str) -> Answer:
    """An agent's heartbeat."""
    return post(gate, f"/api/towns/{town}/agents/agent-1/heartbeat", session)
