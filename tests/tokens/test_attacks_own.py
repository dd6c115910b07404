"""Attacks on tokens in our own name: one test per row of the list, over the tables of `token_forge.bad_own`."""

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
    """Refused for the one reason, and the refusal tells nothing of the token."""
    _, token, code = bad
    with pytest.raises(TokenRefused) as caught:
        verifier().verify(token, NOW, ANY)
    assert caught.value.code is code
    assert str(caught.value) == code.value
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@rows("z30")
def test_z30_z31_text_that_is_not_one_token(bad: Bad) -> None:
    refuse(bad)


@rows("z33")
def test_z33_another_type_where_an_access_token_is_due(bad: Bad) -> None:
    refuse(bad)


@rows("z33_claims")
def test_z33_claims_and_scopes_of_another_kind(bad: Bad) -> None:
    refuse(bad)


@pytest.mark.parametrize("kind", Kind)
def test_z33_a_good_token_of_a_kind_that_the_door_does_not_take(kind: Kind) -> None:
    with pytest.raises(TokenRefused) as caught:
        verifier().verify(good(kind), NOW, ANY - {kind})
    assert caught.value.code is RefusalCode.KIND


@pytest.mark.parametrize("kind", Kind)
def test_z33_no_kind_passes_under_the_header_of_another(kind: Kind) -> None:
    for other in ANY - {kind}:
        token = sign(text(HEADER | {"typ": TYP[other]}), text(CLAIMS[kind]))
        with pytest.raises(TokenRefused):
            verifier().verify(token, NOW, ANY)


@rows("z34")
def test_z34_typ_absent_or_bent(bad: Bad) -> None:
    refuse(bad)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "at+JWT", "At+Jwt"])
def test_z34_typ_is_case_insensitive_as_media_types_are(typ: str) -> None:
    assert verifier().verify(with_header({"typ": typ}), NOW, ANY).kind is Kind.ACCESS


@rows("z35")
def test_z35_signature_segment_bent_as_text(bad: Bad) -> None:
    refuse(bad)


@rows("z36")
def test_z36_signature_bent_as_numbers(bad: Bad) -> None:
    refuse(bad)


def test_z37_the_high_s_twin_is_the_same_credential() -> None:
    head, _, signature = good().rpartition(".")
    raw = decode(signature)
    twin = f"{head}.{b64(raw[:32] + (ORDER - int.from_bytes(raw[32:])).to_bytes(32))}"
    assert twin != good()
    assert verifier().verify(twin, NOW, ANY) == verifier().verify(good(), NOW, ANY)


@rows("z38")
def test_z38_payload_or_header_that_is_no_plain_json_object(bad: Bad) -> None:
    refuse(bad)


@rows("z39")
def test_z39_a_member_twice(bad: Bad) -> None:
    refuse(bad)


@rows("z40")
def test_z40_times_and_revisions_that_are_no_plain_integer(bad: Bad) -> None:
    refuse(bad)


@rows("z40_claims")
def test_z40_other_claims_of_a_wrong_type(bad: Bad) -> None:
    refuse(bad)


@rows("z41")
def test_z41_nested_beyond_any_stack(bad: Bad) -> None:
    refuse(bad)


def test_z41_unclosed_and_deep_is_a_refusal_on_every_python() -> None:
    for brackets in (1_300, 2_200):
        with pytest.raises(TokenRefused) as caught:
            verifier().verify(sign(text(HEADER), b"[" * brackets), NOW, ANY)
        assert caught.value.code in (RefusalCode.TOO_DEEP, RefusalCode.NOT_JSON)


@rows("z42")
def test_z42_too_large_before_anything_is_parsed(bad: Bad) -> None:
    refuse(bad)


@rows("z43")
def test_z43_audience_of_somebody_else_or_of_several(bad: Bad) -> None:
    refuse(bad)


@rows("z43_missing")
def test_z43_every_required_claim_is_required(bad: Bad) -> None:
    refuse(bad)


