"""Our own tokens: the four kinds, what identifies each, and when a claims object is a credential of a kind.

Type, audience, and scope each identify the kind, so that none passes as another (RFC 8725 §3.11, §3.12). Knows no key,
no encoding, and no clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headgate.tokens import fields, limits
from headgate.tokens.fields import Attribute, Claims, no_attributes
from headgate.tokens.refusals import RefusalCode, TokenRefused

_HANDLE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Kind(StrEnum):
    """What a token is for."""

    ACCESS = "access"
    SESSION = "session"
    EVALUATE = "evaluate"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class KindProfile:
    """What identifies a kind: `typ` header, suffix of the audience, scope, and the claims it must or must not have."""

    kind: Kind
    typ: str
    suffix: str
    required: frozenset[str]
    forbidden: frozenset[str]

    @property
    def scope(self) -> str:
        """The `scope` claim: the kind's name."""
        return self.kind.value

    def audience(self, base: str) -> str:
        """The `aud` claim of this kind for the configured audience."""
        return base + self.suffix


def _profile(kind: Kind, typ: str, suffix: str, required: str, forbidden: str) -> KindProfile:
    return KindProfile(kind, typ, suffix, frozenset(required.split()), frozenset(forbidden.split()))


PROFILES: Mapping[Kind, KindProfile] = {
    profile.kind: profile
    for profile in (
        _profile(Kind.ACCESS, "at+jwt", "", "orgs entitlements", "sid gen"),
        _profile(Kind.SESSION, "hg-session+jwt", "", "orgs sid", "admin entitlements"),
        _profile(Kind.EVALUATE, "hg-evaluate+jwt", ":evaluate", "orgs", "sid gen entitlements"),
        _profile(
            Kind.SERVICE, "hg-service+jwt", ":evaluate", "", "sid gen orgs orgs_cut admin attributes entitlements"
        ),
    )
}

BY_TYP: Mapping[str, KindProfile] = {profile.typ: profile for profile in PROFILES.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A verified token of our own. Times are Unix seconds; `rev` is the revision at issue; `kid` is its key's id.

    Personal data is left out of `repr()`, so that a log line cannot contain it by accident.
    """

    kind: Kind
    issuer: str
    audience: str
    subject: str = field(repr=False)
    client_id: str = field(repr=False)
    orgs: tuple[str, ...] = field(default=(), repr=False)
    orgs_cut: bool = False
    admin: bool = False
    attributes: Mapping[str, Attribute] = field(default_factory=no_attributes, repr=False)
    entitlements: tuple[str, ...] = ()
    sid: str | None = field(default=None, repr=False)
    gen: int = 1
    rev: int
    jti: str
    iat: int
    nbf: int
    exp: int
    kid: str


def accept(claims: Claims, profile: KindProfile, *, issuer: str, audience: str, kid: str) -> Credential:
    """Return the credential in these claims if `issuer` and `audience` (the base) match. Raises `TokenRefused`.

    Verifiers use it after the signature check, and the issuer before signing, so that what is issued is what is
    accepted. Unknown claims are ignored (RFC 7519 §4). `verify` checks the time.
    """
    _check_presence(claims, profile)
    _check_addressee(claims, profile, issuer, audience)
    credential = Credential(
        kind=profile.kind,
        issuer=issuer,
        audience=audience,
        subject=fields.text(claims, "sub", RefusalCode.SUBJECT),
        client_id=fields.text(claims, "client_id"),
        orgs=fields.names(claims, "orgs"),
        orgs_cut=_only_true(claims, "orgs_cut", RefusalCode.CLAIM_TYPE),
        admin=_only_true(claims, "admin", RefusalCode.ADMIN),
        attributes=fields.attributes(claims["attributes"]) if "attributes" in claims else no_attributes(),
        entitlements=fields.names(claims, "entitlements"),
        sid=_handle(claims, "sid") if profile.kind is Kind.SESSION else None,
        gen=_count(claims, "gen") if "gen" in claims else 1,
        rev=_count(claims, "rev"),
        jti=_handle(claims, "jti"),
        iat=(iat := fields.whole(claims, "iat")),
        nbf=fields.whole(claims, "nbf") if "nbf" in claims else iat,
        exp=fields.whole(claims, "exp"),
        kid=kid,
    )
    if not 0 < credential.exp - credential.iat <= limits.LIFETIME:
        raise TokenRefused(RefusalCode.LIFETIME)
    return credential


def _check_presence(claims: Claims, profile: KindProfile) -> None:
    if not profile.required <= claims.keys():
        raise TokenRefused(RefusalCode.CLAIM_MISSING)
    if not profile.forbidden.isdisjoint(claims):
        raise TokenRefused(RefusalCode.CLAIM_FORBIDDEN)


def _check_addressee(claims: Claims, profile: KindProfile, issuer: str, audience: str) -> None:
    for name, expected, code in (
        ("iss", issuer, RefusalCode.ISSUER),
        ("aud", profile.audience(audience), RefusalCode.AUDIENCE),  # a string: we never write a list
        ("scope", profile.scope, RefusalCode.SCOPE),
    ):
        if name not in claims:
            raise TokenRefused(RefusalCode.CLAIM_MISSING)
        if claims[name] != expected:
            raise TokenRefused(code)


def _only_true(claims: Claims, name: str, code: RefusalCode) -> bool:
    """Only JSON true means true, such as for `admin`, and we write nothing else."""
    if name not in claims:
        return False
    if claims[name] is not True:
        raise TokenRefused(code)
    return True


def _count(claims: Claims, name: str) -> int:
    number = fields.whole(claims, name)
    if number < 0:
        raise TokenRefused(RefusalCode.CLAIM_TYPE)
    return number


def _handle(claims: Claims, name: str) -> str:
    value = fields.text(claims, name)
    if _HANDLE.fullmatch(value) is None:
        raise TokenRefused(RefusalCode.CLAIM_TYPE)
    return value
