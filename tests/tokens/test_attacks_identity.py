"""Attacks on identity tokens: one test per row of the attack list, over the tables in `token_forge.bad_identity`."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from token_forge import bad_identity
from token_forge.bad_identity import Bad
from token_forge.own import NOW, text
from token_forge.provider import (
    CLAIMS,
    CLIENT,
    HEADER,
    IDP,
    ISSUER,
    Sign,
    ec_jwk,
    identity_token,
    provider,
    rs256,
    rs256_weak,
    rsa_jwk,
    sign,
    stranger,
    verifier,
    with_header,
)

from headgate.tokens.fetch import Document
from headgate.tokens.identity import IdentityUnavailable, IdentityVerifier
from headgate.tokens.issuers import AdminClaim, ClaimNames
from headgate.tokens.refusals import RefusalCode, TokenRefused


def rows(name: str) -> pytest.MarkDecorator:
    """One case per bad token of a table."""
    return pytest.mark.parametrize("bad", [pytest.param(bad, id=bad[0]) for bad in bad_identity.ROWS[name]()])


def refuse(bad: Bad, *, most_fetches: int = 1) -> None:
    """The token is refused for this reason, and nothing but the key set is fetched."""
    _, token, code = bad
    network = provider()
    with pytest.raises(TokenRefused) as caught:
        verifier(network).verify(token, NOW)
    assert caught.value.code is code
    assert len(network.asked) <= most_fetches
    assert set(network.asked) <= {f"{IDP}/keys"}


@rows("t07")
def test_t07_t08_an_access_token_as_identity_token_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("t13")
def test_t13_alg_none_is_refused(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t14")
def test_t14_an_algorithm_that_is_not_the_keys_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("t15")
def test_t15_a_variant_of_the_issuer_is_refused(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t16")
def test_t16_a_foreign_audience_or_authorized_party_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("t17")
def test_t17_an_invalid_or_expired_time_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("t18")
def test_t18_a_header_that_carries_or_points_to_a_key_is_refused(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t19")
def test_t19_a_malicious_key_id_is_refused(bad: Bad) -> None:
    refuse(bad, most_fetches=0 if bad[2] is RefusalCode.KEY_ID else 1)


@rows("t21")
def test_t21_deeply_nested_json_is_refused(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t22")
def test_t22_an_encrypted_token_is_refused(bad: Bad) -> None:
    refuse(bad, most_fetches=0)


@rows("t23")
def test_t23_a_subject_that_is_not_a_valid_id_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z38")
def test_z38_malformed_token_text_is_refused(bad: Bad) -> None:
    refuse(bad)


def test_t14_only_configured_algorithms_are_accepted() -> None:
    only_rsa = verifier(issuer=replace(ISSUER, algorithms=("RS256",)))
    with pytest.raises(TokenRefused) as caught:
        only_rsa.verify(identity_token(), NOW)
    assert caught.value.code is RefusalCode.ALGORITHM
    assert only_rsa.verify(with_header({"alg": "RS256", "kid": "rsa-1"}, by=rs256), NOW).user == "alice"


def test_t15_a_token_signed_by_another_issuers_key_is_refused() -> None:
    other = replace(ISSUER, issuer="https://other.example", jwks_uri="https://other.example/keys")
    network = provider()
    network.documents["https://other.example/keys"] = {"keys": [ec_jwk("other-1")]}
    both = verifier(network, ISSUER, other)
    with pytest.raises(TokenRefused) as caught:
        both.verify(identity_token({"iss": "https://other.example"}), NOW)
    assert caught.value.code is RefusalCode.UNKNOWN_KEY


def test_t16_azp_must_be_one_of_the_configured_parties() -> None:
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
def test_t16_client_id_is_azp_or_else_the_matched_audience(claims: dict[str, object], client: str) -> None:
    assert verifier().verify(identity_token(claims), NOW).client_id == client


def test_t17_times_within_the_leeway_are_accepted() -> None:
    for claims in ({"iat": NOW + 30}, {"nbf": NOW + 30}, {"iat": NOW - 600}, {"exp": NOW + 1}):
        assert verifier().verify(identity_token(claims), NOW).user == "alice"


def test_t17_max_age_is_configured_per_issuer() -> None:
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


def test_t26_with_the_provider_down_a_known_key_verifies_and_an_unknown_one_is_unavailable() -> None:
    network = provider()
    gate = verifier(network)
    gate.verify(identity_token(), NOW)
    network.down = True
    assert gate.verify(identity_token(), NOW + 90).user == "alice"
    with pytest.raises(IdentityUnavailable):
        gate.verify(with_header({"kid": "ec-9"}), NOW + 90)
    assert gate.verify(identity_token(), NOW + 91).user == "alice"


def test_t26_with_the_provider_down_from_the_start_all_keys_are_unavailable() -> None:
    network = provider()
    network.down = True
    with pytest.raises(IdentityUnavailable):
        verifier(network).verify(identity_token(), NOW)


def test_t24_an_email_address_as_user_id_must_be_verified() -> None:
    by_mail = verifier(issuer=replace(ISSUER, claims=ClaimNames(user="email")))
    mail = {"email": "alice@corp.example"}
    assert by_mail.verify(identity_token(mail | {"email_verified": True}), NOW).user == "alice@corp.example"
    for verified in ({}, *({"email_verified": value} for value in UNVERIFIED)):
        with pytest.raises(TokenRefused) as caught:
            by_mail.verify(identity_token(mail | verified), NOW)
        assert caught.value.code is RefusalCode.EMAIL_UNVERIFIED


UNVERIFIED = (False, None, "false", "True", "yes", 1, 0, "", [], {}, [True])


@pytest.mark.parametrize("verified", UNVERIFIED, ids=repr)
def test_t24_an_unverified_email_address_is_no_attribute(verified: object) -> None:
    claims = {"email": "root@corp.example", "email_verified": verified}
    assert "email" not in verifier().verify(identity_token(claims), NOW).attributes
    trusting = verifier(issuer=replace(ISSUER, unverified_email=True))
    assert trusting.verify(identity_token(claims), NOW).attributes["email"] == "root@corp.example"


@pytest.mark.parametrize("verified", [True, "true"])
def test_t24_a_verified_email_address_is_an_attribute(verified: object) -> None:
    """Apple writes the text "true"."""
    claims = {"email": "ada@corp.example", "email_verified": verified}
    assert verifier().verify(identity_token(claims), NOW).attributes["email"] == "ada@corp.example"


@pytest.mark.parametrize(
    ("orgs", "read"),
    [
        ("org-1", ("org-1",)),
        ("org-1,org-2", ("org-1,org-2",)),
        ({"acme": {"id": "1"}, "umbrella": {}}, ("acme", "umbrella")),
        (["acme", "umbrella", "acme"], ("acme", "umbrella")),
        *((empty, ()) for empty in ("", [], {}, None)),
    ],
    ids=str,
)
def test_orgs_may_be_a_list_one_text_or_a_map(orgs: object, read: tuple[str, ...]) -> None:
    identity = verifier().verify(identity_token({"orgs": orgs}), NOW)
    assert (identity.orgs, identity.orgs_cut, identity.unread) == (read, False, ())


@pytest.mark.parametrize(
    "orgs",
    [True, 1, "a b", "x" * 257, [1], [None], [""], ["a b"], ["x" * 257], [["org-1"]], {"a b": {}}, [{"id": "1"}]],
    ids=lambda orgs: str(orgs)[:40],
)
def test_orgs_that_cannot_be_read_are_absent_and_cut(orgs: object) -> None:
    identity = verifier().verify(identity_token({"orgs": orgs}), NOW)
    assert (identity.user, identity.orgs, identity.orgs_cut, identity.unread) == ("alice", (), True, ("orgs",))


def test_orgs_that_can_be_read_are_kept_beside_others() -> None:
    identity = verifier().verify(identity_token({"orgs": ["acme", "Two Words", 7, "umbrella"]}), NOW)
    assert (identity.orgs, identity.orgs_cut, identity.unread) == (("acme", "umbrella"), True, ("orgs",))


@pytest.mark.parametrize(
    "marker", [{"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}}, {"hasgroups": True}], ids=str
)
def test_groups_that_were_left_out_are_cut_and_make_no_admin(marker: dict[str, object]) -> None:
    """Entra ID leaves out more than 200 groups."""
    names = ClaimNames(orgs="groups", admin=AdminClaim("groups", "admins"))
    gate = verifier(issuer=replace(ISSUER, claims=names))
    for groups in ({}, {"groups": ["admins"]}):
        identity = gate.verify(identity_token(marker | groups), NOW)
        assert (identity.orgs_cut, identity.admin) == (True, False)


@pytest.mark.parametrize("value", [{}, {"a": 1}, [None], [[1]], [{}]], ids=str)
def test_an_attribute_that_cannot_be_read_is_absent(value: object) -> None:
    identity = verifier().verify(identity_token({"plan": value, "seats": 3}), NOW)
    assert (identity.attributes, identity.unread) == ({"seats": 3}, ("plan",))


@pytest.mark.parametrize("groups", ["admins", ["admins"], ["staff", "admins"], [1, None, "admins"]], ids=str)
def test_an_admin_may_be_a_member_of_a_group(groups: object) -> None:
    gate = verifier(issuer=replace(ISSUER, claims=ClaimNames(admin=AdminClaim("groups", "admins"))))
    assert gate.verify(identity_token({"groups": groups, "admin": False}), NOW).admin is True


@pytest.mark.parametrize(
    "groups",
    [
        "not-admins", "admins,x", "ADMINS", " admins", "admins ", '["admins"]', ["not-admins"], ["admins,x"],
        ["ADMINS"], [["admins"]], [{"admins": True}], {"admins": True}, {"groups": ["admins"]}, True, 1, None, [], "",
    ],
    ids=str,
)  # fmt: skip
def test_only_an_element_that_is_the_text_itself_makes_an_admin(groups: object) -> None:
    gate = verifier(issuer=replace(ISSUER, claims=ClaimNames(admin=AdminClaim("groups", "admins"))))
    assert gate.verify(identity_token({"groups": groups, "admin": True}), NOW).admin is False


def test_an_issuer_that_maps_no_admin_claim_has_no_admins() -> None:
    gate = verifier(issuer=replace(ISSUER, claims=ClaimNames()))
    assert gate.verify(identity_token({"admin": True}), NOW).admin is False


@pytest.mark.parametrize("time", [f"{NOW}.0", f"{NOW}.75", f"{NOW // 10**6}e6", "1.8e9"])
def test_a_time_may_have_a_fraction_or_an_exponent(time: str) -> None:
    claims = text({name: value for name, value in CLAIMS.items() if name not in ("iat", "exp")})[:-1]
    written = claims + f',"iat":{time},"nbf":{time},"exp":{NOW + 60}.5}}'.encode()
    identity = verifier().verify(sign(text(HEADER), written), NOW)
    assert (identity.iat, identity.exp) == (int(float(time)), NOW + 60)


SECOND = replace(ISSUER, issuer="https://second.example", jwks_uri="https://second.example/keys", prefix="second:")


def test_subjects_and_orgs_of_two_issuers_are_never_the_same() -> None:
    network = provider()
    network.documents["https://second.example/keys"] = network.documents[f"{IDP}/keys"]
    both = verifier(network, replace(ISSUER, prefix=""), SECOND)
    assert both.verify(identity_token(), NOW).user == "alice"
    second = both.verify(identity_token({"iss": "https://second.example"}), NOW)
    assert (second.user, second.orgs) == ("second:alice", ("second:org-1", "second:org-2"))
    for claims in ({"sub": "second:alice"}, {"orgs": ["second:org-1"]}):
        for issuer in (IDP, "https://second.example"):
            with pytest.raises(TokenRefused) as caught:
                both.verify(identity_token({"iss": issuer, **claims}), NOW)
            assert caught.value.code is RefusalCode.PREFIX
    with pytest.raises(TokenRefused) as caught:
        both.verify(identity_token({"iss": "https://second.example", "sub": "x" * 250}), NOW)
    assert caught.value.code is RefusalCode.SUBJECT


def test_a_valid_identity_token_gives_the_identity() -> None:
    claims = {"admin": True, "beta": False, "seats": 3, "tags": ["a", 1], "email": None, "unmapped": "x"}
    identity = verifier().verify(identity_token(claims), NOW)
    assert (identity.user, identity.orgs, identity.admin) == ("alice", ("org-1", "org-2"), True)
    assert identity.attributes == {"plan": "pro", "beta": False, "seats": 3, "tags": ("a", 1)}
    assert (identity.issuer, identity.iat, identity.exp) == (IDP, NOW, NOW + 3_600)


@pytest.mark.parametrize("admin", ["true", 1, "admin", {}, [True], [], None, False, "", 1.0])
def test_only_json_true_makes_an_admin(admin: object) -> None:
    assert verifier().verify(identity_token({"admin": admin}), NOW).admin is False


def test_an_unexpected_exception_is_refused_with_its_own_code() -> None:
    def explode(url: str) -> Document:
        raise ZeroDivisionError(url)

    with pytest.raises(TokenRefused) as caught:
        IdentityVerifier([ISSUER], explode).verify(identity_token(), NOW)
    assert caught.value.code is RefusalCode.UNEXPECTED


def test_a_null_claim_counts_as_missing() -> None:
    identity = verifier().verify(identity_token({"orgs": None, "plan": None, "admin": None}), NOW)
    assert (identity.orgs, identity.attributes, identity.admin) == ((), {}, False)


def test_claims_are_read_by_their_configured_names() -> None:
    names = ClaimNames(user="uid", orgs="https://corp.example/orgs", admin=AdminClaim("is_root"))
    gate = verifier(issuer=replace(ISSUER, claims=names))
    claims = {"uid": "u-1", "https://corp.example/orgs": ["o"], "is_root": True, "admin": False}
    identity = gate.verify(identity_token(claims), NOW)
    assert (identity.user, identity.orgs, identity.admin) == ("u-1", ("o",), True)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "Jwt", "application/jwt"])
def test_typ_may_be_jwt_in_any_case_or_missing(typ: str) -> None:
    assert verifier().verify(with_header({"typ": typ}), NOW).user == "alice"
    assert verifier().verify(with_header({}, "typ"), NOW).user == "alice"
    assert verifier().verify(with_header({}, "kid"), NOW).user == "alice"
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
    ],
    ids=lambda over: str(over)[:40],
)
def test_an_unusable_jwk_is_ignored(over: dict[str, object]) -> None:
    _refuse_key(rsa_jwk(**over), rs256)


@pytest.mark.parametrize("entry", ["rsa-1", None, 1, [], {}, {"kid": "rsa-1"}], ids=str)
def test_a_key_set_entry_that_is_not_a_jwk_is_ignored(entry: object) -> None:
    _refuse_key(entry, rs256)


def test_a_short_rsa_key_is_ignored() -> None:
    _refuse_key(rsa_jwk(bits=1_024), rs256_weak)


def test_a_key_on_another_curve_is_ignored_for_es256() -> None:
    _refuse_key(ec_jwk("rsa-1", ec.generate_private_key(ec.SECP384R1())), rs256, alg="ES256")


def _refuse_key(entry: object, signer: Sign, alg: str = "RS256") -> None:
    network = provider()
    network.documents[f"{IDP}/keys"] = {"keys": [entry, ec_jwk()]}
    with pytest.raises(TokenRefused) as caught:
        verifier(network).verify(with_header({"alg": alg, "kid": "rsa-1"}, by=signer), NOW)
    assert caught.value.code is RefusalCode.UNKNOWN_KEY
    assert verifier(network).verify(identity_token(), NOW).user == "alice"  # the other keys still verify


def test_bad_tokens_are_many_and_all_different() -> None:
    names = [(row, bad[0]) for row, table in bad_identity.ROWS.items() for bad in table()]
    assert len(names) == len(set(names)) >= 350


@pytest.mark.parametrize("unverified", [False, True])
@pytest.mark.parametrize(("verified", "admin", "orgs"), [(True, True, ("boss@corp.example",)), (False, False, ())])
def test_t24_an_unverified_email_address_makes_no_admin_and_no_org(
    unverified: bool, verified: bool, admin: bool, orgs: tuple[str, ...]
) -> None:
    names = ClaimNames(orgs="email", admin=AdminClaim("email", "boss@corp.example"))
    gate = verifier(issuer=replace(ISSUER, claims=names, unverified_email=unverified))
    identity = gate.verify(identity_token({"email": "boss@corp.example", "email_verified": verified}), NOW)
    assert (identity.admin, identity.orgs) == (admin, orgs)


def test_rules_on_orgs_see_the_prefix_and_nothing_of_orgs_that_are_cut() -> None:
    gate = verifier(issuer=replace(ISSUER, prefix="p:", claims=ClaimNames(attributes=("orgs",))))
    assert gate.verify(identity_token({"orgs": ["a", "b"]}), NOW).attributes == {"orgs": ("p:a", "p:b")}
    identity = gate.verify(identity_token({"orgs": ["a", "x" * 255]}), NOW)  # too long with the prefix
    assert (identity.orgs, identity.orgs_cut, identity.attributes) == (("p:a",), True, {})
