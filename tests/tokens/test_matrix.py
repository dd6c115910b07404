"""Every combination of algorithm, key, type, audience, issuer and door: exactly the intended cells are taken."""

import hmac
from collections.abc import Callable
from hashlib import sha256
from itertools import product

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from token_forge.own import (
    ACTIVE,
    AUDIENCE,
    CLAIMS,
    HEADER,
    ISSUER,
    NOW,
    PREVIOUS,
    REVOKED,
    STRANGER,
    TYP,
    b64,
    text,
    verifier,
)

from headgate.tokens.claims import Kind
from headgate.tokens.keys import raw_signature
from headgate.tokens.refusals import TokenRefused

RSA = rsa.generate_private_key(65_537, 2_048)
P384 = ec.derive_private_key(11, ec.SECP384R1())
PEM = ACTIVE.public().key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

SIGNATURES: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    ("active", "key-active"): lambda message: raw_signature(ACTIVE.sign(message)),
    ("previous", "key-previous"): lambda message: raw_signature(PREVIOUS.sign(message)),
    ("revoked", "key-revoked"): lambda message: raw_signature(REVOKED.sign(message)),
    ("stranger", "key-active"): lambda message: raw_signature(STRANGER.sign(message)),
    ("previous under active's id", "key-active"): lambda message: raw_signature(PREVIOUS.sign(message)),
    ("RSA", "key-active"): lambda message: RSA.sign(message, padding.PKCS1v15(), SHA256()),
    ("P-384", "key-active"): lambda message: P384.sign(message, ec.ECDSA(SHA256()))[:64],
    ("HMAC of the public key", "key-active"): lambda message: hmac.digest(PEM, message, sha256),
    ("none", "key-active"): lambda _message: b"\0",
}
ALGORITHMS = ("ES256", "RS256", "HS256", "none", "es256", "ES384")
AUDIENCES = (AUDIENCE, f"{AUDIENCE}:evaluate", "headgate-dev")
ISSUERS = (ISSUER, f"{ISSUER}/")


def test_exactly_the_intended_cells_are_taken() -> None:
    cells = taken = 0
    gate = verifier()
    for alg, ((signed_by, kid), sign), claimed, kind, aud, iss in product(
        ALGORITHMS, SIGNATURES.items(), Kind, Kind, AUDIENCES, ISSUERS
    ):
        header = b64(text(HEADER | {"alg": alg, "typ": TYP[claimed], "kid": kid}))
        message = f"{header}.{b64(text(CLAIMS[kind] | {'aud': aud, 'iss': iss}))}"
        token = f"{message}.{b64(sign(message.encode()))}"
        intended = (
            alg == "ES256"
            and signed_by in ("active", "previous")
            and claimed is kind
            and aud == (AUDIENCE if kind in (Kind.ACCESS, Kind.SESSION) else f"{AUDIENCE}:evaluate")
            and iss == ISSUER
        )
        for door in (frozenset({claimed}), frozenset(Kind) - {claimed}):
            cells += 1
            try:
                gate.verify(token, NOW, door)
            except TokenRefused:
                assert not (intended and claimed in door), (alg, signed_by, claimed, kind, aud, iss)
            else:
                taken += 1
                assert intended
                assert claimed in door
    assert cells > 2_000
    assert taken == 2 * len(Kind)
