"""Attacks on our own tokens: one test per row of the attack list, over the tables of `token_forge.bad_own`."""

import pytest
from token_forge import bad_own
from token_forge.bad_own import Bad
from token_forge.own import (
    ACCESS,
    ACTIVE,
    ANY,
    AUDIENCE,
    CLAIMS,
    HEADER,
    ISSUER,
    KEYS,
    NEXT,
    NOW,
    PREVIOUS,
    TYP,
    b64,
    good,
    sign,
    text,
    verifier,
    with_claims,
    with_header,
)

from headgate.tokens.claims import Kind
from headgate.tokens.compact import decode
from headgate.tokens.keys import ORDER
from headgate.tokens.refusals import RefusalCode, TokenRefused
from headgate.tokens.verify import VerifiedTokens, Verifier


def rows(name: str) -> pytest.MarkDecorator:
    """One case per bad token of a table."""
    return pytest.mark.parametrize("bad", [pytest.param(bad, id=bad[0]) for bad in bad_own.ROWS[name]()])


def refuse(bad: Bad) -> None:
    """The token is refused for this reason, and the refusal contains nothing of it."""
    _, token, code = bad
    with pytest.raises(TokenRefused) as caught:
        verifier().verify(token, NOW, ANY)
    assert caught.value.code is code
    assert str(caught.value) == code.value
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@rows("z30")
def test_z30_z31_text_that_is_not_one_token_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z33")
def test_z33_another_type_of_token_as_access_token_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z33_claims")
def test_z33_claims_and_scopes_of_another_kind_are_refused(bad: Bad) -> None:
    refuse(bad)


@pytest.mark.parametrize("kind", Kind)
def test_z33_a_valid_token_of_a_kind_not_accepted_here_is_refused(kind: Kind) -> None:
    with pytest.raises(TokenRefused) as caught:
        verifier().verify(good(kind), NOW, ANY - {kind})
    assert caught.value.code is RefusalCode.KIND


@pytest.mark.parametrize("kind", Kind)
def test_z33_a_token_with_the_header_of_another_kind_is_refused(kind: Kind) -> None:
    for other in ANY - {kind}:
        token = sign(text(HEADER | {"typ": TYP[other]}), text(CLAIMS[kind]))
        with pytest.raises(TokenRefused):
            verifier().verify(token, NOW, ANY)


@rows("z34")
def test_z34_a_missing_or_malformed_typ_is_refused(bad: Bad) -> None:
    refuse(bad)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "at+JWT", "At+Jwt"])
def test_z34_typ_is_case_insensitive(typ: str) -> None:
    assert verifier().verify(with_header({"typ": typ}), NOW, ANY).kind is Kind.ACCESS


@rows("z35")
def test_z35_malformed_signature_text_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z36")
def test_z36_a_signature_with_altered_numbers_is_refused(bad: Bad) -> None:
    refuse(bad)


def test_z37_the_high_s_signature_gives_the_same_credential() -> None:
    head, _, signature = good().rpartition(".")
    raw = decode(signature)
    twin = f"{head}.{b64(raw[:32] + (ORDER - int.from_bytes(raw[32:])).to_bytes(32))}"
    assert twin != good()
    assert verifier().verify(twin, NOW, ANY) == verifier().verify(good(), NOW, ANY)


@rows("z38")
def test_z38_a_payload_or_header_that_is_not_a_json_object_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z39")
def test_z39_a_duplicate_member_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z40")
def test_z40_a_time_or_revision_that_is_not_an_integer_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z40_claims")
def test_z40_another_claim_of_a_wrong_type_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z40_sessions")
def test_z40_a_claim_of_sessions_of_a_wrong_type_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z41")
def test_z41_deeply_nested_json_is_refused(bad: Bad) -> None:
    refuse(bad)


def test_z41_deep_unclosed_json_is_refused_on_every_python() -> None:
    for brackets in (1_300, 2_200):
        with pytest.raises(TokenRefused) as caught:
            verifier().verify(sign(text(HEADER), b"[" * brackets), NOW, ANY)
        assert caught.value.code in (RefusalCode.TOO_DEEP, RefusalCode.NOT_JSON)


@rows("z42")
def test_z42_a_token_that_is_too_large_is_refused_before_parsing(bad: Bad) -> None:
    refuse(bad)


@rows("z43")
def test_z43_a_foreign_audience_or_several_audiences_are_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z43_missing")
def test_z43_a_token_without_a_required_claim_is_refused(bad: Bad) -> None:
    refuse(bad)


def test_z43_a_token_of_another_deployment_stage_is_refused() -> None:
    production = Verifier(ISSUER, "headgate-prod", KEYS)
    with pytest.raises(TokenRefused) as caught:
        production.verify(good(), NOW, ANY)
    assert caught.value.code is RefusalCode.AUDIENCE


