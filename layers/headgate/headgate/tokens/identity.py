"""Verify identity tokens of the configured issuers (OpenID Connect Core 1.0 §3.1.3.7). Decides who is asking.

The checks run in this order, and the first failure decides: size, shape, header, issuer, algorithm, key, signature,
claims. Claims are read after the signature check, except `iss`, which selects the keys and must be one of the
configured strings. The header cannot supply a key, neither by URL nor by value. Knows no flags and none of our own
tokens: here, an access token of ours is a token of an unknown issuer.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headgate.tokens import compact, fields, limits
from headgate.tokens.fetch import Fetch, fetch
from headgate.tokens.fields import Attribute, Claims, no_attributes
from headgate.tokens.issuers import IdentityIssuer
from headgate.tokens.jwks import IdentityUnavailable, KeySource
from headgate.tokens.refusals import RefusalCode, TokenRefused

__all__ = ["Identity", "IdentityUnavailable", "IdentityVerifier"]

_POINTERS = frozenset("jku x5u jwk x5c crit zip b64 enc epk apu apv p2c p2s iv tag".split())
"""Header members that supply a key, require an extension, or belong to encryption (RFC 7515, 7516, 7518)."""

_KEY_ID = re.compile(r"(?!.*\.\.)[A-Za-z0-9._~:/+=@|-]{1,256}")
"""Thumbprints, UUIDs, base64, and URLs pass. What looks like a path traversal or a query is not even looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is asking, according to a verified identity token. Times are Unix seconds."""

    issuer: str
    user: str = field(repr=False)
    orgs: tuple[str, ...] = field(default=(), repr=False)
    admin: bool = False
    attributes: Mapping[str, Attribute] = field(default_factory=no_attributes, repr=False)
    client_id: str
    iat: int
    exp: int


class IdentityVerifier:
    """Verifies tokens of a set of issuers. One per execution context, since it caches the issuers' keys."""

    def __init__(self, issuers: Iterable[IdentityIssuer], fetch: Fetch = fetch) -> None:
        self._sources = {issuer.issuer: (issuer, KeySource(issuer, fetch)) for issuer in issuers}

    def verify(self, token: str, now: float) -> Identity:
        """Return who is asking, at `now` (Unix seconds). Raises only `TokenRefused` or `IdentityUnavailable`."""
        try:
            return self._verify(token, now)
        except (TokenRefused, IdentityUnavailable):
            raise
        except Exception:  # fail closed, with a code to alarm on
            raise TokenRefused(RefusalCode.UNEXPECTED) from None

    def _verify(self, token: str, now: float) -> Identity:
        parts = compact.split(token, token_limit=limits.IDENTITY_TOKEN_BYTES, header_limit=limits.IDENTITY_HEADER_CHARS)
        header = compact.read_object(compact.decode(parts.header))
        _check_header(header)
        claims = compact.read_object(compact.decode(parts.payload))
        issuer, source = self._find(claims)
        algorithm, kid = header["alg"], header["kid"]
        if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
            raise TokenRefused(RefusalCode.ALGORITHM)
        if not isinstance(kid, str) or _KEY_ID.fullmatch(kid) is None:
            raise TokenRefused(RefusalCode.KEY_ID)
        signature = compact.decode(parts.signature)
        if not source.find(kid, algorithm, now).is_signed(parts.signing_input, signature):
            raise TokenRefused(RefusalCode.SIGNATURE)
        return _read_identity(claims, issuer, now)

    def _find(self, claims: Claims) -> tuple[IdentityIssuer, KeySource]:
        name = fields.text(claims, "iss", RefusalCode.ISSUER)
        try:
            return self._sources[name]
        except KeyError:
            raise TokenRefused(RefusalCode.ISSUER) from None


def _check_header(header: Claims) -> None:
    if not _POINTERS.isdisjoint(header) or "alg" not in header or "kid" not in header:
        raise TokenRefused(RefusalCode.HEADER_MEMBER)
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.upper() != "JWT":  # such as `at+jwt`: a token for another use
        raise TokenRefused(RefusalCode.TYPE)


def _read_identity(claims: Claims, issuer: IdentityIssuer, now: float) -> Identity:
    audience = _check_audience(claims, issuer)
    iat, exp = _check_time(claims, issuer, now)
    _check_email(claims, issuer)
    names = issuer.claims
    present = {name: value for name, value in claims.items() if value is not None}  # providers write null for absent
    return Identity(
        issuer=issuer.issuer,
        user=fields.text(claims, names.user, RefusalCode.SUBJECT),
        orgs=tuple(dict.fromkeys(fields.names(present, names.orgs))),
        admin=claims.get(names.admin) is True,  # "true", 1, and {} do not count
        attributes=fields.attributes({name: present[name] for name in names.attributes if name in present}),
        client_id=audience,
        iat=iat,
        exp=exp,
    )


def _check_audience(claims: Claims, issuer: IdentityIssuer) -> str:
    """Return the client that the token was issued to: `azp`, or else our audience in it."""
    value = claims.get("aud")
    named: object = [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(item, str) for item in named):
        raise TokenRefused(RefusalCode.AUDIENCE)
    ours: list[str] = [item for item in named if item in issuer.audience]
    if not ours:
        raise TokenRefused(RefusalCode.AUDIENCE)
    if "azp" not in claims:
        if issuer.azp or len(ours) != len(named):  # also meant for others: the client must be named
            raise TokenRefused(RefusalCode.AUTHORIZED_PARTY)
        return ours[0]
    azp = fields.text(claims, "azp", RefusalCode.AUTHORIZED_PARTY)
    if azp not in (issuer.azp or issuer.audience):
        raise TokenRefused(RefusalCode.AUTHORIZED_PARTY)
    return azp


def _check_time(claims: Claims, issuer: IdentityIssuer, now: float) -> tuple[int, int]:
    exp, iat = fields.whole(claims, "exp"), fields.whole(claims, "iat")
    nbf = fields.whole(claims, "nbf") if "nbf" in claims else iat
    if exp <= now:
        raise TokenRefused(RefusalCode.EXPIRED)
    if max(iat, nbf) > now + limits.CLOCK_LEEWAY:
        raise TokenRefused(RefusalCode.NOT_YET_VALID)
    if now - iat > issuer.max_age:
        raise TokenRefused(RefusalCode.TOO_OLD)
    return iat, exp


def _check_email(claims: Claims, issuer: IdentityIssuer) -> None:
    """Refuse an unverified address as an identity or in rules: its holder could have typed any address."""
    verified = claims.get("email_verified")
    if verified is True:
        return
    if issuer.claims.user == "email" or ("email" in issuer.claims.attributes and verified is not None):
        raise TokenRefused(RefusalCode.EMAIL_UNVERIFIED)