def test_z43_a_token_of_another_stage() -> None:
    production = Verifier(ISSUER, "headgate-prod", KEYS)
    with pytest.raises(TokenRefused) as caught:
        production.verify(good(), NOW, ANY)
    assert caught.value.code is RefusalCode.AUDIENCE


@rows("z44")
def test_z44_issuer_variants(bad: Bad) -> None:
    refuse(bad)


@rows("z45")
def test_z45_keys_and_algorithms(bad: Bad) -> None:
    refuse(bad)


@pytest.mark.parametrize("signer", [ACTIVE, NEXT, PREVIOUS], ids=lambda signer: signer.kid)
def test_z45_next_active_and_previous_keys_verify(signer) -> None:  # type: ignore[no-untyped-def]
    assert verifier().verify(good(by=signer), NOW, ANY).kid == signer.kid


@rows("t18")
def test_z45_t18_header_members_beyond_the_three(bad: Bad) -> None:
    refuse(bad)


def test_z46_what_a_revocation_is_keyed_by_is_in_every_answer() -> None:
    seen = VerifiedTokens()
    for _ in range(2):  # from scratch, then from what was seen
        credential = verifier(seen).verify(good(), NOW, ANY)
        assert (credential.subject, credential.jti, credential.iat) == ("user-1", "0123456789abcdef", NOW)


def test_z47_expiry_is_to_the_second_and_for_tokens_seen_before_too() -> None:
    seen = VerifiedTokens()
    assert verifier(seen).verify(good(), NOW + 299.999, ANY).exp == NOW + 300
    for later in (300, 300.001, 10_000):
        with pytest.raises(TokenRefused) as caught:
            verifier(seen).verify(good(), NOW + later, ANY)
        assert caught.value.code is RefusalCode.EXPIRED


def test_z50_replayed_ten_thousand_times_it_is_one_credential() -> None:
    seen = VerifiedTokens()
    gate, token = verifier(seen), good()
    assert len({gate.verify(token, NOW + n / 100, ANY).jti for n in range(10_000)}) == 1
    assert len(seen) == 1


@rows("t23")
def test_t23_subjects_that_are_no_id(bad: Bad) -> None:
    refuse(bad)


def test_times_within_the_leeway_pass() -> None:
    for claims in ({"iat": NOW + 30}, {"nbf": NOW + 30}, {"nbf": NOW - 5}, {"exp": NOW + 3_600}, {"exp": NOW + 1}):
        assert verifier().verify(with_claims(claims), NOW, ANY).subject == "user-1"


def test_unknown_claims_are_ignored_whatever_they_hold() -> None:
    extra = {"gastownAccess": True, "version": 3, "isAdmin": "true", "x": {"deep": [1, None, {"a": 1.5}]}, "cnf": None}
    plain = verifier().verify(good(), NOW, ANY)
    assert verifier().verify(with_claims(extra), NOW, ANY) == plain
    assert not plain.admin


def test_only_true_is_an_admin() -> None:
    assert verifier().verify(with_claims({"admin": True}), NOW, ANY).admin is True
    assert verifier().verify(good(), NOW, ANY).admin is False


def test_attributes_come_through_with_their_types() -> None:
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
def test_what_is_not_even_text_is_refused(token: object) -> None:
    with pytest.raises(TokenRefused) as caught:
        verifier().verify(token, NOW, ANY)  # type: ignore[arg-type]
    assert caught.value.code is RefusalCode.SHAPE


def test_there_are_enough_bad_tokens_and_none_is_counted_twice() -> None:
    names = [(row, bad[0]) for row, table in bad_own.ROWS.items() for bad in table()]
    assert len(names) == len(set(names)) >= 700


def test_nothing_of_a_refused_token_is_kept() -> None:
    seen = VerifiedTokens()
    for table in bad_own.ROWS.values():
        for _, token, _ in table():
            with pytest.raises(TokenRefused):
                verifier(seen).verify(token, NOW, ANY)
    assert len(seen) == 0


def test_audience_and_issuer_are_the_verifiers_own() -> None:
    credential = verifier().verify(good(Kind.EVALUATE), NOW, ANY)
    assert (credential.issuer, credential.audience) == (ISSUER, AUDIENCE)
