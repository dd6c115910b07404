"""Attacks on identity tokens: one test per row of the attack list, over the tables in `token_forge.bad_identity`."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from token_forge import bad_identity
from token_forge.bad_identity import Bad
from token_forge.own import NOW
from token_forge.provider import (
    CLIENT,
    IDP,
    ISSUER,
    Sign,
    ec_jwk,
    identity_token,
    provider,
    rs256,
    rs256_weak,
    rsa_jwk,
    stranger,
    verifier,
    with_header,
)

from headgate.tokens.fetch import Document
from headgate.tokens.identity import IdentityUnavailable, IdentityVerifier
from headgate.tokens.issuers import ClaimNames
from headgate.tokens.refusals import RefusalCode, TokenRefused


def rows(name: str) -> pytest.MarkDecorator:
    """One case per bad token of a table."""
    return pytest.mark.parametrize("bad", [pytest.param(bad, id=bad[0]) for bad in bad_identity.ROWS[name]()])


def refuse(bad: Bad, *, most_fetches: int = 1) -> None:
    """Refused for the one reason, asking the network for nothing but the key set."""
    _, token, code = bad
    network = provider()
    with pytest.raises(TokenRefused) as caught:
        verifier(network).verify(token, NOW)
    assert caught.value.code is code
    assert len(network.asked) <= most_fetches
    assert set(network.asked) <= {f"{IDP}/keys"}


@rows("t07")
def test_t07_t08_access_tokens_offered_as_identity_tokens(bad: Bad) -> None:
    refuse(bad)


@rows("t13")
def test_t13_alg_none(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t14")
def test_t14_another_algorithm_than_the_keys(bad: Bad) -> None:
    refuse(bad)


@rows("t15")
def test_t15_issuer_variants(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t16")
def test_t16_audiences_and_authorized_parties(bad: Bad) -> None:
    refuse(bad)


@rows("t17")
def test_t17_times(bad: Bad) -> None:
    refuse(bad)


@rows("t18")
def test_t18_headers_that_point_at_keys(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t19")
def test_t19_key_ids_that_are_attacks(bad: Bad) -> None:
    refuse(bad, most_fetches=1 if bad[2] is RefusalCode.UNKNOWN_KEY else 0)


@rows("t21")
def test_t21_nested_beyond_any_stack(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t22")
def test_t22_encrypted_tokens(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t23")
def test_t23_subjects_that_are_no_id(bad: Bad) -> None:
    refuse(bad)


@rows("t24")
def test_t24_unverified_addresses(bad: Bad) -> None:
    refuse(bad)


@rows("z38")
def test_z38_bent_text(bad: Bad) -> None:
    refuse(bad)


def test_t14_a_configured_algorithm_list_is_the_whole_list() -> None:
    only_rsa = verifier(issuer=replace(ISSUER, algorithms=("RS256",)))
    with pytest.raises(TokenRefused) as caught:
        only_rsa.verify(identity_token(), NOW)
    assert caught.value.code is RefusalCode.ALGORITHM
    assert only_rsa.verify(with_header({"alg": "RS256", "kid": "rsa-1"}, by=rs256), NOW).user == "alice"


def test_t15_the_keys_of_one_issuer_do_not_sign_for_another() -> None:
    other = replace(ISSUER, issuer="https://other.example", jwks_uri="https://other.example/keys")
    network = provider()
    network.documents["https://other.example/keys"] = {"keys": [ec_jwk("other-1")]}
    both = verifier(network, ISSUER, other)
    with pytest.raises(TokenRefused) as caught:
        both.verify(identity_token({"iss": "https://other.example"}), NOW)
    assert caught.value.code is RefusalCode.UNKNOWN_KEY


def test_t16_azp_where_the_configuration_names_them() -> None:
    strict = verifier(issuer=replace(ISSUER, azp=("web-app",)))
    assert strict.verify(identity_token({"azp": "web-app"}), NOW).client_id == "web-app"
    for claims in ({}, {"azp": CLIENT}):
        with pytest.raises(TokenRefused) as caught:
            strict.verify(identity_token(claims), NOW)
        assert caught.value.code is RefusalCode.AUTHORIZED_PARTY


@pytest.mark.parametrize(
    ("claims", "client"),
    [
        ({}, CLIENT),
        ({"aud": [CLIENT]}, CLIENT),
        ({"aud": ["second-client", CLIENT]}, "second-client"),
        ({"azp": CLIENT}, CLIENT),
        ({"aud": [CLIENT, "other"], "azp": CLIENT}, CLIENT),
        ({"aud": ["other", CLIENT], "azp": "second-client"}, "second-client"),
    ],
)
def test_t16_client_id_is_azp_else_the_matched_audience(claims: dict[str, object], client: str) -> None:
    assert verifier().verify(identity_token(claims), NOW).client_id == client


def test_t17_times_within_the_leeway_pass() -> None:
    for claims in ({"iat": NOW + 30}, {"nbf": NOW + 30}, {"iat": NOW - 600}, {"exp": NOW + 1}):
        assert verifier().verify(identity_token(claims), NOW).user == "alice"


def test_t17_max_age_is_the_issuers() -> None:
    patient = verifier(issuer=replace(ISSUER, max_age=7_200))
    assert patient.verify(identity_token({"iat": NOW - 7_200}), NOW).iat == NOW - 7_200
    with pytest.raises(TokenRefused) as caught:
        patient.verify(identity_token({"iat": NOW - 7_201}), NOW)
    assert caught.value.code is RefusalCode.TOO_OLD


def test_t20_a_thousand_unknown_key_ids_cause_one_fetch_a_minute() -> None:
    network = provider()
    gate = verifier(network)
    for n in range(1_000):
        with pytest.raises(TokenRefused) as caught:
            gate.verify(with_header({"kid": f"unknown-{n}"}, by=stranger), NOW + n * 0.059)
        assert caught.value.code is RefusalCode.UNKNOWN_KEY
    assert len(network.asked) == 1
    with pytest.raises(TokenRefused):
        gate.verify(with_header({"kid": "unknown"}, by=stranger), NOW + 60)
    assert len(network.asked) == 2


def test_t26_provider_down_a_known_key_works_and_an_unknown_one_is_unavailable() -> None:
    network = provider()
    gate = verifier(network)
    gate.verify(identity_token(), NOW)
    network.down = True
    assert gate.verify(identity_token(), NOW + 90).user == "alice"
    with pytest.raises(IdentityUnavailable):
        gate.verify(with_header({"kid": "ec-9"}), NOW + 90)
    assert gate.verify(identity_token(), NOW + 91).user == "alice"


def test_t26_provider_down_from_the_start_is_unavailable() -> None:
    network = provider()
    network.down = True
    with pytest.raises(IdentityUnavailable):
        verifier(network).verify(identity_token(), NOW)


def test_t24_a_user_known_by_address_needs_it_verified() -> None:
    by_mail = verifier(issuer=replace(ISSUER, claims=ClaimNames(user="email")))
    mail = {"email": "alice@corp.example"}
    assert by_mail.verify(identity_token(mail | {"email_verified": True}), NOW).user == "alice@corp.example"
    for verified in ({}, {"email_verified": False}, {"email_verified": "true"}):
        with pytest.raises(TokenRefused) as caught:
            by_mail.verify(identity_token(mail | verified), NOW)
        assert caught.value.code is RefusalCode.EMAIL_UNVERIFIED


def test_what_a_good_token_says() -> None:
    claims = {"admin": True, "beta": False, "seats": 3, "tags": ["a", 1], "email": None, "unmapped": "x"}
    identity = verifier().verify(identity_token(claims), NOW)
    assert (identity.user, identity.orgs, identity.admin) == ("alice", ("org-1", "org-2"), True)
    assert identity.attributes == {"plan": "pro", "beta": False, "seats": 3, "tags": ("a", 1)}
    assert (identity.issuer, identity.iat, identity.exp) == (IDP, NOW, NOW + 3_600)


@pytest.mark.parametrize("admin", ["true", 1, "admin", {}, [True], [], None, False, "", 1.0])
def test_only_true_is_an_admin(admin: object) -> None:
    assert verifier().verify(identity_token({"admin": admin}), NOW).admin is False


def test_a_bug_is_a_refusal_that_raises_an_alarm() -> None:
    def explode(url: str) -> Document:
        raise ZeroDivisionError(url)

    with pytest.raises(TokenRefused) as caught:
        IdentityVerifier([ISSUER], explode).verify(identity_token(), NOW)
    assert caught.value.code is RefusalCode.UNEXPECTED


def test_null_is_nothing() -> None:
    identity = verifier().verify(identity_token({"orgs": None, "plan": None, "admin": None}), NOW)
    assert (identity.orgs, identity.attributes, identity.admin) == ((), {}, False)


def test_claims_under_other_names() -> None:
    names = ClaimNames(user="uid", orgs="https://corp.example/orgs", admin="is_root")
    gate = verifier(issuer=replace(ISSUER, claims=names))
    claims = {"uid": "u-1", "https://corp.example/orgs": ["o"], "is_root": True, "admin": False}
    identity = gate.verify(identity_token(claims), NOW)
    assert (identity.user, identity.orgs, identity.admin) == ("u-1", ("o",), True)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "Jwt"])
def test_the_type_of_an_identity_token(typ: str) -> None:
    assert verifier().verify(with_header({"typ": typ}), NOW).user == "alice"
    assert verifier().verify(with_header({}, "typ"), NOW).user == "alice"
    assert verifier().verify(with_header({"x5t": "AAAA", "x5t#S256": "AAAA"}), NOW).user == "alice"


@pytest.mark.parametrize(
    "over",
    [
        {"use": "enc"},
        {"alg": "RS512"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"d": "AQAB"},
        {"e": "AQ"},
        {"n": 1},
        {"n": "A" * 200_000},
        {"n": "B" * 200_000},
        {"n": "_" * 1_400},
        {"n": "_" * 2_700},
        {"n": ""},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC"},
        {"kty": None},
        {"kid": 1},
        {"kid": "a b"},
        {"kid": None},
    ],
    ids=lambda over: str(over)[:40],
)
def test_keys_that_are_not_taken_from_a_key_set(over: dict[str, object]) -> None:
    _refuse_key(rsa_jwk(**over), rs256)


@pytest.mark.parametrize("entry", ["rsa-1", None, 1, [], {}, {"kid": "rsa-1"}], ids=str)
def test_entries_of_a_key_set_that_are_no_keys(entry: object) -> None:
    _refuse_key(entry, rs256)


def test_rsa_keys_that_are_too_short() -> None:
    _refuse_key(rsa_jwk(bits=1_024), rs256_weak)


def test_a_key_on_another_curve_is_no_es256_key() -> None:
    _refuse_key(ec_jwk("rsa-1", ec.generate_private_key(ec.SECP384R1())), rs256, alg="ES256")


def _refuse_key(entry: object, signer: Sign, alg: str = "RS256") -> None:
    network = provider()
    network.documents[f"{IDP}/keys"] = {"keys": [entry, ec_jwk()]}
    with pytest.raises(TokenRefused) as caught:
        verifier(network).verify(with_header({"alg": alg, "kid": "rsa-1"}, by=signer), NOW)
    assert caught.value.code is RefusalCode.UNKNOWN_KEY
    assert verifier(network).verify(identity_token(), NOW).user == "alice"  # one bad key spoils no other


def test_there_are_enough_bad_tokens_and_none_is_counted_twice() -> None:
    names = [(row, bad[0]) for row, table in bad_identity.ROWS.items() for bad in table()]
    assert len(names) == len(set(names)) >= 350
