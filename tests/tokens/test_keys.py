"""Key formats: DER in, JWK out, signatures in both formats, read by two other libraries."""

import base64

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt as jose_jwt
from joserfc.jwk import KeySet as JoseKeySet
from token_forge.own import ACTIVE, AUDIENCE, ISSUER, KEYS, NOW, REVOKED, good

from headgate.tokens.keys import ORDER, KeyState, LocalSigner, NotP256, PublicKey, jwks, key_set, raw_signature

SPKI = PublicFormat.SubjectPublicKeyInfo


def der(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A public key as KMS returns it."""
    return key.public_key().public_bytes(Encoding.DER, SPKI)


@given(st.integers(1, ORDER - 1))
def test_a_public_key_is_read_from_der(secret: int) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    read = PublicKey.from_der("k", der(key), KeyState.NEXT)
    assert read.key == key.public_key()
    assert (read.kid, read.state) == ("k", KeyState.NEXT)


def test_a_key_of_another_type_is_refused() -> None:
    good_der = der(ec.derive_private_key(5, ec.SECP256R1()))
    compressed = (
        ec.derive_private_key(5, ec.SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    )
    for wrong in (
        der(ec.derive_private_key(5, ec.SECP384R1())),
        der(ec.derive_private_key(5, ec.SECP256K1())),
        rsa.generate_private_key(65_537, 2_048).public_key().public_bytes(Encoding.DER, SPKI),
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, SPKI),
        good_der[:26] + compressed,
        good_der[:-1],
        good_der + b"\0",
        good_der[:26] + b"\x04" + bytes(64),
        good_der[:26] + b"\x04" + b"\xff" * 64,
        good_der[:-1] + bytes([good_der[-1] ^ 1]),
        good_der[:26] + b"\x06" + good_der[27:],
        b"\0" + good_der,
        b"",
    ):
        with pytest.raises(NotP256):
            PublicKey.from_der("k", wrong)


@pytest.mark.parametrize(("r", "s"), [(1, 1), (255, ORDER - 1), (2**248 - 1, 2**255), (ORDER - 1, 1), (128, 2**247)])
def test_a_short_der_signature_is_padded_on_the_left(r: int, s: int) -> None:
    raw = raw_signature(encode_dss_signature(r, s))
    assert (len(raw), int.from_bytes(raw[:32]), int.from_bytes(raw[32:])) == (64, r, s)


@given(st.integers(1, ORDER - 1), st.integers(1, ORDER - 1))
def test_any_der_signature_converts_to_64_bytes(r: int, s: int) -> None:
    assert raw_signature(encode_dss_signature(r, s)) == r.to_bytes(32) + s.to_bytes(32)


@pytest.mark.parametrize(
    "wrong",
    [
        encode_dss_signature(0, 1),
        encode_dss_signature(1, 0),
        encode_dss_signature(ORDER, 1),
        encode_dss_signature(1, 2**256),
        encode_dss_signature(2**400, 1),
        encode_dss_signature(1, 1) + b"\0",
        b"",
        bytes(64),
    ],
)
def test_bytes_that_are_not_a_signature_are_refused(wrong: bytes) -> None:
    with pytest.raises(NotP256):
        raw_signature(wrong)


def test_signatures_with_a_short_half_occur_and_verify() -> None:
    signer, short = LocalSigner("k"), 0
    public = signer.public()
    for n in range(600):  # about 1 signature in 128 has a short half
        message = b"%d" % n
        raw = raw_signature(signer.sign(message))
        short += raw[0] == 0 or raw[32] == 0
        assert public.is_signed(message, raw)
    assert short > 0


def test_the_published_jwks_follows_rfc_7517_without_revoked_keys() -> None:
    published = jwks(KEYS)
    assert [key["kid"] for key in published["keys"]] == ["key-active", "key-next", "key-previous"]
    for key in published["keys"]:
        assert key.keys() == {"kty", "crv", "x", "y", "use", "alg", "kid"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
        assert [len(base64.urlsafe_b64decode(key[c] + "=")) for c in "xy"] == [32, 32]
    assert REVOKED.kid not in str(published)


def test_coordinates_with_leading_zeros_keep_their_length() -> None:
    secret = next(
        n for n in range(1, 3_000) if ec.derive_private_key(n, ec.SECP256R1()).public_key().public_numbers().x < 2**248
    )
    jwk = LocalSigner("k", ec.derive_private_key(secret, ec.SECP256R1())).public().jwk()
    assert (len(jwk["x"]), len(jwk["y"])) == (43, 43)


def test_pyjwt_and_joserfc_verify_our_tokens_with_the_published_jwks() -> None:
    published = jwks(KEYS)
    token = good()
    key = jwt.PyJWKSet.from_dict(published)["key-active"]
    without_time = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key, ["ES256"], audience=AUDIENCE, issuer=ISSUER, options=without_time)
    assert claims["sub"] == "user-1"
    read = jose_jwt.decode(token, JoseKeySet.import_key_set(published), algorithms=["ES256"])  # type: ignore[arg-type]
    jose_jwt.JWTClaimsRegistry(now=NOW, iss={"essential": True, "value": ISSUER}).validate(read.claims)
    assert read.claims == claims


def test_two_keys_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="two keys"):
        key_set([ACTIVE.public(), ACTIVE.public(KeyState.NEXT)])


def test_every_key_but_a_revoked_one_verifies() -> None:
    assert {state for state in KeyState if ACTIVE.public(state).verifies} == set(KeyState) - {KeyState.REVOKED}
