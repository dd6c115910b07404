"""Old tokens: attacks on them, and which are accepted. The tables are in `token_forge.old`."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt as jose
from joserfc.jwk import OctKey
from token_forge import old as forge
from token_forge import own
from token_forge.old import ISSUER, NOW, OLD, OLD_HEADER, SECRET, Bad, old, old_header, seal, verifier
from token_forge.own import text

from headgate.tokens import limits
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.fields import Prefix
from headgate.tokens.legacy import LegacyVerifier
from headgate.tokens.refusals import RefusalCode, TokenRefused

HOUR = 3_600


def rows(name: str) -> pytest.MarkDecorator:
    """One case per bad token of a table."""
    return pytest.mark.parametrize("bad", [pytest.param(bad, id=bad[0]) for bad in forge.ROWS[name]()])


def code_of(token: str, gate: LegacyVerifier | None = None, now: float = NOW) -> RefusalCode | None:
    """Why a token is refused; None if it is accepted."""
    try:
        (gate or verifier()).verify(token, now)
    except TokenRefused as refused:
        return refused.code
    return None


def refuse(bad: Bad) -> None:
    _, token, code = bad
    assert code_of(token) is code


# -- accepted


def test_an_old_token_gives_an_access_credential_and_nothing_more() -> None:
    assert verifier().verify(old(), NOW) == Credential(
        kind=Kind.ACCESS, issuer="legacy", audience="", subject="user-1", client_id="", orgs=(), admin=False,
        entitlements=(), sid=None, rev=0, jti="", iat=NOW, nbf=NOW, exp=NOW + HOUR, kid="",
    )  # fmt: skip


def test_tokens_signed_by_two_other_libraries_are_accepted() -> None:
    assert verifier().verify(jwt.encode(OLD, SECRET, algorithm="HS256"), NOW).subject == "user-1"
    assert verifier().verify(jose.encode({"alg": "HS256"}, OLD, OctKey.import_key(SECRET)), NOW).subject == "user-1"


@pytest.mark.parametrize(
    ("admin", "access"), [(True, False), (False, True), (True, True), (True, None), (None, True)], ids=str
)
def test_r39_either_claim_is_accepted_and_only_one_makes_an_admin(admin: bool | None, access: bool | None) -> None:
    claims = {name: value for name, value in (("isAdmin", admin), ("gastownAccess", access)) if value is not None}
    token = seal(text(OLD_HEADER), text({n: v for n, v in OLD.items() if n not in claims} | claims))
    assert verifier().verify(token, NOW).admin is (admin is True)


def test_r45_only_json_true_makes_an_admin_of_a_user_with_access() -> None:
    for value in ("true", 1, 1.0, {}, [True], "variant-a", None):
        assert verifier().verify(old({"isAdmin": value}), NOW).admin is False


def test_r40_unknown_claims_are_ignored_whatever_their_value() -> None:
    extra: dict[str, object] = {
        "sub": "root", "iss": "https://elsewhere.example", "aud": ["x"], "jti": 7, "scope": None, "admin": True,
        "orgs": ["acme"], "entitlements": ["gastown-access"], "sid": "town:1", "rev": "x", "attributes": {},
    }  # fmt: skip
    assert verifier().verify(old(extra), NOW) == verifier().verify(old(), NOW)


@pytest.mark.parametrize("header", [{}, {"typ": "jwt"}, {"kid": "2019"}, {"kid": "../../x"}], ids=str)
def test_a_header_with_or_without_its_optional_members_is_accepted(header: dict[str, object]) -> None:
    assert code_of(old_header(header)) is None
    assert code_of(old_header(header, "typ")) is None


# -- refused


@rows("signatures")
def test_a_signature_by_another_secret_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("algorithms")
def test_t13_another_algorithm_or_none_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("headers")
def test_t18_a_header_with_other_members_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("payloads")
def test_z38_z39_z41_z42_a_payload_that_is_not_plain_json_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("times")
def test_z40_a_time_or_version_that_is_not_an_integer_in_range_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("subjects")
def test_t23_a_subject_that_is_not_a_valid_id_is_refused(bad: Bad) -> None:
    refuse(bad)


@rows("admissions")
def test_r39_r45_a_token_with_neither_claim_is_refused(bad: Bad) -> None:
    refuse(bad)


# -- algorithm confusion


def public_forms() -> Iterator[tuple[str, bytes]]:
    """Our public key in each form that could be mistaken for a secret."""
    key = own.ACTIVE.public()
    pem = key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield "PEM", pem
    yield "PEM without its last line end", pem.strip()
    yield "DER", key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield "point", key.key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    yield "JWK", json.dumps(key.jwk()).encode()
    yield "JWK, compact", text(key.jwk())
    yield "JWKS", text({"keys": [key.jwk()]})
    yield "x", key.jwk()["x"].encode()
    yield "kid", key.kid.encode()


@pytest.mark.parametrize("form", [pytest.param(raw, id=name) for name, raw in public_forms()])
def test_t14_an_hmac_with_our_public_key_is_refused_by_both_verifiers(form: bytes) -> None:
    own_header, own_claims = text(own.HEADER | {"alg": "HS256"}), text(own.ACCESS)
    for token in (old(secret=form), seal(own_header, own_claims, form)):
        assert code_of(token) in (RefusalCode.SIGNATURE, RefusalCode.TYPE)
        with pytest.raises(TokenRefused):
            own.verifier().verify(token, NOW, own.ANY)
    with pytest.raises(TokenRefused) as caught:
        own.verifier().verify(seal(text(own.HEADER), own_claims, form), NOW, own.ANY)
    assert caught.value.code is RefusalCode.SIGNATURE


@rows("own_by_the_secret")
def test_t14_the_shared_secret_cannot_sign_our_own_tokens(bad: Bad) -> None:
    refuse(bad)
    name, token, _ = bad
    if name != "our own token":
        with pytest.raises(TokenRefused):
            own.verifier().verify(token, NOW, own.ANY)


def test_our_own_verifier_refuses_an_old_token() -> None:
    for token in (old(), old_header({"kid": own.ACTIVE.kid}), old_header({"alg": "ES256"})):
        with pytest.raises(TokenRefused):
            own.verifier().verify(token, NOW, own.ANY)


def test_an_es256_signature_by_our_key_is_refused_as_old_token() -> None:
    for header in ({"alg": "ES256"}, OLD_HEADER, {"alg": "ES256", "typ": "JWT", "kid": own.ACTIVE.kid}):
        assert code_of(own.sign(text(header), text(OLD))) in (RefusalCode.ALGORITHM, RefusalCode.SIGNATURE)


# -- time limits, and a leaked secret


def test_an_old_token_is_accepted_until_accept_until_and_refused_after() -> None:
    gate = verifier(replace(ISSUER, accept_until=NOW + 10))
    assert code_of(old(), gate, NOW + 9.999) is None
    assert code_of(old(), gate, NOW + 10) is RefusalCode.RETIRED
    assert code_of("junk", gate, NOW + 10) is RefusalCode.RETIRED


def test_an_old_token_expires_to_the_second() -> None:
    assert code_of(old(), now=NOW + HOUR - 0.001) is None
    assert code_of(old(), now=NOW + HOUR) is RefusalCode.EXPIRED


def test_an_issue_time_within_the_leeway_is_accepted() -> None:
    assert code_of(old({"iat": NOW + 30, "exp": NOW + HOUR})) is None


def test_the_issued_before_limit_is_to_the_second() -> None:
    gate = verifier(replace(ISSUER, issued_before=NOW))
    assert code_of(old({"iat": NOW - 1, "exp": NOW + HOUR - 1}), gate) is None
    assert code_of(old(), gate) is RefusalCode.CUT_OFF
    assert code_of(old({"iat": NOW + 5}), gate) is RefusalCode.CUT_OFF


def test_a_leaked_secret_is_useless_one_token_life_after_issued_before() -> None:
    """For any forged `iat` and `exp`; `accept_until` is a day later."""
    dice, gate = random.Random(39), verifier(replace(ISSUER, issued_before=NOW))
    latest = 0
    for _ in range(4_000):
        now = NOW + dice.randrange(0, 2 * HOUR)
        iat = NOW - dice.choice((0, 1, dice.randrange(HOUR), dice.randrange(10 * HOUR)))
        exp = dice.choice((iat + HOUR, now + 1, now + HOUR, iat + dice.randrange(1, 10 * HOUR)))
        if code_of(old({"iat": iat, "exp": exp}), gate, now) is None:
            latest = max(latest, now)
    assert NOW < latest < NOW + limits.LEGACY_LIFETIME


# -- the secret


def test_the_secret_is_read_only_for_a_well_formed_token_before_accept_until() -> None:
    asked: list[float] = []

    def secret(now: float) -> bytes:
        asked.append(now)
        return SECRET

    gate = LegacyVerifier(ISSUER, secret)
    for name in ("algorithms", "headers"):
        for _, token, _ in forge.ROWS[name]():
            code_of(token, gate)
    code_of(old(), LegacyVerifier(replace(ISSUER, accept_until=NOW), secret))
    assert asked == []
    code_of(old(), gate)
    assert asked == [NOW]


def test_a_token_is_refused_if_reading_the_secret_fails_in_any_way() -> None:
    def unreadable(_now: float) -> bytes:
        raise TokenRefused(RefusalCode.KEY_UNAVAILABLE)

    def broken(_now: float) -> bytes:
        raise MemoryError

    assert code_of(old(), LegacyVerifier(ISSUER, unreadable)) is RefusalCode.KEY_UNAVAILABLE
    assert code_of(old(), LegacyVerifier(ISSUER, broken)) is RefusalCode.UNEXPECTED


def test_no_repr_contains_the_secret() -> None:
    assert SECRET.decode() not in repr(verifier())
    assert "user-1" not in repr(verifier().verify(old(), NOW))


def test_no_altered_token_is_accepted() -> None:
    """Of 20,000 texts that differ in one place, none is accepted."""
    dice, good = random.Random(35), old({"isAdmin": True})
    alphabet = forge.ALPHABET + ".=+/ \n\0é"
    taken = 0
    for _ in range(20_000):
        place, other = dice.randrange(len(good)), dice.choice(alphabet)
        bent = dice.choice((good[:place] + other + good[place + 1 :], good[:place] + good[place + 1 :],
                            good[:place] + other + good[place:]))  # fmt: skip
        code = code_of(bent)
        taken += code is None and bent != good
        assert code is not RefusalCode.UNEXPECTED
    assert taken == 0


def test_a_subject_gets_its_issuers_prefix_and_may_not_begin_with_one() -> None:
    gate = LegacyVerifier(ISSUER, lambda _now: SECRET, Prefix("b:", ("b:", "c:")))
    assert gate.verify(old({"kiloUserId": "alice"}), NOW).subject == "b:alice"
    for forged in ("b:alice", "c:alice"):
        assert code_of(old({"kiloUserId": forged}), gate) is RefusalCode.PREFIX
