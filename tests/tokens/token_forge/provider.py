"""A forging identity provider: its keys, its key set, and tokens with any header and claims."""

import hmac
import json
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from token_forge.own import NOW, b64, text

from headgate.tokens.fetch import Document, FetchFailed
from headgate.tokens.identity import IdentityVerifier
from headgate.tokens.issuers import AdminClaim, ClaimNames, IdentityIssuer
from headgate.tokens.keys import raw_signature

IDP, CLIENT = "https://idp.example/tenant", "web-client"
ISSUER = IdentityIssuer(
    issuer=IDP,
    audience=(CLIENT, "second-client"),
    jwks_uri=f"{IDP}/keys",
    claims=ClaimNames(admin=AdminClaim("admin"), attributes=("plan", "beta", "seats", "tags", "email")),
)
HEADER: dict[str, Any] = {"alg": "ES256", "kid": "ec-1", "typ": "JWT"}
CLAIMS: dict[str, Any] = {
    "iss": IDP,
    "sub": "alice",
    "aud": CLIENT,
    "iat": NOW,
    "exp": NOW + 3_600,
    "orgs": ["org-1", "org-2", "org-1"],
    "plan": "pro",
}
EC_KEY = ec.derive_private_key(201, ec.SECP256R1())
STRANGER_KEY = ec.derive_private_key(202, ec.SECP256R1())


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """One RSA key per size and run: creating one takes at least 50 ms."""
    return rsa.generate_private_key(65_537, bits)


def ec_jwk(kid: str = "ec-1", key: ec.EllipticCurvePrivateKey = EC_KEY, **over: object) -> dict[str, Any]:
    """The public half as a JWK."""
    numbers = key.public_key().public_numbers()
    size = (key.curve.key_size + 7) // 8
    curve = {256: "P-256", 384: "P-384", 521: "P-521"}[key.curve.key_size]
    point = {"x": b64(numbers.x.to_bytes(size)), "y": b64(numbers.y.to_bytes(size))}
    return {"kty": "EC", "crv": curve, **point, "use": "sig", "kid": kid, **over}


def rsa_jwk(kid: str = "rsa-1", bits: int = 2_048, **over: object) -> dict[str, Any]:
    """The public half as a JWK."""
    numbers = rsa_key(bits).public_key().public_numbers()
    return {"kty": "RSA", "n": b64(numbers.n.to_bytes(bits // 8)), "e": "AQAB", "use": "sig", "kid": kid, **over}


def rsa_pem() -> bytes:
    """The public RSA key in PEM, which a confused verifier could use as an HMAC secret."""
    return (
        rsa_key(2_048)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


Sign = Callable[[bytes], bytes]


def es256(message: bytes) -> bytes:
    """The provider's own signature."""
    return raw_signature(EC_KEY.sign(message, ec.ECDSA(SHA256())))


def stranger(message: bytes) -> bytes:
    """A signature by another key."""
    return raw_signature(STRANGER_KEY.sign(message, ec.ECDSA(SHA256())))


def rs256(message: bytes) -> bytes:
    """PKCS #1 v1.5 by the provider's RSA key."""
    return rsa_key(2_048).sign(message, padding.PKCS1v15(), SHA256())


def rs256_weak(message: bytes) -> bytes:
    """A signature by an RSA key that is too short."""
    return rsa_key(1_024).sign(message, padding.PKCS1v15(), SHA256())


def hs256(message: bytes) -> bytes:
    """An HMAC with the RSA public key's PEM as the secret."""
    return hmac.digest(rsa_pem(), message, sha256)


def unsigned(_message: bytes) -> bytes:
    """One byte, since a token cannot have an empty part."""
    return b"\0"


def sign(header: bytes, payload: bytes, by: Sign = es256) -> str:
    """A token of two byte strings, unchanged, signed."""
    message = f"{b64(header)}.{b64(payload)}"
    return f"{message}.{b64(by(message.encode()))}"


def identity_token(over: Mapping[str, object] | None = None, *without: str) -> str:
    """A valid identity token with some claims changed."""
    claims = {name: value for name, value in (CLAIMS | dict(over or {})).items() if name not in without}
    return sign(text(HEADER), text(claims))


def with_header(over: Mapping[str, object], *without: str, by: Sign = es256) -> str:
    """A valid identity token with some header members changed."""
    header = {name: value for name, value in (HEADER | dict(over)).items() if name not in without}
    return sign(text(header), text(CLAIMS), by)


class Provider:
    """The documents that the network serves, and a record of fetches."""

    def __init__(self, *keys: dict[str, Any], max_age: int | None = None) -> None:
        self.documents: dict[str, Any] = {f"{IDP}/keys": {"keys": list(keys)}}
        self.max_age = max_age
        self.down = False
        self.asked: list[str] = []

    def fetch(self, url: str) -> Document:
        """As `headgate.tokens.fetch.fetch`."""
        self.asked.append(url)
        if self.down or url not in self.documents:
            raise FetchFailed("down")
        document = self.documents[url]
        return Document(document if isinstance(document, bytes) else json.dumps(document).encode(), self.max_age)


def provider() -> Provider:
    """A provider with an EC and an RSA key."""
    return Provider(ec_jwk(), rsa_jwk())


def verifier(
    network: Provider | None = None, issuer: IdentityIssuer = ISSUER, *more: IdentityIssuer
) -> IdentityVerifier:
    """The verifier under test, on that network."""
    return IdentityVerifier((issuer, *more), (network or provider()).fetch)
