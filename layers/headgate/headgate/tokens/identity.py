"""Verify identity tokens of the configured issuers (OpenID Connect Core 1.0 §3.1.3.7). Decides who is asking.

The checks run in this order, and the first failure decides: size, shape, header, issuer, algorithm, key, signature,
claims. Claims are read after the signature check, except `iss`, which selects the keys and must be one of the
configured strings. The header cannot supply a key, neither by URL nor by value. Knows no flags and none of our own
tokens: here, an access token of ours is a token of an unknown issuer.

Only issuer, audience, times, use, and user refuse an identity. Any other claim that cannot be read counts as absent,
which never admits anybody.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from headgate.tokens import compact, fields, limits
from headgate.tokens.fetch import Fetch, fetch
from headgate.tokens.fields import Attribute, Claims, Prefix, no_attributes
from headgate.tokens.issuers import AdminClaim, IdentityIssuer, prefixes
from headgate.tokens.jwks import IdentityUnavailable, KeySource
from headgate.tokens.refusals import RefusalCode, TokenRefused

__all__ = ["Identity", "IdentityUnavailable", "IdentityVerifier"]

_POINTERS = frozenset("jku x5u jwk x5c crit zip b64 enc epk apu apv p2c p2s iv tag".split())
"""Header members that supply a key, require an extension, or belong to encryption (RFC 7515, 7516, 7518)."""

_TYPES = frozenset(("JWT", "APPLICATION/JWT"))
"""`typ` is a media type, whose `application/` may be left out and whose case is free (RFC 7515 §4.1.9)."""

_KEY_ID = re.compile(r"(?!.*\.\.)[A-Za-z0-9._~:/+=@|-]{1,256}")
"""Thumbprints, UUIDs, base64, and URLs pass. What looks like a path traversal or a query is not even looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is asking, according to a verified identity token. Times are Unix seconds.

    `orgs_cut` says that the token has orgs that it does not name, or that could not be read. `unread` are the names of
    the claims that could not be read.
    """

    issuer: str
    user: str = field(repr=False)
    orgs: tuple[str, ...] = field(default=(), repr=False)
    admin: bool = False
    attributes: Mapping[str, Attribute] = field(default_factory=no_attributes, repr=False)
    orgs_cut: bool = False
    unread: tuple[str, ...] = ()
    client_id: str
    iat: int
    exp: int


class IdentityVerifier:
    """Verifies tokens of a set of issuers. One per execution context, since it caches the issuers' keys."""

    def __init__(self, issuers: Iterable[IdentityIssuer], fetch: Fetch = fetch) -> None:
        issuers = tuple(issuers)
        self._sources = {issuer.issuer: (issuer, KeySource(issuer, fetch)) for issuer in issuers}
        self._prefixes = prefixes(issuers)

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
        algorithm = header["alg"]
        if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
            raise TokenRefused(RefusalCode.ALGORITHM)
        kid = _read_key_id(header)
        source.check_signature(kid, algorithm, parts.signing_input, compact.decode(parts.signature), now)
        return self._read(claims, issuer, now)

    def _find(self, claims: Claims) -> tuple[IdentityIssuer, KeySource]:
        name = fields.text(claims, "iss", RefusalCode.ISSUER)
        try:
            return self._sources[name]
        except KeyError:
            raise TokenRefused(RefusalCode.ISSUER) from None

    def _read(self, claims: Claims, issuer: IdentityIssuer, now: float) -> Identity:
        _check_use(claims)
        audience = _check_audience(claims, issuer)
        iat, exp = _check_time(claims, issuer, now)
        present = {name: value for name, value in claims.items() if value is not None}  # some write null for absent
        known = present if _is_verified(claims) else {n: value for n, value in present.items() if n != "email"}
        if issuer.claims.user == "email" and known is not present:
            raise TokenRefused(RefusalCode.EMAIL_UNVERIFIED, "email_verified")
        unread: list[str] = []
        prefix = self._prefixes[issuer.issuer]
        orgs, cut = _read_orgs(known, issuer.claims.orgs, prefix, unread)
        attributes = _read_attributes(present if issuer.unverified_email else known, issuer.claims.attributes, unread)
        if issuer.claims.orgs in attributes:  # rules see the orgs that everything else sees; a cut only denies
            del attributes[issuer.claims.orgs]
            if not cut:
                attributes[issuer.claims.orgs] = orgs
        return Identity(
            issuer=issuer.issuer,
            user=prefix.name(fields.text(known, issuer.claims.user, RefusalCode.SUBJECT), issuer.claims.user),
            orgs=orgs,
            admin=_is_admin(known, issuer.claims.admin),
            attributes=MappingProxyType(attributes),
            orgs_cut=cut,
            unread=tuple(unread),
            client_id=audience,
            iat=iat,
            exp=exp,
        )


def _check_header(header: Claims) -> None:
    if not _POINTERS.isdisjoint(header) or "alg" not in header:
        raise TokenRefused(RefusalCode.HEADER_MEMBER)
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.upper() not in _TYPES:  # such as `at+jwt`: a token for another use
        raise TokenRefused(RefusalCode.TYPE)


