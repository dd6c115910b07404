"""examples/workerd-middleware: run on workerd as its README says, then tested with every type of token and a kill."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from example_folder import Example, copied
from node_scripts import need_node
from running_gate import Answer, Gate, Person, until

from headgate_cli.local.stack import Stack, running_stack

ACCESS, CONVOYS = "gastown-access", "gastown-convoys"
ALICE = Person("alice")
Try = Callable[..., Answer]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A fresh install: the reference manifest."""
    need_node()
    with running_stack() as running:
        yield running


@pytest.fixture(scope="module")
def gate(stack: Stack) -> Iterator[Gate]:
    """The client of that stack. Alice has access and no feature."""
    client = Gate(stack.ready)
    client.allow(ACCESS, users=[ALICE.user])
    client.stage(ACCESS, "allowlist")
    client.settled()
    yield client
    client.http.close()


@pytest.fixture(scope="module")
def example(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example, installed by the first command of its README."""
    worker = copied("workerd-middleware", tmp_path_factory.mktemp("examples"), stack)
    install, start = worker.blocks()[0].splitlines()
    assert start == "npm start"
    worker.shell(install)
    return worker


@pytest.fixture(scope="module")
def address(example: Example) -> Iterator[str]:
    """The example's Worker, started by the second command."""
    with example.serving() as listening:
        yield listening


@pytest.fixture(scope="module")
def worker(gate: Gate, address: str) -> Try:
    """One request to the Worker."""
    return lambda method, path, token=None, **more: _send(gate, address, method, path, token, **more)


@pytest.fixture(scope="module")
def access(gate: Gate) -> str:
    """Alice's access token."""
    return gate.access_token(ALICE)


@pytest.fixture(scope="module")
def refused_tokens(gate: Gate, access: str) -> Mapping[str, str]:
    """Tokens that are not valid access tokens of this stack."""
    head, claims, signature = access.split(".")
    return {
        "evaluation": gate.evaluation_token(ALICE),
        "service": gate.service_token(),
        "session": gate.session_token(access, "town:1"),
        "identity": gate.id_token(ALICE),
        "changed": ".".join((head, claims, signature[::-1])),
        "garbled": "x",
    }


def test_readme_commands_work(example: Example, address: str) -> None:
    assert len((example.folder / "README.md").read_text().splitlines()) <= 25
    example.run(example.blocks()[1], WORKER=address)


def test_request_without_a_valid_token_is_401(worker: Try, refused_tokens: Mapping[str, str]) -> None:
    answers = {name: worker("GET", "/towns", token) for name, token in refused_tokens.items()}
    answers |= {"none": worker("GET", "/towns"), "basic": worker("GET", "/towns", scheme="Basic", token="YTpi")}
    for name, answer in answers.items():
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer"), name
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["status"] == 401


def test_admitted_user_passes_and_missing_feature_is_403(worker: Try, gate: Gate, access: str) -> None:
    admin = gate.access_token(Person("root", admin=True))
    for token, convoy in ((access, 403), (admin, 201)):
        assert worker("GET", "/towns", token).status == 200
        assert worker("POST", "/towns", token).status == 201
        assert worker("POST", "/convoys", token).status == convoy
    assert worker("GET", "/health").status == 200


def test_each_procedure_is_gated(worker: Try, access: str, refused_tokens: Mapping[str, str]) -> None:
    listed = worker("GET", "/trpc/gastown.listTowns", access).expect(200)
    assert listed.json["result"]["data"] == {"towns": [], "of": "alice"}
    for token in (None, *refused_tokens.values()):
        assert _code(worker("GET", "/trpc/gastown.listTowns", token).expect(401).json) == "UNAUTHORIZED"
    convoy = worker("POST", "/trpc/gastown.startConvoy", access, body=b"").expect(403)
    assert _code(convoy.json) == "FORBIDDEN"
    assert "stack" not in convoy.text
    batch = "/trpc/gastown.createTown,gastown.startConvoy?batch=1"
    town, convoy_too = worker("POST", batch, access, body=b"{}").expect(207).json
    assert town["result"]["data"] == {"started": "town", "by": "alice"}
    assert _code(convoy_too) == "FORBIDDEN"


def test_after_a_kill_nothing_starts_and_running_work_continues(worker: Try, gate: Gate, access: str) -> None:
    gate.kill(ACCESS)
    try:
        until(lambda: worker("POST", "/towns", access).status, lambda status: status == 403)
        started = worker("POST", "/trpc/gastown.createTown", access, body=b"").expect(403)
        assert _code(started.json) == "FORBIDDEN"
        assert worker("GET", "/towns", access).status == 200
    finally:
        gate.restore(ACCESS)
    until(lambda: worker("POST", "/towns", access).status, lambda status: status == 201)


def test_unavailable_gate_admits_nobody(worker: Try, gate: Gate, stack: Stack, example: Example, access: str) -> None:
    """The last test of this file: it stops the stack."""
    assert worker("GET", "/towns", access).status == 200
    stack.stop()
    assert worker("GET", "/towns", access).status == 200  # the keys are cached, and the token is valid
    assert worker("POST", "/towns", access).expect(503).headers["retry-after"] == "1"
    assert worker("POST", "/trpc/gastown.createTown", access, body=b"").status == 503
    with example.serving() as cold:
        assert _send(gate, cold, "GET", "/towns", access).status == 503
        assert _send(gate, cold, "GET", "/towns", None).status == 401


def _send(
    gate: Gate, address: str, method: str, path: str, token: str | None,
    *, scheme: str = "Bearer", body: bytes | None = None,
) -> Answer:  # fmt: skip
    headers = {} if token is None else {"authorization": f"{scheme} {token}"}
    if body is not None:
        headers["content-type"] = "application/json"
    return gate.http.send(method, address + quote(path, safe="/?=,&"), headers=headers, body=body)


def _code(document: Mapping[str, Any]) -> str:
    return str(document["error"]["data"]["code"])
