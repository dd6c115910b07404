"""Every credential that an admin can get, for use at the wrong endpoint."""

from dataclasses import dataclass, field

from exact_http import ExactHttp
from running_gate import Answer, Gate, Person

from headgate_cli.local.stack import Stack

KEY = "bad-tokens"


@dataclass(frozen=True)
class Door:
    """A client, an admin who is admitted at every stage, and all of the admin's credentials."""

    gate: Gate
    person: Person
    identity: str = field(repr=False)
    access: str = field(repr=False)
    evaluation: str = field(repr=False)
    session: str = field(repr=False)
    service: str = field(repr=False)


def open_door(stack: Stack) -> Door:
    """An admin with one credential of each type."""
    gate, person = Gate(stack.ready, ExactHttp()), Person(orgs=("org-1",), admin=True)
    gate.have(KEY, stage="ga")
    gate.settled()
    access = gate.access_token(person)
    return Door(
        gate=gate,
        person=person,
        identity=gate.id_token(person),
        access=access,
        evaluation=gate.evaluation_token(person),
        session=gate.session_token(access, "town:bad-tokens"),
        service=gate.service_token(),
    )


def gateways(answer: Answer, status: int) -> bool:
    """Whether the refusal is API Gateway's own, without a call of the function."""
    return answer.status == status and answer.json == {"message": {401: "Unauthorized", 403: "Forbidden"}[status]}


def refused(answer: Answer, status: int, error: str) -> Answer:
    """The answer, if it is this OAuth error: without a token, not cacheable, and repeating nothing of the request."""
    assert (answer.status, answer.json.get("error")) == (status, error), answer.text[:400]
    assert set(answer.json) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    return answer
