"""Checkpoints: what is signed is read back, what is not is refused, and no token is one, nor is one a token."""

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey
from token_forge.own import ACCESS, ACTIVE, ANY, NOW, STRANGER, sign, text, verifier

from headgate.core.audit import GENESIS
from headgate.tokens.checkpoint import TYP, Checkpoint, read_checkpoint, read_jwk, sign_checkpoint, thumbprint
from headgate.tokens.claims import PROFILES
from headgate.tokens.keys import LocalSigner, NotP256, PublicKey
from headgate.tokens.refusals import RefusalCode, TokenRefused

HEAD = Checkpoint(
    issuer="https://gate.example", revision=41, digest="ab" * 32, at="2026-03-01T12:00:00.000Z"
)  # fmt: skip
KEY = ACTIVE.public()
HEADER = {"alg": "ES256", "typ": TYP, "kid": ACTIVE.kid}
BODY = {"issuer": HEAD.issuer, "revision": 41, "digest": HEAD.digest, "at": HEAD.at}


def sealed(header: dict[str, Any], body: dict[str, Any]) -> str:
    """Any header and body, signed by our key."""
    return sign(text(header), text(body))


@pytest.mark.parametrize("revision", [0, 1, 10**12 - 1])
def test_what_is_signed_is_read(revision: int) -> None:
    head = Checkpoint(issuer=HEAD.issuer, revision=revision, digest=GENESIS, at=HEAD.at)
    assert read_checkpoint(sign_checkpoint(ACTIVE, head), KEY) == head


def test_another_library_reads_it_too() -> None:
    signed = sign_checkpoint(ACTIVE, HEAD)
    assert jwt.get_unverified_header(signed) == HEADER
    assert json.loads(jwt.PyJWS().decode(signed, KEY.key, algorithms=["ES256"])) == BODY


def refused(signed: str, key: PublicKey = KEY) -> RefusalCode:
    with pytest.raises(TokenRefused) as refusal:
        read_checkpoint(signed, key)
    return refusal.value.code


def test_attack_another_signer() -> None:
    """A stranger with our key's id, and another key of ours."""
    assert refused(sign_checkpoint(STRANGER, HEAD)) is RefusalCode.SIGNATURE
    assert refused(sign_checkpoint(LocalSigner("another"), HEAD)) is RefusalCode.UNKNOWN_KEY


def test_attack_every_changed_character_shows() -> None:
    signed = sign_checkpoint(ACTIVE, HEAD)
    for place, letter in enumerate(signed):
        forged = f"{signed[:place]}{'A' if letter != 'A' else 'B'}{signed[place + 1 :]}"
        with pytest.raises(TokenRefused):
            read_checkpoint(forged, KEY)


@pytest.mark.parametrize("kind", PROFILES)
def test_attack_a_token_of_the_same_key_is_no_checkpoint(kind: Any) -> None:
    assert refused(sealed({**HEADER, "typ": PROFILES[kind].typ}, ACCESS)) is RefusalCode.TYPE
    assert refused(sealed({**HEADER, "typ": PROFILES[kind].typ}, BODY)) is RefusalCode.TYPE


def test_attack_a_checkpoint_of_a_token_key_is_no_token() -> None:
    """Were the two keys ever one and the same, with all claims of a token in it: `typ` still tells them apart."""
    assert verifier().verify(sealed({**HEADER, "typ": "at+jwt"}, ACCESS), NOW, ANY)
    for signed in (sign_checkpoint(ACTIVE, HEAD), sealed(HEADER, ACCESS), sealed(HEADER, {**ACCESS, **BODY})):
        with pytest.raises(TokenRefused) as refusal:
            verifier().verify(signed, NOW, ANY)
        assert refusal.value.code is RefusalCode.TYPE


@pytest.mark.parametrize(
    ("header", "code"),
    [({"alg": "none"}, RefusalCode.ALGORITHM), ({"alg": "HS256"}, RefusalCode.ALGORITHM),
     ({"typ": "JWT"}, RefusalCode.TYPE), ({"typ": None}, RefusalCode.TYPE), ({"kid": 7}, RefusalCode.UNKNOWN_KEY),
     ({"jwk": KEY.jwk()}, RefusalCode.HEADER_MEMBER), ({"crit": []}, RefusalCode.HEADER_MEMBER)],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value.value,
)  # fmt: skip
def test_attack_a_header_that_says_something_else(header: dict[str, Any], code: RefusalCode) -> None:
    assert refused(sealed(HEADER | header, BODY)) is code


@pytest.mark.parametrize(
    "body",
    [{"revision": "41"}, {"revision": True}, {"revision": -1}, {"revision": 4.5}, {"digest": "ab"}, {"digest": None},
     {"at": 7}, {"issuer": ""}, {"issuer": "two lines\n"}, {"extra": 1}],
    ids=str,
)  # fmt: skip
def test_what_no_checkpoint_says_is_refused(body: dict[str, Any]) -> None:
    assert refused(sealed(HEADER, BODY | body)) in (RefusalCode.CLAIM_TYPE, RefusalCode.CLAIM_MISSING)


def test_a_public_key_is_read_as_it_is_shown() -> None:
    read = read_jwk(json.loads(json.dumps(KEY.jwk())))
    assert (read.kid, read.key) == (KEY.kid, KEY.key)
    assert thumbprint(read) == thumbprint(KEY) != thumbprint(LocalSigner(KEY.kid).public())


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    """As another library makes it."""
    assert thumbprint(KEY) == ECKey.import_key(KEY.jwk()).thumbprint()


@pytest.mark.parametrize(
    "change",
    [{"kty": "OKP"}, {"crv": "P-384"}, {"x": "AA"}, {"y": None}, {"x": "!"}, {"kid": ""}, {"kid": None}, {"d": "AA"},
     {"y": "A" * 43}],
    ids=str,
)  # fmt: skip
def test_other_keys_are_none(change: dict[str, Any]) -> None:
    with pytest.raises(NotP256):
        read_jwk(KEY.jwk() | change)


def test_keys_of_another_curve_are_none() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    with pytest.raises(NotP256):
        read_jwk({**jwt.algorithms.ECAlgorithm.to_jwk(other, as_dict=True), "kid": "k"})
