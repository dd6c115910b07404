"""Issued tokens: verifiers accept all of them, and nothing else is issued."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_forge.own import ACTIVE, ANY, AUDIENCE, ISSUER, NOW, verifier

from headgate.core import keyring, session
from headgate.core.flag import RESERVED_CLAIMS
from headgate.core.limits import MAX_ID_BYTES
from headgate.core.profile import LIFETIME_HIGH
from headgate.tokens import limits
from headgate.tokens.claims import PROFILES, Kind
from headgate.tokens.compact import decode
from headgate.tokens.issue import Grant, InvalidGrant, TokenTooLarge, issue, measure
from headgate.tokens.keys import NotP256
from headgate.tokens.refusals import TokenRefused


def grant(kind: Kind = Kind.ACCESS, **over: object) -> Grant:
    """A valid grant of a kind, with these members changed."""
    fields: dict[str, object] = {"subject": "user-1", "client_id": "web", "lifetime": 300, "rev": 7}
    if kind is not Kind.SERVICE:
        fields["orgs"] = ("org-1",)
    if kind is Kind.SESSION:
        fields["sid"] = "town:1"
    return Grant(kind=kind, issuer=ISSUER, audience=AUDIENCE, **(fields | over))  # type: ignore[arg-type]


def parts(token: str) -> tuple[dict[str, object], dict[str, object]]:
    """Header and claims."""
    header, payload, _ = token.split(".")
    return json.loads(decode(header)), json.loads(decode(payload))


def test_an_access_token_follows_rfc_9068() -> None:
    given_grant = grant(admin=True, entitlements=("a", "b"), attributes={"plan": "pro"}, extra={"version": 3})
    token, credential = issue(ACTIVE, given_grant, NOW + 0.9, jti="j-1")
    header, claims = parts(token)
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": "key-active"}
    assert claims == {
        "iss": ISSUER,
        "sub": "user-1",
        "aud": "headgate",
        "client_id": "web",
        "exp": NOW + 300,
        "iat": NOW,
        "jti": "j-1",
        "scope": "access",
        "rev": 7,
        "orgs": ["org-1"],
        "entitlements": ["a", "b"],
        "admin": True,
        "attributes": {"plan": "pro"},
        "version": 3,
    }
    assert verifier().verify(token, NOW, ANY) == credential


@pytest.mark.parametrize(
    ("kind", "typ", "aud", "members"),
    [
        (Kind.ACCESS, "at+jwt", "headgate", {"orgs", "entitlements"}),
        (Kind.SESSION, "hg-session+jwt", "headgate", {"orgs", "sid", "gen"}),
        (Kind.EVALUATE, "hg-evaluate+jwt", "headgate:evaluate", {"orgs"}),
        (Kind.SERVICE, "hg-service+jwt", "headgate:evaluate", set()),
    ],
)
def test_each_kind_has_its_own_typ_audience_scope_and_claims(kind: Kind, typ: str, aud: str, members: set[str]) -> None:
    header, claims = parts(issue(ACTIVE, grant(kind), NOW)[0])
    assert (header["typ"], claims["aud"], claims["scope"]) == (typ, aud, kind.value)
    assert claims.keys() == {"iss", "sub", "aud", "client_id", "exp", "iat", "jti", "scope", "rev"} | members


def test_every_issued_claim_is_a_reserved_name() -> None:
    for kind in Kind:
        assert parts(issue(ACTIVE, grant(kind), NOW)[0])[1].keys() <= RESERVED_CLAIMS
    assert {"admin", "attributes", "nbf"} <= RESERVED_CLAIMS


def test_absent_members_are_not_written() -> None:
    _, claims = parts(issue(ACTIVE, grant(), NOW)[0])
    assert not {"admin", "attributes", "sid", "nbf"} & claims.keys()
    assert claims["entitlements"] == []


def test_each_token_has_its_own_jti() -> None:
    ids = {issue(ACTIVE, grant(), NOW)[1].jti for _ in range(100)}
    assert len(ids) == 100
    assert all(len(jti) == 32 and jti.isalnum() for jti in ids)


def test_no_two_kinds_share_a_typ_or_a_scope() -> None:
    assert len({profile.typ for profile in PROFILES.values()}) == len(Kind)
    assert len({profile.scope for profile in PROFILES.values()}) == len(Kind)


@pytest.mark.parametrize("name", sorted(RESERVED_CLAIMS))
def test_a_token_profile_cannot_override_a_reserved_claim(name: str) -> None:
    with pytest.raises(InvalidGrant):
        issue(ACTIVE, grant(extra={name: True}), NOW)


@pytest.mark.parametrize(
    "over",
    [
        {"subject": ""},
        {"subject": "a b"},
        {"subject": "a\n"},
        {"subject": "a\ud800"},
        {"subject": "x" * 257},
        {"client_id": ""},
        {"lifetime": 0},
        {"lifetime": -1},
        {"lifetime": 3_601},
        {"lifetime": 1.5},
        {"rev": -1},
        {"rev": True},
        {"orgs": ("a b",)},
        {"entitlements": ("",)},
        {"admin": "true"},
        {"admin": 1},
        {"attributes": {"a": {}}},
        {"attributes": {"a": None}},
        {"attributes": {"a": float("nan")}},
        {"attributes": {"a b": 1}},
        {"sid": "town:1"},
        {"extra": {"x": float("inf")}},
        {"extra": {"x": b"bytes"}},
        {"extra": {"x": "\udfff"}},
        {"extra": {"a": 1, 1: 2, "1": 3}},
        {"kind": Kind.SESSION},
        {"kind": Kind.SESSION, "sid": "a/b"},
        {"kind": Kind.SESSION, "sid": "town:1", "admin": True},
        {"kind": Kind.SESSION, "sid": "town:1", "entitlements": ("a",)},
        {"kind": Kind.EVALUATE, "entitlements": ("a",)},
        {"kind": Kind.SERVICE},
        {"kind": Kind.SERVICE, "orgs": (), "admin": True},
    ],
    ids=str,
)
def test_a_grant_that_a_verifier_would_refuse_is_not_issued(over: dict[str, object]) -> None:
    fields: dict[str, object] = {"subject": "u", "client_id": "web", "lifetime": 300, "rev": 7, "orgs": ("org-1",)}
    wrong = Grant(**{"kind": Kind.ACCESS, "issuer": ISSUER, "audience": AUDIENCE} | fields | over)  # type: ignore[arg-type]
    with pytest.raises(InvalidGrant) as caught:
        issue(ACTIVE, wrong, NOW)
    assert "town" not in str(caught.value)


def test_an_invalid_jti_is_not_issued() -> None:
    with pytest.raises(InvalidGrant):
        issue(ACTIVE, grant(), NOW, jti="a b")


def test_token_limits_agree_with_the_limits_elsewhere() -> None:
    assert limits.LIFETIME == LIFETIME_HIGH == session.SESSION_TOKEN_LIFE
    assert limits.LIFETIME < keyring.LONGEST_TOKEN_LIFE
    assert limits.TEXT_BYTES == MAX_ID_BYTES


def test_the_size_limit_equals_the_verifiers_to_the_byte() -> None:
    def padded(size: int) -> Grant:
        return grant(extra={"x": "a" * size})

    most = max(size for size in range(2_000, 3_072) if _fits(padded(size)))
    token, credential = issue(ACTIVE, padded(most), NOW)
    assert len(token) <= limits.TOKEN_BYTES
    assert limits.TOKEN_BYTES - len(token) < 150
    assert verifier().verify(token, NOW, ANY) == credential
    with pytest.raises(TokenTooLarge):
        issue(ACTIVE, padded(most + 1), NOW)


def _fits(large: Grant) -> bool:
    try:
        measure(large, ACTIVE.kid)
    except TokenTooLarge:
        return False
    return True


def test_measure_equals_the_issued_size() -> None:
    assert measure(grant(), "k") + 4 == measure(grant(), "kkkk")
    for size in (0, 1, 2, 3, 500):
        large = grant(extra={"x": "\u00e9" * size})
        assert measure(large, ACTIVE.kid) == len(issue(ACTIVE, large, NOW)[0])


def test_a_key_id_that_a_verifier_would_refuse_is_refused_when_issuing() -> None:
    with pytest.raises(TokenTooLarge):
        measure(grant(), "k" * 400)


class Broken:
    """A signer whose answer is not a signature."""

    kid = "key-active"

    def sign(self, message: bytes) -> bytes:
        return message[:70]


def test_without_a_valid_signature_no_token_is_issued() -> None:
    with pytest.raises(NotP256):
        issue(Broken(), grant(), NOW)


plain = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=30)
scalar = st.one_of(plain, st.integers(-(2**60), 2**60), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))


@given(
    kind=st.sampled_from([Kind.ACCESS, Kind.EVALUATE]),
    subject=plain,
    client_id=plain,
    orgs=st.lists(plain, max_size=4).map(tuple),
    admin=st.booleans(),
    attributes=st.dictionaries(plain, st.one_of(scalar, st.lists(scalar, max_size=3).map(tuple)), max_size=3),
    rev=st.integers(0, 2**53 - 1),
    lifetime=st.integers(1, 3_600),
    now=st.floats(0, 4e9),
)
def test_an_issued_token_verifies_to_its_grant(kind: Kind, now: float, **fields: object) -> None:
    try:
        token, credential = issue(ACTIVE, grant(kind, **fields), now)
    except TokenTooLarge:
        return
    assert verifier().verify(token, now, ANY) == credential
    for name in ("subject", "client_id", "orgs", "admin", "attributes", "rev"):
        assert getattr(credential, name) == fields[name]
    with pytest.raises(TokenRefused):
        verifier().verify(token, credential.exp, ANY)
