"""Invalid input at evaluate: missing or wrong tokens, malformed bodies and contexts. Rows E60 to E71, R45."""

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
    """An admin, whom no flag denies: every refusal here is caused by the credential."""
    return open_door(stack)


@pytest.fixture(autouse=True, scope="module")
def unchanged(door: Door) -> Iterator[None]:
    """No test in this file makes an audit entry."""
    revision = door.gate.revision()
    yield
    assert door.gate.revision() == revision


@pytest.mark.parametrize("path", [BULK, f"{BULK}/{KEY}"], ids=["bulk", "single"])
@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Basic eA=="}], ids=["none", "empty", "Basic"]
)
def test_e60_evaluate_without_a_token_is_rejected(door: Door, path: str, headers: Mapping[str, str]) -> None:
    answer = door.gate.call("POST", path, headers=headers, body={"context": {}})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "flags" not in answer.json
    assert "value" not in answer.json


@pytest.mark.parametrize("own", ["identity", "session"])
def test_e60_evaluate_with_another_type_of_token_is_rejected(door: Door, own: str) -> None:
    assert door.gate.evaluate(KEY, vars(door)[own]).status == 401


CONTEXT: Mapping[str, Any] = {"context": {"targetingKey": "because"}}


@pytest.mark.parametrize("fault", [name for name in MALFORMED if name != "nothing"], ids=lambda name: f"E61-{name}")
@pytest.mark.parametrize("path", [BULK, f"{BULK}/{KEY}"], ids=["bulk", "single"])
def test_context_that_is_not_json_is_rejected(door: Door, path: str, fault: str) -> None:
    answer = door.gate.call("POST", path, token=door.service, body=MALFORMED[fault](CONTEXT)[:MAX_CONTEXT])
    assert (answer.status, answer.json["errorCode"]) == (400, "PARSE_ERROR")
    assert answer.json.get("key") == (None if path == BULK else KEY)


SHAPES: Mapping[str, tuple[Any, int, str | None]] = {
    "E61-a list": ([], 400, "INVALID_CONTEXT"),
    "E61-a string": ("x", 400, "INVALID_CONTEXT"),
    "E61-a number": (7, 400, "INVALID_CONTEXT"),
    "E61-null": (b"null", 400, "INVALID_CONTEXT"),
    "E61-context is null": ({"context": None}, 400, "INVALID_CONTEXT"),
    "E61-context is a list": ({"context": []}, 400, "INVALID_CONTEXT"),
    "E61-context is a string": ({"context": "user"}, 400, "INVALID_CONTEXT"),
    "E61-too large": (b'{"context":{}}' + b" " * MAX_CONTEXT, 413, "GENERAL"),
    "E62-no targetingKey": ({"context": {}}, 400, "TARGETING_KEY_MISSING"),
    "E62-targetingKey is null": ({"context": {"targetingKey": None}}, 400, "TARGETING_KEY_MISSING"),
    "E62-targetingKey is empty": ({"context": {"targetingKey": ""}}, 400, "TARGETING_KEY_MISSING"),
    "E62-targetingKey is a number": ({"context": {"targetingKey": 7}}, 400, "INVALID_CONTEXT"),
    "E62-targetingKey is a list": ({"context": {"targetingKey": ["u"]}}, 400, "INVALID_CONTEXT"),
    "E62-orgs is a string": ({"context": {"targetingKey": "u", "orgs": "org-1"}}, 400, "INVALID_CONTEXT"),
    "E62-orgs of numbers": ({"context": {"targetingKey": "u", "orgs": [1]}}, 400, "INVALID_CONTEXT"),
    "E62-orgs is null": ({"context": {"targetingKey": "u", "orgs": None}}, 400, "INVALID_CONTEXT"),
    "E65-1,001 orgs": ({"context": {"targetingKey": "u", "orgs": ["o"] * 1_001}}, 400, "INVALID_CONTEXT"),
    "R45-admin is a string": ({"context": {"targetingKey": "u", "admin": "true"}}, 400, "INVALID_CONTEXT"),
    "R45-admin is 1": ({"context": {"targetingKey": "u", "admin": 1}}, 400, "INVALID_CONTEXT"),
    "R45-admin is null": ({"context": {"targetingKey": "u", "admin": None}}, 400, "INVALID_CONTEXT"),
    "R45-admin is an object": ({"context": {"targetingKey": "u", "admin": {}}}, 400, "INVALID_CONTEXT"),
}


@pytest.mark.parametrize(("body", "status", "code"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("path", [BULK, f"{BULK}/{KEY}"], ids=["bulk", "single"])
def test_context_of_the_wrong_shape_is_rejected(door: Door, path: str, body: Any, status: int, code: str) -> None:
    """From a service, which names its subject."""
    answer = door.gate.call("POST", path, token=door.service, body=body)
    assert (answer.status, answer.json["errorCode"]) == (status, code), answer.text


@pytest.mark.parametrize("named", ["root", "", 7, True, [], {}, LONE], ids=ascii)
def test_e62_user_may_not_evaluate_for_another_subject(door: Door, named: Any) -> None:
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
def test_e71_ids_that_a_service_names_are_compared_byte_for_byte(door: Door, context: Mapping[str, Any]) -> None:
    """Odd ids are not an error; no list names them."""
    single = door.gate.evaluate(KEY, door.service, context)
    assert (single.status, single.json["value"]) == (200, True)
    assert door.gate.evaluate_all(door.service, context).status == 200


@pytest.mark.parametrize(
    "key",
    ["Bad-Key", "x" * 65, "-x", "%20", "a%2Fb", "a%252Fb", "%2e%2e", "a%00", "a%C0%AF", "a%FF", "b%C3%A4d", "a%0A"],
    ids=lambda key: f"E66-{key[:12]}",
)
def test_malformed_flag_key_is_rejected(door: Door, key: str) -> None:
    answer = door.gate.evaluate(key, door.evaluation)
    assert (answer.status, answer.json["errorCode"]) == (400, "GENERAL")


def test_e63_unknown_flag_is_404(door: Door) -> None:
    answer = door.gate.evaluate(new_id("nowhere"), door.evaluation)
    assert (answer.status, answer.json["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert "value" not in answer.json
