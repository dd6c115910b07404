"""Forges tokens with our own issuer: any header, payload, and signature. The keys are fixed, so failures repeat."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from headgate.tokens.claims import Kind
from headgate.tokens.keys import KeyState, LocalSigner, key_set, raw_signature
from headgate.tokens.verify import VerifiedTokens, Verifier

NOW = 1_800_000_000
ISSUER, AUDIENCE = "https://gate.example", "headgate"
ANY = frozenset(Kind)


class FixedSigner(LocalSigner):
    """A signer with deterministic signatures (RFC 6979), so that a failing token can be reproduced."""

    def sign(self, message: bytes) -> bytes:
        """As `Signer.sign`."""
        return self._key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))


def signer(kid: str, secret: int) -> LocalSigner:
    """A signer with a fixed key."""
    return FixedSigner(kid, ec.derive_private_key(secret, ec.SECP256R1()))


ACTIVE, NEXT, PREVIOUS, REVOKED = (
    signer("key-active", 101),
    signer("key-next", 102),
    signer("key-previous", 103),
    signer("key-revoked", 104),
)
STRANGER = signer("key-active", 666)  # has our key id but another key
KEYS = key_set(
    [
        ACTIVE.public(),
        NEXT.public(KeyState.NEXT),
        PREVIOUS.public(KeyState.PREVIOUS),
        REVOKED.public(KeyState.REVOKED),
    ]
)

HEADER: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": "key-active"}
ACCESS: dict[str, Any] = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": AUDIENCE,
    "client_id": "web",
    "exp": NOW + 300,
    "iat": NOW,
    "jti": "0123456789abcdef",
    "scope": "access",
    "rev": 7,
    "orgs": ["org-1", "org-2"],
    "entitlements": ["gastown-access"],
}
CLAIMS: dict[Kind, dict[str, Any]] = {
    Kind.ACCESS: ACCESS,
    Kind.SESSION: {n: v for n, v in ACCESS.items() if n != "entitlements"} | {"scope": "session", "sid": "town:1"},
    Kind.EVALUATE: {n: v for n, v in ACCESS.items() if n != "entitlements"}
    | {"scope": "evaluate", "aud": "headgate:evaluate"},
    Kind.SERVICE: {n: v for n, v in ACCESS.items() if n not in ("entitlements", "orgs")}
    | {"scope": "service", "aud": "headgate:evaluate"},
}
TYP = {
    Kind.ACCESS: "at+jwt",
    Kind.SESSION: "hg-session+jwt",
    Kind.EVALUATE: "hg-evaluate+jwt",
    Kind.SERVICE: "hg-service+jwt",
}


def b64(raw: bytes) -> str:
    """Base64url as JOSE writes it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def text(value: object) -> bytes:
    """JSON as the standard library writes it, including lone surrogates as escapes."""
    return json.dumps(value, separators=(",", ":")).encode()


def sign_parts(header: str, payload: str, by: LocalSigner = ACTIVE) -> str:
    """A token of two encoded parts, unchanged, signed."""
    return f"{header}.{payload}.{b64(raw_signature(by.sign(f'{header}.{payload}'.encode())))}"


def sign(header: bytes, payload: bytes, by: LocalSigner = ACTIVE) -> str:
    """A token of two byte strings, unchanged, signed."""
    return sign_parts(b64(header), b64(payload), by)


def with_header(over: Mapping[str, object], *without: str, by: LocalSigner = ACTIVE) -> str:
    """A valid access token with some header members changed."""
    header = {name: value for name, value in (HEADER | dict(over)).items() if name not in without}
    return sign(text(header), text(ACCESS), by)


def with_claims(over: Mapping[str, object], *without: str, kind: Kind = Kind.ACCESS) -> str:
    """A valid token of a kind with some claims changed."""
    claims = {name: value for name, value in (CLAIMS[kind] | dict(over)).items() if name not in without}
    return sign(text(HEADER | {"typ": TYP[kind]}), text(claims))


def with_literal(name: str, literal: str) -> str:
    """A valid access token with one claim replaced by this text."""
    others = text({n: v for n, v in ACCESS.items() if n != name})[:-1]
    return sign(text(HEADER), others + f',"{name}":{literal}}}'.encode())


def good(kind: Kind = Kind.ACCESS, by: LocalSigner = ACTIVE) -> str:
    """A valid token."""
    return sign(text(HEADER | {"typ": TYP[kind], "kid": by.kid}), text(CLAIMS[kind]), by)


def verifier(seen: VerifiedTokens | None = None) -> Verifier:
    """The verifier under test."""
    return Verifier(ISSUER, AUDIENCE, KEYS, seen)
