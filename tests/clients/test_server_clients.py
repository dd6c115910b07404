"""The server clients for Node and Python: value types, keys, and how each reports every refusal.

Both packages read the same answers. Where one reports a refusal differently, the table says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from running_gate import Gate, Person

Value = bool | str | int | float | dict[str, int]


@dataclass(frozen=True, slots=True)
class Details:
    """A client's evaluation details. Equality ignores the metadata."""

    value: Value
    reason: str
    variant: str | None
    error: str | None
    metadata: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """One evaluation. `who` names whose token is sent; `context` None makes a call without a context."""

    key: str
    default: Value
    context: dict[str, Any] | None = None
    who: str = "service"


Evaluate = Callable[[Ask], Details]


@pytest.fixture(scope="module")
def tokens(gate: Gate) -> dict[str, str | None]:
    """The tokens that an evaluation may use, by whose they are."""
    return {
        "service": gate.service_token(),
        "admin": gate.access_token(Person("root", admin=True)),
        "outsider": gate.evaluation_token(Person("outsider")),
        "nobody": None,
        "garbled": "x.y.z",
    }


@pytest.fixture(scope="module")
def by_node(gate: Gate, node: Callable[..., Any], tokens: dict[str, str | None]) -> dict[str, Details]:
    """Node's answers to everything asked in this file."""
    asks = _every_ask()
    document = {"api": gate.api, "asks": [_asked(ask, tokens[ask.who]) for ask in asks]}
    return {repr(ask): _details(found) for ask, found in zip(asks, node("node_provider.mjs", document), strict=True)}


@pytest.fixture(params=["node", "python"])
def evaluate(request: pytest.FixtureRequest, gate: Gate, tokens: dict[str, str | None]) -> Evaluate:
    """One evaluation by a real client."""
    if request.param == "python":
        return lambda ask: _python(gate.api, tokens[ask.who], ask)
    answers: dict[str, Details] = request.getfixturevalue("by_node")
    return lambda ask: answers[repr(ask)]


@pytest.fixture
def client(evaluate: Evaluate, request: pytest.FixtureRequest) -> str:
    """The name of the client."""
    return str(request.node.callspec.params["evaluate"])


def somebody(**more: Any) -> dict[str, Any]:
    """A context that a service may name."""
    return {"targetingKey": "somebody", **more}


OUTSIDER = {"targetingKey": "outsider"}
KILLED = Ask("gastown-molecules", True, somebody(orgs=["org-1"]))
BANNER = Ask("site-banner", False, somebody())

