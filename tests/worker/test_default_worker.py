"""The default worker: it says what the authorizer handed over, and nothing at all where no gate stood in front."""

import json
from pathlib import Path
from typing import Any

import pytest
from stand import load_handler

ROOT = Path(__file__).parents[2]
HANDLER = load_handler(ROOT / "functions" / "worker")
ROUTES = ("GET /whoami", "GET /decision")


def event(name: str, **context: Any) -> dict[str, Any]:
    """An event of events/, with members of the authorizer's context changed; None takes one away."""
    found: dict[str, Any] = json.loads((ROOT / f"events/worker.{name}.json").read_text())
    handed = found["requestContext"]["authorizer"]["lambda"]
    handed.update(context)
    found["requestContext"]["authorizer"]["lambda"] = {k: v for k, v in handed.items() if v is not None}
    return found


def body(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


def test_it_says_who_calls() -> None:
    answer = HANDLER(event("whoami"), None)
    assert (answer["statusCode"], answer["headers"]["x-headgate-revision"]) == (200, "42")
    assert body(answer) == {
        "subject": "ada", "orgs": ["org-acme"], "admin": False, "credential": "access", "session": None,
    }  # fmt: skip
    assert body(HANDLER(event("whoami", credential="session", session="job:1"), None))["session"] == "job:1"


def test_it_says_what_was_decided_and_why() -> None:
    handed = {"asks": '{"beta": true, "gamma": false}', "reason": "SPLIT", "revision": 7, "stale": True}
    assert body(HANDLER(event("decision", **handed), None)) == {
        "class": "entry", "reason": "SPLIT", "asks": {"beta": True, "gamma": False}, "revision": 7, "stale": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["whoami", "decision"])
@pytest.mark.parametrize(
    "handed",
    [{"subject": None}, {"subject": ""}, {"admin": "true"}, {"asks": '{"beta": 1}'}, {"revision": "42"}, {"stale": 0}],
    ids=json.dumps,
)
def test_a_context_that_is_not_whole_is_none(name: str, handed: dict[str, Any]) -> None:
    refused(HANDLER(event(name, **handed), None))


@pytest.mark.parametrize(
    "authorizer", [None, {}, {"lambda": None}, {"jwt": {"claims": {"sub": "ada"}}}], ids=json.dumps
)
def test_without_the_gate_it_answers_401(authorizer: Any) -> None:
    bare = event("whoami")
    bare["requestContext"]["authorizer"] = authorizer
    refused(HANDLER(bare, None))
    refused(HANDLER({}, None))


def refused(answer: dict[str, Any]) -> None:
    assert answer["statusCode"] == 401
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert answer["headers"]["www-authenticate"] == "Bearer"
    assert body(answer)["type"] == "urn:headgate:missing-context"
    assert "ada" not in answer["body"]


def test_it_does_what_the_gate_decided_on_whatever_the_path_says() -> None:
    moved = event("whoami")
    moved["rawPath"] = moved["requestContext"]["http"]["path"] = "/decision"
    assert body(HANDLER(moved, None))["subject"] == "ada"


def test_one_callers_context_is_gone_with_the_call() -> None:
    HANDLER(event("whoami"), None)
    refused(HANDLER(json.loads((ROOT / "events/worker.no-gate.json").read_text()), None))
    assert body(HANDLER(event("whoami", subject="bob"), None))["subject"] == "bob"


@pytest.mark.parametrize("key", ["GET /", "POST /whoami", "GET /api/secrets"])
def test_a_route_that_it_does_not_have_is_404(key: str) -> None:
    other = event("whoami")
    other["routeKey"] = key
    answer = HANDLER(other, None)
    assert (answer["statusCode"], body(answer)["type"]) == (404, "urn:headgate:not-found")
