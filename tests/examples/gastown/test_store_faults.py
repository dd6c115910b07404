"""When the worker's store fails, the caller hears so, in time: never an allow, never a 500."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from gastown.routes import Worker
from gastown.service import Gastown
from gastown.state import TownTable, dynamodb
from worker_calls.requests import Person, Reply, make_event, read
from worker_calls.stores import absent, answering, refusing, silent

ALICE = Person("alice", orgs=("org-1",))
EVERY_ASK = {"gastown-access": True, "gastown-multi-rig": True, "gastown-pr-merge": True}
CALLS = [
    ("POST /api/users/{user}/towns", {"user": "alice"}),
    ("POST /api/orgs/{org}/towns", {"org": "org-1"}),
    ("GET /api/towns", {}),
    ("GET /api/towns/{town}", {"town": "t"}),
    ("DELETE /api/towns/{town}", {"town": "t"}),
    ("POST /api/towns/{town}/rigs", {"town": "t"}),
    ("POST /api/towns/{town}/container", {"town": "t"}),
    ("POST /api/towns/{town}/agents/{agent}/heartbeat", {"town": "t", "agent": "a"}),
]
FAULTS: dict[str, Callable[[], contextlib.AbstractContextManager[str]]] = {
    "nobody listens": absent,
    "500": lambda: answering(500, b"{}"),
    "503 without a body": lambda: answering(503, b""),
    "throttled": lambda: refusing("ProvisionedThroughputExceededException"),
    "no such table": lambda: refusing("ResourceNotFoundException"),
    "not allowed": lambda: refusing("AccessDeniedException"),
}


def worker_at(endpoint: str, patch: pytest.MonkeyPatch) -> Callable[..., Reply]:
    """A worker whose store is at that address."""
    patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
    worker = Worker(Gastown(TownTable("worker", dynamodb())))

    def send(key: str, named: dict[str, str], **more: Any) -> Reply:
        return read(worker.answer(make_event(ALICE, key, named, asks=EVERY_ASK, **more), None))

    return send


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_fails_is_503(fault: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with FAULTS[fault]() as endpoint:
        send = worker_at(endpoint, monkeypatch)
        for key, named in CALLS if fault == "not allowed" else CALLS[:1]:  # the others are tried thrice, with pauses
            reply = send(key, named, body={})
            assert (reply.status, reply.slug) == (503, "unavailable"), key
            assert reply.headers["retry-after"] == "1"
            assert reply.headers["x-headgate-revision"] == "12"


def test_an_answer_that_says_nothing_is_no_list(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, b"<html>") as endpoint:
        send = worker_at(endpoint, monkeypatch)
        assert send("GET /api/towns", {}).slug == "unavailable"
        assert send("GET /api/towns/{town}", {"town": "t"}).slug == "not-found"


def test_a_batch_waits_for_a_silent_store_once(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with silent() as endpoint:
        send = worker_at(endpoint, monkeypatch)
        began = time.monotonic()
        names = ",".join(["gastown.listTowns"] * 5)
        reply = send("POST /trpc/{procedures}", {"procedures": names}, body={})
        took = time.monotonic() - began
    assert reply.status == 503
    assert reply.headers["retry-after"] == "1"
    assert [item["error"]["data"]["code"] for item in reply.body] == ["SERVICE_UNAVAILABLE"] * 5
    assert took < 8, "three attempts of a second each and their pauses, not five times that"


@pytest.mark.parametrize("broken", [{"name": {"S": "x"}}, {"rigs": {"S": "many"}}, {"owner_kind": {"S": "admin"}}])
def test_an_item_that_nobody_here_wrote_is_no_town(
    broken: dict[str, Any], call: Callable[..., Reply], alice: Person, environment: dict[str, str]
) -> None:
    town = call(alice, "POST /api/users/{user}/towns", user=alice.name, body={}).body["id"]
    api, key = dynamodb(), {"pk": {"S": f"TOWN#{town}"}, "sk": {"S": "TOWN"}}
    item = api.get_item(TableName=environment["GASTOWN_TABLE"], Key=key)["Item"]
    del item["created_at"]
    api.put_item(TableName=environment["GASTOWN_TABLE"], Item=item | broken)
    reply = call(alice, "GET /api/towns/{town}", town=town)
    assert (reply.status, reply.slug) == (503, "unavailable")