VALUES = {
    "true": (Ask("site-banner", False, somebody()), Details(True, "STATIC", "on", None)),
    "listed": (Ask("gastown-access", False, somebody(orgs=["org-1"])), Details(True, "TARGETING_MATCH", "on", None)),
    "admin": (Ask("staff-tools", False, somebody(admin=True)), Details(True, "TARGETING_MATCH", "on", None)),
    "not admin": (Ask("staff-tools", True, somebody()), Details(False, "DEFAULT", "off", None)),
    "text off": (Ask("gastown-pr-merge", "x", OUTSIDER), Details("direct", "DEFAULT", "off", None)),
    "text on": (Ask("gastown-pr-merge", "x", somebody(admin=True)), Details("pr", "TARGETING_MATCH", "on", None)),
    "number": (Ask("page-size", 1, somebody()), Details(50, "STATIC", "on", None)),
    "fraction": (Ask("sample-rate", 0.75, somebody()), Details(0.25, "STATIC", "on", None)),
    "object": (Ask("layout", {}, somebody()), Details({"columns": 3}, "STATIC", "on", None)),
    "every character of a key": (Ask("0.a_b-c.9", False, somebody()), Details(True, "STATIC", "on", None)),
    "own token, no context": (Ask("staff-tools", False, None, "admin"), Details(True, "TARGETING_MATCH", "on", None)),
    "own token, own name": (
        Ask("gastown-access", True, OUTSIDER, "outsider"),
        Details(False, "SPLIT", "off", None),
    ),
    "own token, made-up admin": (
        Ask("staff-tools", True, {**OUTSIDER, "admin": True}, "outsider"),
        Details(False, "DEFAULT", "off", None),
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_value_keeps_its_type(evaluate: Evaluate, case: str) -> None:
    ask, expected = VALUES[case]
    assert evaluate(ask) == expected


def test_killed_flag_is_off_and_disabled(evaluate: Evaluate) -> None:
    assert evaluate(KILLED) == Details(False, "DISABLED", "off", None)


REFUSALS = {
    "unknown flag": (Ask("no-such-flag", False, somebody()), "FLAG_NOT_FOUND"),
    "boolean asked of a text flag": (Ask("gastown-pr-merge", False, somebody()), "TYPE_MISMATCH"),
    "text asked of a boolean flag": (Ask("site-banner", "direct", somebody()), "TYPE_MISMATCH"),
    "a service without a targetingKey": (Ask("site-banner", False, {}), "TARGETING_KEY_MISSING"),
    "a service without a context": (Ask("site-banner", False, None), "TARGETING_KEY_MISSING"),
    "orgs is not a list": (Ask("site-banner", False, somebody(orgs="org-1")), "INVALID_CONTEXT"),
    "admin that is not a boolean": (Ask("site-banner", False, somebody(admin="true")), "INVALID_CONTEXT"),
    "no token": (Ask("site-banner", False, somebody(), "nobody"), "GENERAL"),
    "a garbled token": (Ask("site-banner", False, somebody(), "garbled"), "GENERAL"),
    "own token, another's name": (Ask("site-banner", False, somebody(), "outsider"), "GENERAL"),
    "a body too large": (Ask("site-banner", False, somebody(more="x" * 40_000)), "GENERAL"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusal_gives_the_default_and_the_error_code(evaluate: Evaluate, case: str) -> None:
    ask, code = REFUSALS[case]
    assert evaluate(ask) == Details(ask.default, "ERROR", None, code)


KEYS_TO_ENCODE = ("a b", "a/b", "a%2Fb", "%00", "zoë", "Site-Banner", "site-banner%20", "x" * 65)
"""No flag has such a key. Both clients send keys unmodified; only the HTTP library below encodes."""


@pytest.mark.parametrize("key", KEYS_TO_ENCODE)
def test_impossible_key_gives_the_default(evaluate: Evaluate, client: str, key: str) -> None:
    found = evaluate(Ask(key, False, somebody()))
    missing = (
        "FLAG_NOT_FOUND" if client == "python" and key == "a/b" else "GENERAL"
    )  # Python maps any 404 to FLAG_NOT_FOUND
    assert found == Details(False, "ERROR", None, missing)


WALKING_KEYS = ("../../../admin/v1/flags", "..", "%2E%2E", "site-banner/../../flags", "%2e%2e/%2e%2e")


@pytest.mark.parametrize("key", WALKING_KEYS)
def test_path_traversal_key_reaches_no_flag(evaluate: Evaluate, key: str) -> None:
    found = evaluate(Ask(key, False, somebody()))
    assert (found.value, found.reason) == (False, "ERROR")


SAME_KEYS = ("site%2Dbanner", "site-banner?x=1", "site-banner#x")


@pytest.mark.parametrize("key", SAME_KEYS)
def test_encoded_key_reaches_its_flag(evaluate: Evaluate, key: str) -> None:
    assert evaluate(Ask(key, False, somebody())) == Details(True, "STATIC", "on", None)


def test_reason_and_revision_are_metadata(evaluate: Evaluate, gate: Gate) -> None:
    assert evaluate(BANNER).metadata == {"reason": "GA", "revision": gate.settled()}


def _every_ask() -> list[Ask]:
    """Every evaluation of this file, for one Node process to answer."""
    keys = (*KEYS_TO_ENCODE, *WALKING_KEYS, *SAME_KEYS)
    tables = [ask for ask, _ in (*VALUES.values(), *REFUSALS.values())]
    return [*tables, KILLED, BANNER, *(Ask(key, False, somebody()) for key in keys)]


def _asked(ask: Ask, token: str | None) -> dict[str, Any]:
    context = {} if ask.context is None else {"context": ask.context}
    return {"key": ask.key, "default": ask.default, "token": token, **context}


def _details(found: dict[str, Any]) -> Details:
    details = Details(found["value"], found["reason"], found.get("variant"), found["errorCode"])
    return replace(details, metadata=found["metadata"])


def _python(base: str, token: str | None, ask: Ask) -> Details:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    api.set_provider(OFREPProvider(base, headers_factory=lambda: headers), domain="one")
    client, kind = api.get_client(domain="one"), {bool: "boolean", str: "string", int: "integer", float: "float"}
    context = None
    if ask.context is not None:
        rest = {name: value for name, value in ask.context.items() if name != "targetingKey"}
        context = EvaluationContext(ask.context.get("targetingKey"), rest)
    call = getattr(client, f"get_{kind.get(type(ask.default), 'object')}_details")
    found = call(ask.key, ask.default, context)
    error = None if found.error_code is None else found.error_code.value
    return Details(found.value, str(found.reason.value), found.variant, error, dict(found.flag_metadata))
