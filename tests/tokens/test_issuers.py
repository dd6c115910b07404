"""The configuration of identity issuers: parsed whole, or refused with all faults."""

import json
from typing import Any

import pytest

from headgate.core.documents import Invalid
from headgate.tokens.issuers import AdminClaim, ClaimNames, IdentityIssuer, is_url, parse_issuers

GOOD: dict[str, Any] = {"issuer": "https://idp.example", "audience": ["web"]}


def faults(document: object) -> dict[str, str]:
    """The message of each fault, by path."""
    with pytest.raises(Invalid) as caught:
        parse_issuers(document if isinstance(document, str) else json.dumps(document))
    return dict(caught.value.faults)


def test_an_issuer_needs_only_its_url_and_audience() -> None:
    assert parse_issuers(json.dumps([GOOD])) == (IdentityIssuer("https://idp.example", ("web",)),)
    assert parse_issuers("[]") == ()


def test_defaults_are_strict() -> None:
    (issuer,) = parse_issuers(json.dumps([GOOD]))
    assert (issuer.algorithms, issuer.max_age, issuer.azp, issuer.jwks_uri) == (("RS256", "ES256"), 600, (), None)
    assert issuer.claims == ClaimNames("sub", "orgs", None, ())


def test_all_members_of_an_issuer_are_parsed() -> None:
    full = {
        "issuer": "http://127.0.0.1:3001",
        "audience": ["web", "cli"],
        "jwks_uri": "http://127.0.0.1:3001/jwks",
        "azp": ["web"],
        "algorithms": ["ES256"],
        "max_age": 7_200,
        "claims": {"user": "uid", "orgs": "https://corp.example/orgs", "admin": "root", "attributes": ["plan", "beta"]},
        "prefix": "dev:",
        "unverified_email": True,
    }
    assert parse_issuers(json.dumps([full, GOOD | {"prefix": ""}]))[0] == IdentityIssuer(
        "http://127.0.0.1:3001",
        ("web", "cli"),
        "http://127.0.0.1:3001/jwks",
        ("web",),
        ("ES256",),
        7_200,
        ClaimNames("uid", "https://corp.example/orgs", AdminClaim("root"), ("plan", "beta")),
        "dev:",
        unverified_email=True,
    )
    member = {"claims": {"admin": {"claim": "groups", "contains": "admins"}}}
    assert parse_issuers(json.dumps([GOOD | member]))[0].claims.admin == AdminClaim("groups", "admins")


@pytest.mark.parametrize(
    "text", ["", "{", "null", "{}", '"x"', "1", "[1]", "[null]", '[{"a":1,"a":2}]', "[NaN]", "\ud800"]
)
def test_a_configuration_that_is_not_a_list_of_objects_is_refused(text: str) -> None:
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
        ({"claims": {"user": "x", "orgs": "x"}}, "claims"),
        ({"claims": {"admin": None}}, "claims.admin"),
        ({"claims": {"admin": ["groups"]}}, "claims.admin"),
        ({"claims": {"admin": {"claim": "groups"}}}, "claims.admin.contains"),
        ({"claims": {"admin": {"claim": "groups", "contains": ""}}}, "claims.admin.contains"),
        ({"claims": {"admin": {"claim": "groups", "contains": ["a"]}}}, "claims.admin.contains"),
        ({"claims": {"admin": {"contains": "a"}}}, "claims.admin.claim"),
        ({"claims": {"admin": {"claim": "g", "contains": "a", "x": 1}}}, "claims.admin.x"),
        ({"prefix": 1}, "prefix"),
        ({"prefix": "a b"}, "prefix"),
        ({"prefix": "p" * 65}, "prefix"),
        ({"trusted_as_one": "yes"}, "trusted_as_one"),
        ({"prefix": "a:", "trusted_as_one": True}, ""),
        ({"unverified_email": 1}, "unverified_email"),
        ({"claims": {"group": "x"}}, "claims.group"),
        ({"secret": "x"}, "secret"),
    ],
    ids=str,
)
def test_an_invalid_member_is_reported_with_its_path(over: dict[str, object], path: str) -> None:
    assert f"issuers[0].{path}".rstrip(".") in faults([GOOD | over])


def test_all_faults_are_reported_at_once_without_values() -> None:
    wrong = GOOD | {"issuer": "http://canary.example", "audience": [], "algorithms": ["HS256"], "max_age": 0, "x": 1}
    found = faults([wrong, {}])
    assert len(found) == 9
    assert "canary" not in str(found)


def test_a_duplicate_issuer_is_refused() -> None:
    twice = [GOOD | {"prefix": ""}, GOOD | {"prefix": "b:"}]
    assert faults(twice) == {"issuers": "must not list an issuer twice"}


ONE, OTHER, THIRD = GOOD, GOOD | {"issuer": "https://b.example"}, GOOD | {"issuer": "https://c.example"}
EMPTY, TRUSTED = {"prefix": ""}, {"trusted_as_one": True}


@pytest.mark.parametrize(
    ("issuers", "paths"),
    [
        ([ONE, OTHER], {"issuers[0].prefix", "issuers[1].prefix"}),
        ([ONE | EMPTY, OTHER], {"issuers[1].prefix"}),
        ([ONE | TRUSTED, OTHER], {"issuers[1].prefix"}),
        ([ONE | EMPTY, OTHER | EMPTY], {"issuers"}),
        ([ONE | EMPTY, OTHER | TRUSTED], {"issuers"}),
        ([ONE | {"prefix": "a:"}, OTHER | {"prefix": "a:"}], {"issuers"}),
        ([ONE | {"prefix": "a:b:"}, OTHER | {"prefix": "a:"}, THIRD | {"prefix": "b:"}], {"issuers"}),
        ([ONE | {"prefix": "a"}, OTHER | {"prefix": "b"}, THIRD | {"prefix": "ab"}], {"issuers"}),
    ],
)
def test_issuers_whose_subjects_could_be_confused_are_refused(issuers: list[object], paths: set[str]) -> None:
    assert faults(issuers).keys() == paths


@pytest.mark.parametrize(
    "issuers",
    [
        [ONE | EMPTY, OTHER | {"prefix": "b:"}, THIRD | {"prefix": "c:"}],
        [ONE | {"prefix": "a:"}, OTHER | {"prefix": "b:"}],
        [ONE | TRUSTED, OTHER | TRUSTED, THIRD | {"prefix": "c:"}],
        [ONE | TRUSTED],
        [ONE | {"prefix": "a:"}],
    ],
)
def test_issuers_whose_subjects_stay_apart_are_accepted(issuers: list[object]) -> None:
    assert len(parse_issuers(json.dumps(issuers))) == len(issuers)


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.9.9.9/x", "http://[::1]:80/", "HTTPS://a.example/?x"]
)
def test_https_and_loopback_urls_are_valid(url: str) -> None:
    assert is_url(url)
