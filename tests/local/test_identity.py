"""The development identity provider, as a verifier sees it: discovery, keys, and tokens with the form's claims."""

import time
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from plain_client import Answer, Client

from headgate_cli.local.stack import Stack

FORM = {"content-type": "application/x-www-form-urlencoded"}


def ask(idp: Client, *fields: tuple[str, str]) -> Answer:
    return idp("POST", "/token", urlencode(fields).encode(), FORM)


def verified(idp: Client, token: str) -> dict[str, Any]:
    """The claims, verified by a stock library from the discovery document alone."""
    configuration = idp("GET", "/.well-known/openid-configuration").document
    assert configuration["issuer"] == idp.base
    key = jwt.PyJWKClient(configuration["jwks_uri"]).get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=configuration["id_token_signing_alg_values_supported"],
        audience="headgate-local",
        issuer=configuration["issuer"],
        options={"require": ["iss", "sub", "aud", "exp", "iat", "jti"]},
    )
    return claims


def test_token_has_the_claims_of_the_form(idp: Client, small: Stack) -> None:
    form = [("sub", "alice"), ("orgs", "acme, beta,"), ("admin", "true"), ("plan", "pro"), ("email_verified", "false")]
    answer = ask(idp, *form)
    assert answer.headers["cache-control"] == "no-store"
    claims = verified(idp, answer.document["id_token"])
    now = time.time()
    assert claims.pop("jti")
    assert claims["exp"] - claims["iat"] == 7200
    assert abs(claims.pop("iat") - now) < 5
    assert claims.pop("exp")
    assert claims == {
        "iss": small.idp,
        "aud": "headgate-local",
        "sub": "alice",
        "orgs": ["acme", "beta"],
        "admin": True,
        "plan": "pro",
        "email_verified": "false",
    }


@pytest.mark.parametrize("text", ["false", "True", "1", "yes", "", "true "])
def test_admin_is_true_only_for_the_text_true(idp: Client, text: str) -> None:
    claims = verified(idp, ask(idp, ("sub", "bob"), ("admin", text)).document["id_token"])
    assert "admin" not in claims


def test_orgs_claim_is_absent_without_orgs(idp: Client) -> None:
    assert "orgs" not in verified(idp, ask(idp, ("sub", "bob"), ("orgs", " , ")).document["id_token"])


def test_each_token_is_unique(idp: Client) -> None:
    one, two = (verified(idp, ask(idp, ("sub", "bob")).document["id_token"])["jti"] for _ in range(2))
    assert one != two


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("sub", "")],
        [("sub", "a"), ("sub", "b")],
        [("sub", "a"), ("iss", "x")],
        [("sub", "a"), ("aud", "x")],
        [("sub", "a"), ("exp", "1")],
    ],
)
def test_form_without_a_subject_or_with_reserved_claims_is_rejected(idp: Client, fields: list[tuple[str, str]]) -> None:
    answer = ask(idp, *fields)
    assert (answer.status, answer.document["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(("method", "target"), [("GET", "/token"), ("POST", "/jwks"), ("GET", "/nothing")])
def test_other_route_is_not_found(idp: Client, method: str, target: str) -> None:
    assert idp(method, target).status in (404, 405)


def test_unknown_host_name_is_rejected(idp: Client) -> None:
    """A page that rebinds its name to loopback must not sign people in."""
    answer = idp("POST", "/token", b"sub=a", {**FORM, "host": "evil.example"})
    assert answer.status == 400


def test_page_may_connect_only_to_the_api(idp: Client, small: Stack) -> None:
    answer = idp("GET", "/")
    assert answer.status == 200
    assert f'const API = "{small.api}";' in answer.body.decode()
    assert f"connect-src 'self' {small.api}" in answer.headers["content-security-policy"]
