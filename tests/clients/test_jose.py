"""A stock JWT library verifies access tokens with the published keys, in Node and in workerd.

It knows only the issuer's key set and the checks of RFC 9068 §4 (typ, iss, aud, exp, signature).
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from running_gate import Gate, Person

LIFETIME = 3_600
"""Seconds; rules.yaml's token profile."""


@dataclass(frozen=True, slots=True)
class Check:
    """A token, how it is checked, and the expected result: claims, or the claim or code of the refusal."""

    token: str
    found: Mapping[str, Any]
    against: Mapping[str, Any] = field(default_factory=dict)


@pytest.fixture(scope="module")
def checks(gate: Gate) -> dict[str, Check]:
    """Valid tokens, and invalid ones of every kind."""
    admin, listed = Person("root", ("org-9",), admin=True), Person("listed-0")
    access, admins = gate.access_token(listed), gate.access_token(admin)
    issuer, audience = gate.ready["issuer"], gate.ready["audience"]
    signature = {"refused": "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"}
    evaluation = gate.evaluation_token(listed)
    expires = _claims(access)["exp"]
    return {
        "a user's": Check(access, {"sub": "listed-0", "gastownAccess": True, "iss": issuer, "aud": audience}),
        "an admin's": Check(admins, {"sub": "root", "admin": True, "isAdmin": True, "orgs": ["org-9"], "version": 3}),
        "in its last second": Check(access, {"sub": "listed-0", "exp": expires}, {"at": expires - 1}),
        "expired": Check(access, {"refused": "exp"}, {"at": expires}),
        "for another service": Check(access, {"refused": "aud"}, {"audience": "other"}),
        "by another issuer": Check(access, {"refused": "iss"}, {"issuer": issuer + "/"}),
        "an evaluation token": Check(evaluation, {"refused": "typ"}),
        "an evaluation token, ignoring its type": Check(evaluation, {"refused": "aud"}, {"typ": "hg-evaluate+jwt"}),
        "a service token": Check(gate.service_token(), {"refused": "typ"}),
        "a session token": Check(gate.session_token(access, "town:1"), {"refused": "typ"}),
        "an identity token": Check(gate.id_token(listed), {"refused": "ERR_JWKS_NO_MATCHING_KEY"}),
        "more claimed than signed": Check(_with_claims(access, admin=True), signature),
        "another's signature": Check(_spliced(access, admins), signature),
        "one bit of the signature": Check(_flipped(access), signature),
        "no signature": Check(_unsigned(access), {"refused": "ERR_JOSE_ALG_NOT_ALLOWED"}),
        "no token": Check("x", {"refused": "ERR_JWS_INVALID"}),
    }


@pytest.fixture(scope="module", params=["node", "workerd"])
def found(request: pytest.FixtureRequest, gate: Gate, node: Callable[..., Any], checks: dict[str, Check]) -> Any:
    """jose's result for each, in one process."""
    jwks = gate.call("GET", "/.well-known/oauth-authorization-server").expect(200).json["jwks_uri"]
    expected = {"jwks": jwks, "issuer": gate.ready["issuer"], "audience": gate.ready["audience"]}
    asked = [{**expected, **check.against, "token": check.token} for check in checks.values()]
    answers = node(f"jose_{request.param}.mjs", {"checks": asked})
    if request.param == "workerd":
        assert answers.pop() == "Cloudflare-Workers"
    return dict(zip(checks, answers, strict=True))


def test_valid_tokens_are_accepted_and_invalid_ones_rejected(checks: dict[str, Check], found: dict[str, Any]) -> None:
    for name, check in checks.items():
        seen = {member: found[name].get(member) for member in check.found}
        assert seen == check.found, name


def test_access_token_has_the_claims_of_the_profile(found: dict[str, Any]) -> None:
    claims = found["a user's"]
    assert claims["entitlements"] == sorted(claims["entitlements"])
    assert {"gastown-access", "gastown-convoys", "gastown-multi-rig"} <= set(claims["entitlements"])
    assert (claims["kiloUserId"], claims["version"]) == ("listed-0", 3)
    assert claims["exp"] - claims["iat"] == LIFETIME
    assert "admin" not in claims
    assert "isAdmin" not in claims


def test_key_set_is_cacheable_and_has_only_public_keys(gate: Gate) -> None:
    answer = gate.call("GET", "/.well-known/jwks.json").expect(200)
    assert "max-age=" in answer.headers["cache-control"]
    for key in answer.json["keys"]:
        assert key["kty"] == "EC"
        assert {"kid", "crv", "x", "y"} <= key.keys()
        assert "d" not in key


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _with_claims(token: str, **more: Any) -> str:
    head, _, signature = token.split(".")
    return ".".join((head, _part({**_claims(token), **more}), signature))


def _spliced(token: str, other: str) -> str:
    return token.rpartition(".")[0] + "." + other.rpartition(".")[2]


def _flipped(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[10] ^= 1
    return signed + "." + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unsigned(token: str) -> str:
    header = jwt.get_unverified_header(token)
    return ".".join((_part({**header, "alg": "none"}), token.split(".")[1], ""))
