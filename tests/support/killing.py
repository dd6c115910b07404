"""Moves that the tests of the kill share, on one running stack."""

from running_gate import Answer, Gate, Person

ACCESS, CONVOYS = "gastown-access", "gastown-convoys"
BATCH = "/trpc/gastown.startBead,gastown.sling"
"""Two `entry` procedures that the reference worker only names: it answers 501 once the gate has let them in."""


def is_granted(answer: Answer) -> bool:
    """Let in: whatever the worker then said, the gate did not refuse."""
    return answer.status not in (401, 403, 503)


def open_all(gate: Gate) -> None:
    """Access and convoys at GA and alive."""
    for key in (ACCESS, CONVOYS):
        flag = gate.flag(key)
        if flag["killed"]:
            gate.restore(key)
        if flag["stage"] != "ga":
            gate.stage(key, "ga")


def kill(gate: Gate, key: str = ACCESS, *, role: str = "kill_operator", **members: object) -> Answer:
    """The kill with its whole answer."""
    body = {"reason": "a test's kill", **members}
    return gate.signed("POST", f"/admin/v1/flags/{key}/kill", body, role=role).expect(200)


def restore(gate: Gate, key: str = ACCESS) -> Answer:
    """Lifting it, with its whole answer."""
    return gate.change("POST", f"/admin/v1/flags/{key}/restore", {"reason": "a test's end"}).expect(200)


def make_session(gate: Gate, person: Person) -> tuple[str, str, str]:
    """A town, an access token, and the token of the town's session."""
    token = gate.access_token(person)
    town = gate.town(person, token)
    return town, token, gate.session_token(token, f"town:{town}")


def post(gate: Gate, path: str, token: str) -> Answer:
    """POST without a body to speak of."""
    return gate.call("POST", path, token=token, body={})


def heartbeat(gate: Gate, town: str, session: str) -> Answer:
    """An agent lives."""
    return post(gate, f"/api/towns/{town}/agents/agent-1/heartbeat", session)
