"""Policies: wildcards, an explicit Deny, and what is not emulated."""

from typing import Any

import pytest

from headgate_cli.local.iam import INVOKE, PolicyRefused, compile_policies, is_allowed

API = "arn:aws:execute-api:us-east-1:123456789012:headgate/$default"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(*resources: str, action: Any = INVOKE, effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": list(resources)}


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("GET/flags", "GET/flags", True),
        ("GET/flags", "GET/flags/", False),
        ("GET/flags", "GET/flags/a", False),
        ("GET/flags", "get/flags", False),
        ("GET/flags", "GET/Flags", False),
        ("GET/flags/*", "GET/flags/a", True),
        ("GET/flags/*", "GET/flags/a/b", True),
        ("GET/flags/*", "GET/flags/", True),
        ("GET/flags/*", "GET/flags", False),
        ("POST/flags/*/kill", "POST/flags/a/kill", True),
        ("POST/flags/*/kill", "POST/flags/a/stage", False),
        ("POST/flags/*/kill", "POST/flags/a/kill/x", False),
        ("POST/flags/*/kill", "POST/flags/a\nb/kill", True),
        ("GET/flags/?", "GET/flags/a", True),
        ("GET/flags/?", "GET/flags/ab", False),
        ("GET/f.ags", "GET/flags", False),
        ("*", "DELETE/anything", True),
    ],
)
def test_resources_match_wildcards(pattern: str, path: str, allowed: bool) -> None:
    statements = compile_policies([policy(allow(f"{API}/{pattern}"))])
    assert is_allowed(statements, INVOKE, f"{API}/{path}") is allowed


@pytest.mark.parametrize(
    ("action", "allowed"),
    [(INVOKE, True), ("execute-api:*", True), ("*", True), ("EXECUTE-API:invoke", True), ("execute-api:Manage", False)],
)
def test_actions_are_case_insensitive(action: str, allowed: bool) -> None:
    assert is_allowed(compile_policies([policy(allow("*", action=[action]))]), INVOKE, f"{API}/GET/a") is allowed


def test_no_policy_allows_nothing() -> None:
    assert not is_allowed((), INVOKE, f"{API}/GET/a")


@pytest.mark.parametrize("deny_first", [True, False])
def test_explicit_deny_wins(deny_first: bool) -> None:
    pair = [policy(allow(f"{API}/GET/a", effect="Deny")), policy(allow("*"))]
    statements = compile_policies(pair if deny_first else pair[::-1])
    assert not is_allowed(statements, INVOKE, f"{API}/GET/a")
    assert is_allowed(statements, INVOKE, f"{API}/GET/b")


def test_another_account_or_api_is_not_covered() -> None:
    statements = compile_policies([policy(allow(f"{API}/*"))])
    assert not is_allowed(statements, INVOKE, f"{API}/GET/a".replace("123456789012", "210987654321"))
    assert not is_allowed(statements, INVOKE, f"{API}/GET/a".replace("headgate", "other"))


def test_single_statement_may_be_an_object() -> None:
    document = {"Statement": {"Effect": "Allow", "Action": INVOKE, "Resource": "*"}}
    assert is_allowed(compile_policies([document]), INVOKE, f"{API}/GET/a")


@pytest.mark.parametrize(
    "extra",
    [
        {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}},
        {"NotAction": "a"},
        {"NotResource": "a"},
        {"Principal": "*"},
        {"Effect": "Maybe"},
        {"Resource": "arn:aws:execute-api:*:*:*/*/GET/${aws:username}"},
    ],
)
def test_policy_element_that_is_not_emulated_is_rejected(extra: dict[str, Any]) -> None:
    with pytest.raises(PolicyRefused):
        compile_policies([policy({**allow("*"), **extra})])
