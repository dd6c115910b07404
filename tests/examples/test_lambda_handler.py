"""examples/lambda-handler, run as Lambda runs it: with the authorizer's context in the event, on a real table."""

import json
from typing import Any

import pytest
from openfeature import api
from stand import ROOT, Handler, Stand, load_handler


@pytest.fixture(scope="module")
def handler(stand: Stand) -> Any:
    stand.renew()
    yield load_handler(ROOT / "examples/lambda-handler")
    api.clear_providers()


def event(user: str, *, admin: bool = False) -> dict[str, Any]:
    context = {"subject": user, "orgs": "[]", "admin": admin, "entitlements": "[]", "asks": "{}", "reason": "GA",
               "revision": 7, "session": "", "class": "entry", "credential": "access", "stale": False}  # fmt: skip
    return {"version": "2.0", "requestContext": {"authorizer": {"lambda": context}}}


def test_handler_runs_only_if_the_flag_is_on(stand: Stand, handler: Handler) -> None:
    assert handler(event("alice"), None)["statusCode"] == 403
    assert handler(event("root", admin=True), None)["statusCode"] == 200
    for version, key in enumerate(("gastown-access", "gastown-convoys"), 1):
        change = {"stage": "ga", "reason": f"test {version}"}
        answer = stand.admin("POST /admin/v1/flags/{key}/stage", change, key=key, headers={"if-match": '"1"'})
        assert answer["statusCode"] == 200
    assert handler(event("alice"), None)["statusCode"] == 200  # the next request, not 5 s later: the gate is live


def test_kill_takes_effect_at_once(stand: Stand, handler: Handler) -> None:
    assert (
        stand.admin("POST /admin/v1/flags/{key}/kill", {"reason": "drill"}, key="gastown-access")["statusCode"] == 200
    )
    answer = handler(event("alice"), None)
    assert answer["statusCode"] == 403
    assert json.loads(answer["body"])["type"] == "urn:headgate:forbidden"
    assert handler(event("root", admin=True), None)["statusCode"] == 200


def test_other_values_come_from_openfeature(handler: Handler) -> None:
    assert json.loads(handler(event("root", admin=True), None)["body"]) == {"merge": "pr"}


def test_request_without_the_authorizer_is_denied(handler: Handler) -> None:
    answer = handler({"version": "2.0", "requestContext": {}}, None)
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["type"] == "urn:headgate:missing-context"
