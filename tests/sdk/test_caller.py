"""A function behind the gate accepts the authorizer's context only if it is complete and well typed."""

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.sdk.caller import Caller, MissingContext, caller_from

FULL: dict[str, Any] = {
    "subject": "alice",
    "orgs": '["org-1","org-2"]',
    "admin": False,
    "entitlements": '["gastown-access"]',
    "asks": '{"gastown-access":true,"gastown-multi-rig":false}',
    "reason": "ALLOWLIST",
    "revision": 12,
    "session": "",
    "class": "entry",
    "credential": "access",
    "stale": False,
}
SESSION = {"credential": "session", "session": "town:1", "class": "machine", "entitlements": "[]"}


def event(**changes: Any) -> dict[str, Any]:
    return {"requestContext": {"authorizer": {"lambda": FULL | changes}}}


def test_an_access_tokens_context_is_read() -> None:
    caller = caller_from(event())
    assert caller == Caller(
        subject="alice",
        orgs=("org-1", "org-2"),
        admin=False,
        entitlements=frozenset({"gastown-access"}),
        asks={"gastown-access": True, "gastown-multi-rig": False},
        reason="ALLOWLIST",
        revision=12,
        session=None,
        route_class="entry",
        credential="access",
        stale=False,
    )


def test_a_session_tokens_context_is_read() -> None:
    caller = caller_from(event(**SESSION, admin=True, stale=True))
    assert (caller.credential, caller.session, caller.admin, caller.stale) == ("session", "town:1", True, True)


def test_a_flag_is_allowed_for_an_org_only_if_it_is_on_for_that_org_alone() -> None:
    caller = caller_from(event(org_flags='{"gastown-access":"10","gastown-convoys":"01"}', orgs_cut=True))
    flags = ("gastown-access", "gastown-convoys", "unknown")
    for org, expected in (("org-1", [True, False, False]), ("org-2", [False, True, False]), ("org-3", [False] * 3)):
        assert [caller.allows(flag, org) for flag in flags] == expected
    assert caller.orgs_cut
    assert caller_from(event()).org_flags is None
    assert not caller_from(event(orgs="[]", asks='{"gastown-access":true}')).allows("gastown-access", "not-theirs")


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"f":"1"}', '{"f":"111"}', '{"f":"1x"}', '{"f":11}', '{"f":["1","0"]}']
)
def test_malformed_org_flags_are_no_context(text: str) -> None:
    with pytest.raises(MissingContext):
        caller_from(event(org_flags=text))


def test_a_flag_is_allowed_only_if_it_is_an_ask_and_on() -> None:
    caller = caller_from(event(entitlements='["gastown-access","gastown-convoys"]'))
    assert caller.allows("gastown-access")
    assert not caller.allows("gastown-multi-rig")
    assert not caller.allows("gastown-convoys"), "an entitlement of the token is not a live decision"
    assert not caller.allows("")


def test_a_caller_is_immutable() -> None:
    caller = caller_from(event())
    with pytest.raises(dataclasses.FrozenInstanceError):
        caller.admin = True  # type: ignore[misc]
    with pytest.raises(TypeError):
        caller.asks["gastown-multi-rig"] = True  # type: ignore[index]
    assert hash(caller) == hash(caller_from(event()))


def test_unknown_members_are_ignored() -> None:
    assert caller_from(event(later="thing")).subject == "alice"


@pytest.mark.parametrize("member", sorted(FULL.keys() - {"session"}))
def test_a_context_without_any_one_member_is_rejected(member: str) -> None:
    context = {name: value for name, value in FULL.items() if name != member}
    with pytest.raises(MissingContext):
        caller_from({"requestContext": {"authorizer": {"lambda": context}}})


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"requestContext": None},
        {"requestContext": {}},
        {"requestContext": {"authorizer": None}},
        {"requestContext": {"authorizer": {}}},
        {"requestContext": {"authorizer": {"lambda": None}}},
        {"requestContext": {"authorizer": {"lambda": []}}},
        {"requestContext": {"authorizer": {"lambda": json.dumps(FULL)}}},
        {"requestContext": {"authorizer": FULL}},
        {"requestContext": {"authorizer": {"jwt": {"claims": FULL}}}},
        {"requestContext": {"authorizer": {"iam": FULL}}},
        {"requestContext": [("authorizer", {"lambda": FULL})]},
        {"headers": {"authorization": "Bearer x"}, "requestContext": {"http": {}}},
    ],
)
def test_a_missing_context_is_rejected(shape: dict[str, Any]) -> None:
    with pytest.raises(MissingContext):
        caller_from(shape)


WRONG: dict[str, list[Any]] = {
    "subject": ["", None, 1, True, ["alice"], {"user": "alice"}, "a\ud800"],
    "admin": ["true", "True", 1, 0, None, "", [], {"admin": True}],
    "stale": ["false", 0, None],
    "revision": [True, False, "12", 12.0, -1, None, float("nan")],
    "orgs": [
        ["org-1"], "org-1", "", "{}", "null", '["a",1]', '["a",null]', '[""]', '["\\ud800"]', '["a"', "[" * 100_000,
        '"org-1"', "[true]", 7, None, '[["a"]]',
    ],
    "entitlements": [["gastown-access"], "gastown-access", "{}", '[{"a":1}]', None],
    "asks": [
        {"gastown-access": True}, "[]", "true", "", "{", None, '{"a":"true"}', '{"a":1}', '{"a":null}', '{"a":[true]}',
        '{"a":false,"a":true}', '{"a":{"on":true}}',
    ],
    "reason": ["", None, 1],
    "class": ["", None, ["entry"]],
    "session": [None, 1, "town:1", ["town:1"]],
    "credential": ["", "Access", "evaluate", "service", None, "session", 1],
}  # fmt: skip


@pytest.mark.parametrize(
    ("member", "value"),
    [(member, value) for member in WRONG for value in WRONG[member]],
    ids=lambda value: repr(value)[:40],
)
def test_a_member_of_a_wrong_type_is_rejected(member: str, value: Any) -> None:
    with pytest.raises(MissingContext) as raised:
        caller_from(event(**{member: value}))
    assert isinstance(raised.value, ValueError)
    assert raised.value.__cause__ is None


def test_an_absent_session_is_none() -> None:
    """API Gateway leaves out members whose value is the empty string."""
    shape = event()
    del shape["requestContext"]["authorizer"]["lambda"]["session"]
    assert caller_from(shape) == caller_from(event(session=""))


def test_a_session_credential_without_a_session_is_rejected() -> None:
    shape = event(**SESSION | {"session": ""})
    with pytest.raises(MissingContext):
        caller_from(shape)
    del shape["requestContext"]["authorizer"]["lambda"]["session"]
    with pytest.raises(MissingContext):
        caller_from(shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(member=st.sampled_from(sorted(FULL)), value=JSON | JSON.map(json.dumps))
def test_any_context_gives_a_caller_or_is_rejected(member: str, value: Any) -> None:
    try:
        caller = caller_from(event(**{member: value}))
    except MissingContext:
        return
    assert all(type(on) is bool for on in caller.asks.values())
    assert type(caller.admin) is bool
    assert type(caller.revision) is int
    assert caller.subject


def test_the_module_loads_only_the_standard_library() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys, headgate.sdk.caller; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    outside = {name.partition(".")[0] for name in told} & {"botocore", "boto3", "jwt", "cryptography", "pydantic"}
    assert not outside
    assert not any(name.startswith("aws_lambda_powertools") for name in told)
    assert {name for name in told if name.startswith("headgate.")} == {"headgate.sdk", "headgate.sdk.caller"}
