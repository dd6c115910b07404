"""Bad input at evaluate: no token, another's token, bodies and contexts that are none. Rows E60 to E71, R45."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from bad_bodies import LONE, MALFORMED
from doors import KEY, Door, open_door
from running_gate.gate import BULK
from running_gate.people import new_id

from headgate_cli.local.stack import Stack

MAX_CONTEXT = 32_768


@pytest.fixture(scope="module")
def door(stack: Stack) -> Door:
    """An admin, whom no flag keeps out: what is refused here is refused for the credential."""
    return open_door(stack)


@pytest.fixture(autouse=True, scope="module")
def unchanged(door: Door) -> Iterator[None]:
    """Nothing here makes an audit entry."""
    revision = door.gate.revision()
    yield
    assert door.gate.revision() == revision


@pytest.mark.parametrize("path", [BULK, f"{BULK}/{KEY}"], ids=["bulk", "single"])
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Basic eA=="}], ids=["none", "empty", "Basic"]
)
def test_e60_evaluate_without_a_token(door: Door, path: str, headers: Mapping[str, str]) -> None:
    answer = door.gate.call("POST", path, headers=headers, body={"context": {}})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "flags" not in answer.json
    assert "value" not in answer.json


@pytest.mark.parametrize("own", ["identity", "session"])
def test_e60_evaluate_with_a_token_for_something_else(door: Door, own: str) -> None:
    assert door.gate.evaluate(KEY, vars(door)[own]).status == 401


CONTEXT: Mapping[str, Any] = {"context": {"targetingKey": "because"}}


@pytest.mark.parametrize("fault", [name for name in MALFORMED if name != "nothing"], ids=lambda name: f"E61-{name}")
@pytest.mark.parametrize("path", [BULK, f"{BULK}/{KEY}"], ids=["bulk", "single"])
def test_a_context_that_is_no_json(door: Door, path: str, fault: str) -> None:
    answer = door.gate.call("POST", path, token=door.service, body=MALFORMED[fault](CONTEXT)[:MAX_CONTEXT])
    assert (answer.status, answer.json["errorCode"]) == (400, "PARSE_ERROR")
    assert answer.json.get("key") == (None if path == BULK else KEY)


SHAPES: Mapping[str, tuple[Any, int, str | None]] = {
    "E61-a list": ([], 400, "INVALID_CONTEXT"),
    "E61-a text": ("x", 400, "INVALID_CONTEXT"),
    "E61-a number": (7, 400, "INVALID_CONTEXT"),
    "E61-null": (b"null", 400, "INVALID_CONTEXT"),
    "E61-context null": ({"context": None}, 400, "INVALID_CONTEXT"),
    "E61-context a list": ({"context": []}, 400, "INVALID_CONTEXT"),
    "E61-context a text": ({"context": "user"}, 400, "INVALID_CONTEXT"),
    "E61-too large": (b'{"context":{}}' + b" " * MAX_CONTEXT, 413, "GENERAL"),
    "E62-no targetingKey": ({"context": {}}, 400, "TARGETING_KEY_MISSING"),
    "E62-targetingKey null": ({"context": {"targetingKey": None}}, 400, "TARGETING_KEY_MISSING"),
    "E62-targetingKey a number": ({"context": {"targetingKey": 7}}, 400, "INVALID_CONTEXT"),
    "E62-targetingKey a list": ({"context": {"targetingKey": ["u"]}}, 400, "INVALID_CONTEXT"),
    "E62-orgs a text": ({"context": {"targetingKey": "u", "orgs": "org-1"}}, 400, "INVALID_CONTEXT"),
    "E62-orgs of numbers": ({"context": {"targetingKey": "u", "orgs": [1]}}, 400, "INVALID_CONTEXT"),
    "E62-orgs null": ({"context": {"targetingKey": "u", "orgs": None}}, 400, "INVALID_CONTEXT"),
    "E65-1,001 orgs": ({"context": {"targetingKey": "u", "orgs": ["o"] * 1_001}}, 400, "INVALID_CONTEXT"),
    "R45-admin as text": ({"context": {"targetingKey": "u", "admin": "true"}}, 400, "INVALID_CONTEXT"),
    "R45-admin 1": ({"context": {"targetingKey": "u", "admin": 1}}, 400, "INVALID_CONTEXT"),
    "R45-admin null": ({"context": {"targetingKey": "u", "admin": None}}, 400, "INVALID_CONTEXT"),
    "R45-admin an object": ({"context": {"targetingKey": "u", "admin": {}}}, 400, "INVALID_CONTEXT"),
}


@pytest.mark.parametrize(("body", "status", "code"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("path", [BULK, f"{BULK}/{KEY}"], ids=["bulk", "single"])
def test_a_context_of_another_shape(door: Door, path: str, body: Any, status: int, code: str) -> None:
    """From a service, which names its subject."""
    answer = door.gate.call("POST", path, token=door.service, body=body)
    assert (answer.status, answer.json["errorCode"]) == (status, code), answer.text


@pytest.mark.parametrize("named", ["root", "", 7, True, [], {}, LONE], ids=ascii)
def test_e62_a_user_asks_for_nobody_else(door: Door, named: Any) -> None:
    answer = door.gate.evaluate(KEY, door.evaluation, {"targetingKey": named})
    assert answer.status == 403
    assert "value" not in answer.json


ODD: tuple[Mapping[str, Any], ...] = (
    {"targetingKey": LONE},
    {"targetingKey": "u", "orgs": [LONE]},
    {"targetingKey": "u", LONE: LONE},
    {"targetingKey": "u\0", "x": [[[]]]},
    {"targetingKey": "\u202eadmin", "plan": {"a": 1}},
    {"targetingKey": "x" * 9_000},
)


@pytest.mark.parametrize("context", ODD, ids=lambda context: ascii(context)[:40])
def test_e71_whatever_a_service_names_is_compared_as_it_is(door: Door, context: Mapping[str, Any]) -> None:
    """Odd ids are not an error; they are nobody that a list names."""
    single = door.gate.evaluate(KEY, door.service, context)
    assert (single.status, single.json["value"]) == (200, True)
    assert door.gate.evaluate_all(door.service, context).status == 200


@pytest.mark.parametrize(
    "key",
    ["Bad-Key", "x" * 65, "-x", "%20", "a%2Fb", "a%252Fb", "%2e%2e", "a%00", "a%C0%AF", "a%FF", "b%C3%A4d", "a%0A"],
    ids=lambda key: f"E66-{key[:12]}",
)
def test_a_flag_key_that_is_none(door: Door, key: str) -> None:
    answer = door.gate.evaluate(key, door.evaluation)
    assert (answer.status, answer.json["errorCode"]) == (400, "GENERAL")


def test_e63_a_flag_that_is_not_there(door: Door) -> None:
    answer = door.gate.evaluate(new_id("nowhere"), door.evaluation)
    assert (answer.status, answer.json["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert "value" not in answer.json
