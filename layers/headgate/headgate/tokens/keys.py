"""The keys of our own tokens: reading, rendering, and the two forms of a signature. P-256 only.

Knows no token and no claim. Loading a key with `cryptography`'s serialization package would add 18 ms to a cold
authorizer, so the one form in which KMS returns a P-256 key is parsed here, by its fixed prefix.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from headgate.core.keyring import KeyState
from headgate.tokens.compact import encode
from headgate.tokens.limits import SIGNATURE_BYTES

ALGORITHM = "ES256"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group (FIPS 186-4 D.1.2.3)

_SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # RFC 5480: id-ecPublicKey, P-256
_ECDSA = ec.ECDSA(SHA256())  # the first one loads the OpenSSL backend, 11 ms: here, in the init phase


class NotP256(ValueError):
    """Not a P-256 key or signature in the supported form."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One verifying key. Its type fixes the algorithm, ES256: no token can choose another."""

    kid: str
    key: ec.EllipticCurvePublicKey
    state: KeyState = KeyState.ACTIVE

    @classmethod
    def from_der(cls, kid: str, der: bytes, state: KeyState = KeyState.ACTIVE) -> "PublicKey":
        """Read a SubjectPublicKeyInfo as returned by KMS `GetPublicKey`. Raises `NotP256` for any other kind of key."""
        prefix, point = der[: len(_SPKI_PREFIX)], der[len(_SPKI_PREFIX) :]
        if prefix != _SPKI_PREFIX or len(point) != 65 or point[0] != 4:
            raise NotP256("not a P-256 public key with an uncompressed point")
        try:
            return cls(kid, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point), state)
        except ValueError:
            raise NotP256("not a point on P-256") from None

    @property
    def verifies(self) -> bool:
        """Whether tokens of this key are still accepted."""
        return self.state is not KeyState.REVOKED

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` (64 bytes, R then S) is this key's signature of `message`."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        if not (0 < r < ORDER and 0 < s < ORDER):
            return False
        try:
            self.key.verify(encode_dss_signature(r, s), message, _ECDSA)
        except InvalidSignature:
            return False
        return True

    def jwk(self) -> dict[str, str]:
        """The key as a JWK (RFC 7517, RFC 7518 §6.2.1)."""
        numbers = self.key.public_numbers()
        point = {name: encode(value.to_bytes(32)) for name, value in (("x", numbers.x), ("y", numbers.y))}
        return {"kty": "EC", "crv": "P-256", **point, "use": "sig", "alg": ALGORITHM, "kid": self.kid}


KeySet = Mapping[str, PublicKey]
"""Keys by key id."""


def key_set(keys: Iterable[PublicKey]) -> dict[str, PublicKey]:
    """Return the keys by key id. Raises `ValueError` if two have the same id."""
    found: dict[str, PublicKey] = {}
    for key in keys:
        if found.setdefault(key.kid, key) is not key:
            raise ValueError("two keys have the same key id")
    return found


def jwks(keys: KeySet) -> dict[str, list[dict[str, str]]]:
    """Return the published key set (RFC 7517 §5): next, active, and previous keys, never a revoked one."""
    return {"keys": [key.jwk() for key in keys.values() if key.verifies]}


def raw_signature(der: bytes) -> bytes:
    """Convert a DER ECDSA signature (KMS, OpenSSL) to JOSE's 64 bytes, each half left-padded (RFC 7518 §3.4).

    Raises `NotP256` if it is not a signature on that curve.
    """
    try:
        r, s = decode_dss_signature(der)
    except ValueError:
        raise NotP256("not a DER signature") from None
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise NotP256("not a P-256 signature")
    return r.to_bytes(32) + s.to_bytes(32)


class Signer(Protocol):
    """What holds a private P-256 key: KMS, or a process on a laptop."""

    @property
    def kid(self) -> str:
        """The key id that tokens name."""

    def sign(self, message: bytes) -> bytes:
        """Return an ECDSA signature with SHA-256 of the message (at most 4,096 bytes), DER encoded."""


class LocalSigner:
    """A signer whose key is in this process, for tests and benchmarks only."""

    def __init__(self, kid: str, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self.kid = kid
        self._key = key or ec.generate_private_key(ec.SECP256R1())

    def sign(self, message: bytes) -> bytes:
        """See `Signer.sign`."""
        return self._key.sign(message, _ECDSA)

    def public(self, state: KeyState = KeyState.ACTIVE) -> PublicKey:
        """The public key."""
        return PublicKey(self.kid, self._key.public_key(), state)
