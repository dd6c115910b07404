"""Build and sign our own tokens (RFC 9068 for access tokens). Decides form and size, not who gets one.

Claims must pass `accept`, as in a verifier, before they are signed: a token that would be refused is never issued.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from headgate.core.flag import RESERVED_CLAIMS
from headgate.tokens import limits
from headgate.tokens.claims import PROFILES, Credential, Kind, accept
from headgate.tokens.compact import encode, read_object
from headgate.tokens.fields import no_attributes
from headgate.tokens.keys import ALGORITHM, Signer, raw_signature
from headgate.tokens.refusals import TokenRefused


class TokenTooLarge(ValueError):
    """The token would exceed a limit of verifiers or KMS. `size` and `limit` in bytes."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(f"the {what} would be {size} bytes; the limit is {limit}")
        self.size, self.limit = size, limit


class InvalidGrant(ValueError):
    """The grant would make a token that no verifier accepts. The text names the check, never a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What to put into a token. `audience` is the configured one, without a kind's suffix; `lifetime` in seconds.

    `extra` are the token profile's claims. They must not have a reserved name.
    """

    kind: Kind
    issuer: str
    audience: str
    subject: str = field(repr=False)
    client_id: str = field(repr=False)
    lifetime: int
    rev: int
    orgs: tuple[str, ...] = field(default=(), repr=False)
    orgs_cut: bool = False
    admin: bool = False
    attributes: Mapping[str, object] = field(default_factory=no_attributes, repr=False)
    entitlements: tuple[str, ...] = ()
    sid: str | None = None
    gen: int = 1
    extra: Mapping[str, object] = field(default_factory=no_attributes, repr=False)


def issue(signer: Signer, grant: Grant, now: float, *, jti: str | None = None) -> tuple[str, Credential]:
    """Return a signed token, and what a verifier will read in it. `now` in Unix seconds; `jti` is random unless given.

    Raises `TokenTooLarge`, `InvalidGrant`, `NotP256` if the signer returns no valid signature, and whatever the signer
    raises. There is no unsigned fallback.
    """
    payload = _json(build_claims(grant, int(now), jti or os.urandom(16).hex()))
    message = _signing_input(grant.kind, signer.kid, payload)
    try:
        credential = accept(
            read_object(payload),
            PROFILES[grant.kind],
            issuer=grant.issuer,
            audience=grant.audience,
            kid=signer.kid,
        )
    except TokenRefused as refused:
        raise InvalidGrant(f"no verifier would accept this token: {refused.code}") from None
    signature = raw_signature(signer.sign(message))
    return f"{message.decode('ascii')}.{encode(signature)}", credential


def measure(grant: Grant, kid: str) -> int:
    """Return the token's size in bytes, without signing it. Raises `TokenTooLarge` and `InvalidGrant`."""
    message = _signing_input(grant.kind, kid, _json(build_claims(grant, 2**31, "0" * 32)))
    return len(message) + _SIGNATURE_CHARS


def build_claims(grant: Grant, iat: int, jti: str) -> dict[str, object]:
    """Return the claims of a grant, in the order in which they are written. Raises `InvalidGrant`."""
    if not RESERVED_CLAIMS.isdisjoint(grant.extra):
        raise InvalidGrant("the token profile adds a claim with a reserved name")
    profile = PROFILES[grant.kind]
    claims: dict[str, object] = {
        "iss": grant.issuer,
        "sub": grant.subject,
        "aud": profile.audience(grant.audience),
        "client_id": grant.client_id,
        "exp": iat + grant.lifetime,
        "iat": iat,
        "jti": jti,
        "scope": profile.scope,
        "rev": grant.rev,
    }
    if grant.sid is not None:
        claims |= {"sid": grant.sid, "gen": grant.gen}
    if grant.orgs or "orgs" in profile.required:
        claims["orgs"] = list(grant.orgs)
    if grant.entitlements or "entitlements" in profile.required:
        claims["entitlements"] = list(grant.entitlements)
    if grant.orgs_cut:
        claims["orgs_cut"] = True
    if grant.admin is not False:
        claims["admin"] = grant.admin
    if grant.attributes:
        claims["attributes"] = {name: _listed(value) for name, value in grant.attributes.items()}
    return {**claims, **grant.extra}


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


_SIGNATURE_CHARS = 1 + 86  # a dot and 64 bytes in base64url


def _signing_input(kind: Kind, kid: str, payload: bytes) -> bytes:
    header = encode(_json({"alg": ALGORITHM, "typ": PROFILES[kind].typ, "kid": kid}))
    message = f"{header}.{encode(payload)}".encode("ascii")
    for what, size, limit in (
        ("header", len(header), limits.HEADER_CHARS),
        ("token", len(message) + _SIGNATURE_CHARS, limits.TOKEN_BYTES),
    ):
        if size > limit:
            raise TokenTooLarge(what, size, limit)
    return message


def _json(value: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise InvalidGrant("a claim cannot be written as JSON") from None
