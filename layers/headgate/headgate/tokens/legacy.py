"""Verify legacy tokens, those of the system that Headgate replaces. Decides whether one is still accepted.

The checks run in this order, and the first failure decides: time, size, shape, header, signature, claims. Before the
signature is checked, only the header is parsed. The algorithm is HS256 with one shared secret, whatever the header
says: a token chooses no algorithm and no key. This module never has our own keys, and `verify` never has the secret, so
that neither can be used in place of the other.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from headgate.tokens import compact, fields, limits
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.fields import Claims, Prefix, is_short_and_plain
from headgate.tokens.legacy_issuer import LEGACY_ALGORITHM, LegacyIssuer
from headgate.tokens.refusals import RefusalCode, TokenRefused

ISSUER = "legacy"
"""The issuer in the credential: legacy tokens name none."""

_HEADER = frozenset(("alg", "typ", "kid"))


@dataclass(frozen=True, slots=True)
class LegacyVerifier:
    """`secret` returns the key at a time (Unix seconds) or raises `TokenRefused`. Called after the header check."""

    issuer: LegacyIssuer
    secret: Callable[[float], bytes] = field(repr=False)
    prefix: Prefix = field(default_factory=Prefix)

    def verify(self, token: str, now: float) -> Credential:
        """Return an access credential, without entitlements, orgs, and `jti`. Raises `TokenRefused`."""
        try:
            return self._verify(token, now)
        except TokenRefused:
            raise
        except Exception:  # fail closed, with a code to alarm on
            raise TokenRefused(RefusalCode.UNEXPECTED) from None

    def _verify(self, token: str, now: float) -> Credential:
        if now >= self.issuer.accept_until:
            raise TokenRefused(RefusalCode.RETIRED)
        parts = compact.split(token, token_limit=limits.TOKEN_BYTES, header_limit=limits.HEADER_CHARS)
        _check_header(compact.read_object(compact.decode(parts.header)))
        signature = compact.decode(parts.signature)
        if not hmac.compare_digest(signature, hmac.digest(self.secret(now), parts.signing_input, "sha256")):
            raise TokenRefused(RefusalCode.SIGNATURE)
        return self._accept(compact.read_object(compact.decode(parts.payload)), now)

    def _accept(self, claims: Claims, now: float) -> Credential:
        issuer = self.issuer
        if fields.whole(claims, "version") != issuer.version:
            raise TokenRefused(RefusalCode.VERSION)
        iat, nbf, exp = _times(claims, now)
        if iat >= issuer.issued_before:
            raise TokenRefused(RefusalCode.CUT_OFF)
        subject = self.prefix.name(fields.text(claims, issuer.user, RefusalCode.SUBJECT), issuer.user)
        admin = claims.get(issuer.admin) is True  # "true", 1, and {} do not count; the old endpoint wrote false
        if not admin and claims.get(issuer.access) is not True:
            raise TokenRefused(RefusalCode.NOT_ADMITTED)
        return Credential(
            kind=Kind.ACCESS,
            issuer=ISSUER,
            audience="",
            subject=subject,
            client_id="",
            admin=admin,
            rev=0,
            jti="",
            iat=iat,
            nbf=nbf,
            exp=exp,
            kid="",
        )


def _check_header(header: Claims) -> None:
    if header.get("alg") != LEGACY_ALGORITHM:
        raise TokenRefused(RefusalCode.ALGORITHM)
    if not header.keys() <= _HEADER:
        raise TokenRefused(RefusalCode.HEADER_MEMBER)
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.upper() != "JWT":
        raise TokenRefused(RefusalCode.TYPE)
    if not is_short_and_plain(header.get("kid", "none"), limits.KEY_ID_CHARS):  # there is one key, whatever its id
        raise TokenRefused(RefusalCode.KEY_ID)


def _times(claims: Claims, now: float) -> tuple[int, int, int]:
    iat, exp = fields.whole(claims, "iat"), fields.whole(claims, "exp")
    nbf = fields.whole(claims, "nbf") if "nbf" in claims else iat
    if not 0 < exp - iat <= limits.LEGACY_LIFETIME:
        raise TokenRefused(RefusalCode.LIFETIME)
    if exp <= now:
        raise TokenRefused(RefusalCode.EXPIRED)
    if max(iat, nbf) > now + limits.CLOCK_LEEWAY:
        raise TokenRefused(RefusalCode.NOT_YET_VALID)
    return iat, nbf, exp
