"""The configuration of identity issuers: parsed whole, or refused with every fault."""

import json
from typing import Any

import pytest

from headgate.core.documents import Invalid
from headgate.tokens.issuers import ClaimNames, IdentityIssuer, is_url, parse_issuers

GOOD: dict[str, Any] = {"issuer": "https://idp.example", "audience": ["web"]}


def faults(document: object) -> dict[str, str]:
    """Path to message of everything wrong."""
    with pytest.raises(Invalid) as caught:
        parse_issuers(document if isinstance(document, str) else json.dumps(document))
    return dict(caught.value.faults)


def test_the_least_that_can_be_said() -> None:
    assert parse_issuers(json.dumps([GOOD])) == (IdentityIssuer("https://idp.example", ("web",)),)
    assert parse_issuers("[]") == ()


def test_defaults_are_strict() -> None:
    (issuer,) = parse_issuers(json.dumps([GOOD]))
    assert (issuer.algorithms, issuer.max_age, issuer.azp, issuer.jwks_uri) == (("RS256", "ES256"), 600, (), None)
    assert issuer.claims == ClaimNames("sub", "orgs", "admin", ())


def test_everything_that_can_be_said() -> None:
    full = {
        "issuer": "http://127.0.0.1:3001",
        "audience": ["web", "cli"],
        "jwks_uri": "http://127.0.0.1:3001/jwks",
        "azp": ["web"],
        "algorithms": ["ES256"],
        "max_age": 7_200,
        "claims": {"user": "uid", "orgs": "https://corp.example/orgs", "admin": "root", "attributes": ["plan", "beta"]},
    }
    assert parse_issuers(json.dumps([full, GOOD]))[0] == IdentityIssuer(
        "http://127.0.0.1:3001",
        ("web", "cli"),
        "http://127.0.0.1:3001/jwks",
        ("web",),
        ("ES256",),
        7_200,
        ClaimNames("uid", "https://corp.example/orgs", "root", ("plan", "beta")),
    )


@pytest.mark.parametrize(
    "text", ["", "{", "null", "{}", '"x"', "1", "[1]", "[null]", '[{"a":1,"a":2}]', "[NaN]", "\ud800"]
)
def test_what_is_no_list_of_objects(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    ("over", "path"),
    [
        ({"issuer": 1}, "issuer"),
        ({"issuer": ""}, "issuer"),
        ({"issuer": "idp.example"}, "issuer"),
        ({"issuer": "http://idp.example"}, "issuer"),
        ({"issuer": "http://127.0.0.1.evil.example"}, "issuer"),
        ({"issuer": "http://localhost.evil.example"}, "issuer"),
        ({"issuer": "ftp://idp.example"}, "issuer"),
        ({"issuer": "https://"}, "issuer"),
        ({"issuer": "https://user:secret@idp.example"}, "issuer"),
        ({"issuer": "https://idp.example#x"}, "issuer"),
        ({"issuer": "https://idp.example#"}, "issuer"),
        ({"issuer": "https://idp.example?x=1"}, "issuer"),
        ({"issuer": "https://idp.example:99999"}, "issuer"),
        ({"issuer": "https://idp.example/ x"}, "issuer"),
        ({"issuer": "https://idp.ex\u0430mple"}, "issuer"),
        ({"issuer": "https://idp.example\\@evil.example"}, "issuer"),
        ({"issuer": "https://[::1"}, "issuer"),
        ({"audience": []}, "audience"),
        ({"audience": "web"}, "audience"),
        ({"audience": [1]}, "audience"),
        ({"audience": ["web", "web"]}, "audience"),
        ({"audience": ["we b"]}, "audience"),
        ({"jwks_uri": "http://idp.example/keys"}, "jwks_uri"),
        ({"jwks_uri": "http://127.0.0.1/keys"}, "jwks_uri"),
        ({"jwks_uri": None}, "jwks_uri"),
        ({"azp": "web"}, "azp"),
        ({"azp": [None]}, "azp"),
        ({"algorithms": []}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["RS256", "HS512"]}, "algorithms"),
        ({"algorithms": ["rs256"]}, "algorithms"),
        ({"algorithms": "RS256"}, "algorithms"),
        ({"max_age": 0}, "max_age"),
        ({"max_age": -1}, "max_age"),
        ({"max_age": True}, "max_age"),
        ({"max_age": "600"}, "max_age"),
        ({"max_age": 86_401}, "max_age"),
        ({"claims": []}, "claims"),
        ({"claims": {"user": ""}}, "claims.user"),
        ({"claims": {"user": 1}}, "claims.user"),
        ({"claims": {"orgs": None}}, "claims.orgs"),
        ({"claims": {"attributes": "plan"}}, "claims.attributes"),
        ({"claims": {"attributes": ["a b"]}}, "claims.attributes"),
        ({"claims": {"user": "x", "admin": "x"}}, "claims"),
        ({"claims": {"group": "x"}}, "claims.group"),
        ({"secret": "x"}, "secret"),
    ],
    ids=str,
)
def test_each_fault_has_its_path(over: dict[str, object], path: str) -> None:
    assert f"issuers[0].{path}" in faults([GOOD | over])


def test_all_faults_come_at_once_and_hold_no_value() -> None:
    wrong = GOOD | {"issuer": "http://canary.example", "audience": [], "algorithms": ["HS256"], "max_age": 0, "x": 1}
    found = faults([wrong, {}])
    assert len(found) == 7
    assert "canary" not in str(found)


def test_an_issuer_is_named_once() -> None:
    assert faults([GOOD, GOOD]) == {"issuers": "must not list an issuer twice"}


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.9.9.9/x", "http://[::1]:80/", "HTTPS://a.example/?x"]
)
def test_urls_that_may_be_fetched(url: str) -> None:
    assert is_url(url)