def _read_key_id(header: Claims) -> str | None:
    if "kid" not in header:
        return None
    kid = header["kid"]
    if not isinstance(kid, str) or _KEY_ID.fullmatch(kid) is None:
        raise TokenRefused(RefusalCode.KEY_ID)
    return kid


def _check_use(claims: Claims) -> None:
    """Refuse what the same provider signs for another use with the same `typ` and audience.

    `events` is in logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4) and other security events (RFC 8417), a
    client id with scopes in access tokens (RFC 9068 §2.2). Cognito writes `token_use`, Keycloak a claim `typ`.
    """
    is_access = not {"client_id", "cid"}.isdisjoint(claims) and not {"scope", "scp"}.isdisjoint(claims)
    if is_access or "events" in claims:
        raise TokenRefused(RefusalCode.NOT_IDENTITY)
    for name, uses in (("token_use", ("id",)), ("typ", ("ID", "JWT"))):
        if claims.get(name) not in (None, *uses):
            raise TokenRefused(RefusalCode.NOT_IDENTITY, name)


def _read_orgs(claims: Claims, name: str, prefix: Prefix, unread: list[str]) -> tuple[tuple[str, ...], bool]:
    """Return the orgs, and whether there are others. One text is one org; a map has them as names (Keycloak)."""
    value = claims.get(name, [])
    items = [value] if isinstance(value, str) and value else list(value) if isinstance(value, dict) else value or []
    plain = [item for item in items if prefix.fits(item)] if isinstance(items, list) else []
    kept = tuple(dict.fromkeys(prefix.name(item, name) for item in plain))
    if not isinstance(items, list) or len(plain) < len(items):
        unread.append(name)
        return kept, True
    return kept, _is_left_out(claims, name)


def _is_left_out(claims: Claims, name: str) -> bool:
    """Whether a claim is elsewhere because it is too long (OpenID Connect Core 1.0 §5.6.2; `hasgroups`: Entra ID)."""
    elsewhere = claims.get("_claim_names")
    return (isinstance(elsewhere, dict) and name in elsewhere) or (name == "groups" and "hasgroups" in claims)


def _is_admin(claims: Claims, mark: AdminClaim | None) -> bool:
    """Only JSON true, or an element that is exactly the configured text. "true", 1, and {} do not count."""
    if mark is None:
        return False
    value = claims.get(mark.claim)
    if mark.contains is None:
        return value is True
    if _is_left_out(claims, mark.claim):
        return False
    items = [value] if isinstance(value, str) else value
    return isinstance(items, list) and mark.contains in items


def _read_attributes(claims: Claims, names: Iterable[str], unread: list[str]) -> dict[str, Attribute]:
    read: dict[str, Attribute] = {}
    for name in names:
        try:
            if name in claims:
                read[name] = fields.attribute(claims[name])
        except TokenRefused:
            unread.append(name)
    return read


def _is_verified(claims: Claims) -> bool:
    """Whether the provider says that it verified the address. Its holder could have typed any. Apple writes text."""
    verified = claims.get("email_verified")
    return verified is True or verified == "true"


def _check_audience(claims: Claims, issuer: IdentityIssuer) -> str:
    """Return the client that the token was issued to: `azp`, or else our audience in it."""
    value = claims.get("aud")
    named: object = [value] if isinstance(value, str) else value
    if not isinstance(named, list) or not all(isinstance(item, str) for item in named):
        raise TokenRefused(RefusalCode.AUDIENCE, "aud")
    ours: list[str] = [item for item in named if item in issuer.audience]
    if not ours:
        raise TokenRefused(RefusalCode.AUDIENCE, "aud")
    if claims.get("azp") is None:
        if issuer.azp or len(ours) != len(named):  # also meant for others: the client must be named
            raise TokenRefused(RefusalCode.AUTHORIZED_PARTY, "azp")
        return ours[0]
    azp = fields.text(claims, "azp", RefusalCode.AUTHORIZED_PARTY)
    if azp not in (issuer.azp or issuer.audience):
        raise TokenRefused(RefusalCode.AUTHORIZED_PARTY, "azp")
    return azp


def _check_time(claims: Claims, issuer: IdentityIssuer, now: float) -> tuple[int, int]:
    exp, iat = fields.moment(claims, "exp"), fields.moment(claims, "iat")
    nbf = iat if claims.get("nbf") is None else fields.moment(claims, "nbf")
    if exp <= now:
        raise TokenRefused(RefusalCode.EXPIRED, "exp")
    if max(iat, nbf) > now + limits.CLOCK_LEEWAY:
        raise TokenRefused(RefusalCode.NOT_YET_VALID, "iat" if iat >= nbf else "nbf")
    if now - iat > issuer.max_age:
        raise TokenRefused(RefusalCode.TOO_OLD, "iat")
    return int(iat), int(exp)
