"""Lambda authorizers (payload 2.0, simple responses): when they are called, their event, and the effect of answers."""

import json
from typing import Any

import pytest
from plain_client import Client

UNAUTHORIZED, FORBIDDEN, BROKEN = (401, "Unauthorized"), (403, "Forbidden"), (500, "Internal Server Error")


def bearer(word: str) -> dict[str, str]:
    return {"authorization": f"Bearer {word}"}


def calls(call: Client) -> int:
    """The number of authorizer calls so far, this one included."""
    found: int = call("GET", "/guarded", headers=bearer("yes")).event["requestContext"]["authorizer"]["lambda"]["calls"]
    return found


@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"cookie": "authorization=Bearer yes"}])
def test_authorizer_is_not_called_without_its_identity_source(call: Client, headers: dict[str, str]) -> None:
    """Z29, Z32: no token, an empty one, one in a cookie or in the query."""
    before = calls(call)
    for target in ("/guarded", "/guarded?authorization=Bearer%20yes"):
        answer = call("GET", target, headers=headers)
        assert (answer.status, answer.document["message"]) == UNAUTHORIZED
    assert calls(call) == before + 1


def test_every_identity_source_is_required(call: Client) -> None:
    assert call("GET", "/queried", headers=bearer("yes")).status == 401
    assert call("GET", "/queried?key=").status == 401
    assert call("GET", "/queried?key=yes").status == 200


@pytest.mark.parametrize("value", ["Basic x", "Bearer", "Bearer  yes", "yes, yes"])
def test_any_header_value_is_passed_to_the_authorizer(call: Client, value: str) -> None:
    """Z30: the gateway passes the value on unchanged."""
    answer = call("GET", "/guarded", headers={"authorization": value})
    assert answer.event["requestContext"]["authorizer"]["lambda"]["word"] == value.removeprefix("Bearer ")


def test_two_authorization_headers_arrive_joined(call: Client) -> None:
    """Z31."""
    answer = call("GET", "/guarded", headers=[("Authorization", "Bearer a"), ("authorization", "Bearer b")])
    assert answer.event["requestContext"]["authorizer"]["lambda"]["word"] == "a,Bearer b"


def test_allow_passes_its_context_to_the_function(call: Client) -> None:
    context = call("GET", "/guarded", headers=bearer("yes")).event["requestContext"]["authorizer"]
    assert set(context) == {"lambda"}
    assert context["lambda"]["word"] == "yes"
    assert context["lambda"]["admin"] is True


def test_denial_is_forbidden_and_the_function_is_not_called(call: Client) -> None:
    before = call("GET", "/open").document["calls"]
    answer = call("GET", "/guarded", headers=bearer("no"))
    assert (answer.status, answer.document["message"]) == FORBIDDEN
    assert call("GET", "/open").document["calls"] == before + 1


@pytest.mark.parametrize(
    "answer",
    [
        "crash",
        "hang",
        '"true"',
        '{"isAuthorized": "true"}',
        '{"isAuthorized": 1}',
        '{"isAuthorized": null}',
        "{}",
        '{"context": {}}',
        '{"isAuthorized": true, "context": {"a": []}}',
        '{"isAuthorized": true, "context": {"a": {}}}',
        '{"isAuthorized": true, "context": {"a": null}}',
        '{"isAuthorized": true, "context": []}',
        '{"isAuthorized": true, "policyDocument": {}}',
        '{"principalId": "a", "policyDocument": {"Statement": []}}',
    ],
)
def test_any_other_answer_is_an_internal_error(call: Client, answer: str) -> None:
    """Z48."""
    given = call("GET", "/guarded", headers=bearer(answer))
    assert (given.status, given.document["message"]) == BROKEN


def test_allow_without_context_is_valid(call: Client) -> None:
    answer = call("GET", "/guarded", headers=bearer('{"isAuthorized": true}'))
    assert answer.event["requestContext"]["authorizer"] == {"lambda": {}}


def test_authorizer_event_is_payload_2(call: Client) -> None:
    answer = call("POST", "/guarded/a%2Fb?x=1", b"{}", {**bearer("event"), "cookie": "a=1"})
    event = json.loads(answer.event["requestContext"]["authorizer"]["lambda"]["word"])
    context: dict[str, Any] = event.pop("requestContext")
    headers = event.pop("headers")
    assert event == {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:us-east-1:123456789012:headgate/$default/POST/guarded/a%2Fb",
        "identitySource": ["Bearer event", "POST /guarded/{thing}"],
        "routeKey": "POST /guarded/{thing}",
        "rawPath": "/guarded/a/b",
        "rawQueryString": "x=1",
        "queryStringParameters": {"x": "1"},
        "pathParameters": {"thing": "a/b"},
        "cookies": ["a=1"],
    }
    assert headers["authorization"] == "Bearer event"
    assert context["http"]["method"] == "POST"
    assert "authorizer" not in context
    assert "body" not in event


def test_ttl_0_calls_the_authorizer_each_time(call: Client) -> None:
    assert calls(call) + 1 == calls(call)


def test_ttl_caches_the_answer_by_identity_source(call: Client) -> None:
    first, again, other = (call("GET", "/remembered", headers=bearer(word)) for word in ("one", "one", "two"))
    contexts = [a.event["requestContext"]["authorizer"]["lambda"] for a in (first, again, other)]
    assert contexts[0] == contexts[1]
    assert contexts[2]["calls"] > contexts[0]["calls"]
    denied = [call("GET", "/remembered", headers=bearer("no")).status for _ in range(2)]
    assert denied == [403, 403]
