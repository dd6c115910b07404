"""Checkpoints: the head of the audit stream, signed by a key that signs nothing else.

A checkpoint is a compact JWS (ES256) with its own `typ`: no verifier of tokens accepts one, and no token of ours is
accepted as one, whatever key signed it (RFC 8725 §3.11). Verifying it needs no table and no service, only the text and
the public key, kept where nobody who can write the table can write.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec

from headgate.tokens import compact, limits
from headgate.tokens.compact import encode
from headgate.tokens.fields import is_short_and_plain
from headgate.tokens.keys import ALGORITHM, NotP256, PublicKey, Signer, raw_signature
from headgate.tokens.refusals import RefusalCode, TokenRefused

TYP = "hg-checkpoint+jwt"
_DIGEST_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The newest entry of `issuer`'s stream at `at` (RFC 3339): its `revision` and its `digest`."""

    issuer: str
    revision: int
    digest: str
    at: str


def sign_checkpoint(signer: Signer, checkpoint: Checkpoint) -> str:
    """Return the signed text. Raises what the signer raises, and `NotP256` if it returns no valid signature."""
    header = {"alg": ALGORITHM, "typ": TYP, "kid": signer.kid}
    message = ".".join(encode(_json(part)) for part in (header, asdict(checkpoint)))
    return f"{message}.{encode(raw_signature(signer.sign(message.encode())))}"


def read_checkpoint(text: str, key: PublicKey) -> Checkpoint:
    """Return the checkpoint in a text that `key` signed. Raises `TokenRefused`."""
    parts = compact.split(text, token_limit=limits.TOKEN_BYTES, header_limit=limits.HEADER_CHARS)
    header = compact.read_object(compact.decode(parts.header))
    if header.keys() != {"alg", "typ", "kid"}:
        raise TokenRefused(RefusalCode.HEADER_MEMBER)
    if header["alg"] != ALGORITHM:
        raise TokenRefused(RefusalCode.ALGORITHM)
    if header["typ"] != TYP:
        raise TokenRefused(RefusalCode.TYPE)
    if header["kid"] != key.kid:
        raise TokenRefused(RefusalCode.UNKNOWN_KEY)
    if not key.is_signed(parts.signing_input, compact.decode(parts.signature)):
        raise TokenRefused(RefusalCode.SIGNATURE)
    return _read(compact.read_object(compact.decode(parts.payload)))


def _read(members: Mapping[str, object]) -> Checkpoint:
    if members.keys() != {"issuer", "revision", "digest", "at"}:
        raise TokenRefused(RefusalCode.CLAIM_MISSING)
    issuer, revision, digest, at = (members[name] for name in ("issuer", "revision", "digest", "at"))
    whole = isinstance(revision, int) and not isinstance(revision, bool) and revision >= 0
    if (
        not whole
        or not all(is_short_and_plain(text) for text in (issuer, digest, at))
        or len(str(digest)) != _DIGEST_CHARS
    ):
        raise TokenRefused(RefusalCode.CLAIM_TYPE)
    return Checkpoint(issuer=str(issuer), revision=int(str(revision)), digest=str(digest), at=str(at))


def read_jwk(document: Mapping[str, object]) -> PublicKey:
    """Read a P-256 public key as written by `PublicKey.jwk` (RFC 7517). Raises `NotP256`, also for a private key."""
    kid = document.get("kid")
    if (document.get("kty"), document.get("crv")) != ("EC", "P-256") or "d" in document:
        raise NotP256("not a P-256 public key")
    if not isinstance(kid, str) or not is_short_and_plain(kid, limits.KEY_ID_CHARS):
        raise NotP256("no valid key id")
    try:
        point = b"\x04" + b"".join(_coordinate(document[name]) for name in ("x", "y"))
        return PublicKey(kid, ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
    except (KeyError, TokenRefused, ValueError):
        raise NotP256("not a point on P-256") from None


def thumbprint(key: PublicKey) -> str:
    """The key's RFC 7638 thumbprint (SHA-256, base64url): short enough to write down or read aloud."""
    needed = {name: value for name, value in sorted(key.jwk().items()) if name in ("crv", "kty", "x", "y")}
    return encode(sha256(_json(needed)).digest())


def _coordinate(part: object) -> bytes:
    raw = compact.decode(part) if isinstance(part, str) else b""
    if len(raw) != 32:
        raise ValueError
    return raw


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