@rows("z44")
def test_z44_a_variant_of_the_issuer_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("z45")
def test_z45_a_wrong_key_or_algorithm_is_refused(bad: Bad) -> None:
    refuse(bad)


@pytest.mark.parametrize("signer", [ACTIVE, NEXT, PREVIOUS], ids=lambda signer: signer.kid)
def test_z45_next_active_and_previous_keys_verify(signer) -> None:  # type: ignore[no-untyped-def]
    assert verifier().verify(good(by=signer), NOW, ANY).kid == signer.kid


@rows("t18")
def test_z45_t18_any_other_header_member_is_refused(bad: Bad) -> None:
    refuse(bad)


def test_z46_a_credential_has_all_that_a_revocation_matches_on() -> None:
    seen = VerifiedTokens()
    for _ in range(2):  # verified, then remembered
        credential = verifier(seen).verify(good(), NOW, ANY)
        assert (credential.subject, credential.jti, credential.iat) == ("user-1", "0123456789abcdef", NOW)


def test_z47_a_token_expires_to_the_second_also_if_seen_before() -> None:
    seen = VerifiedTokens()
    assert verifier(seen).verify(good(), NOW + 299.999, ANY).exp == NOW + 300
    for later in (300, 300.001, 10_000):
        with pytest.raises(TokenRefused) as caught:
            verifier(seen).verify(good(), NOW + later, ANY)
        assert caught.value.code is RefusalCode.EXPIRED


def test_z50_a_token_replayed_ten_thousand_times_is_one_credential() -> None:
    seen = VerifiedTokens()
    gate, token = verifier(seen), good()
    assert len({gate.verify(token, NOW + n / 100, ANY).jti for n in range(10_000)}) == 1
    assert len(seen) == 1


@rows("t23")
def test_t23_a_subject_that_is_not_a_valid_id_is_refused(bad: Bad) -> None:
    refuse(bad)


def test_times_within_the_leeway_are_accepted() -> None:
    for claims in ({"iat": NOW + 30}, {"nbf": NOW + 30}, {"nbf": NOW - 5}, {"exp": NOW + 3_600}, {"exp": NOW + 1}):
        assert verifier().verify(with_claims(claims), NOW, ANY).subject == "user-1"


def test_unknown_claims_are_ignored_whatever_their_value() -> None:
    extra = {"gastownAccess": True, "version": 3, "isAdmin": "true", "x": {"deep": [1, None, {"a": 1.5}]}, "cnf": None}
    plain = verifier().verify(good(), NOW, ANY)
    assert verifier().verify(with_claims(extra), NOW, ANY) == plain
    assert not plain.admin


def test_only_json_true_makes_an_admin() -> None:
    assert verifier().verify(with_claims({"admin": True}), NOW, ANY).admin is True
    assert verifier().verify(good(), NOW, ANY).admin is False


def test_attributes_keep_their_types() -> None:
    given = {"plan": "pro", "seats": 3, "ratio": 0.5, "beta": True, "tags": ["a", 1, False], "none": []}
    read = verifier().verify(with_claims({"attributes": given}), NOW, ANY).attributes
    assert read == given | {"tags": ("a", 1, False), "none": ()}
    assert type(read["beta"]) is bool
    with pytest.raises(TypeError):
        read["plan"] = "free"  # type: ignore[index]


def test_ids_that_look_alike_stay_different() -> None:
    for sub in ("caf\u00e9", "cafe\u0301", "a\u200db", "ab", "\u0430b"):
        assert verifier().verify(with_claims({"sub": sub}), NOW, ANY).subject == sub


def test_escaped_text_is_the_same_text() -> None:
    payload = text(ACCESS | {"sub": "\u00e9\U0001f40e"})
    assert b"\\u" in payload
    assert verifier().verify(sign(text(HEADER), payload), NOW, ANY).subject == "\u00e9\U0001f40e"


@pytest.mark.parametrize("token", [None, 1, b"a.b.c", [], object()])
def test_a_token_that_is_not_text_is_refused(token: object) -> None:
    with pytest.raises(TokenRefused) as caught:
        verifier().verify(token, NOW, ANY)  # type: ignore[arg-type]
    assert caught.value.code is RefusalCode.SHAPE


def test_bad_tokens_are_many_and_all_different() -> None:
    names = [(row, bad[0]) for row, table in bad_own.ROWS.items() for bad in table()]
    assert len(names) == len(set(names)) >= 700


def test_a_refused_token_is_not_remembered() -> None:
    seen = VerifiedTokens()
    for table in bad_own.ROWS.values():
        for _, token, _ in table():
            with pytest.raises(TokenRefused):
                verifier(seen).verify(token, NOW, ANY)
    assert len(seen) == 0


def test_each_verifier_checks_its_own_audience_and_issuer() -> None:
    credential = verifier().verify(good(Kind.EVALUATE), NOW, ANY)
    assert (credential.issuer, credential.audience) == (ISSUER, AUDIENCE)
