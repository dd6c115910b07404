"""Decides whether a claims object is a credential of a kind: what must be there, of what type, saying what.

Used after the signature is checked, and by the issuer before it signs, so that what is issued is what is accepted.
Unknown claims are ignored (RFC 7519 §4). Knows no key and no encoding; `now` is an argument.
"""

import re

from headgate.tokens import fields, limits
from headgate.tokens.claims import Credential, Kind, KindProfile
from headgate.tokens.fields import Claims, no_attributes
from headgate.tokens.refusals import RefusalCode, Refused

_HANDLE = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def accept(claims: Claims, profile: KindProfile, *, issuer: str, audience: str, kid: str, now: float) -> Credential:
    """The credential that the claims make: `issuer` and `audience` (the base) exactly. Raises `Refused`."""
    _check_presence(claims, profile)
    _check_addressee(claims, profile, issuer, audience)
    credential = Credential(
        kind=profile.kind,
        issuer=issuer,
        audience=audience,
        subject=fields.text(claims, "sub", RefusalCode.SUBJECT),
        client_id=fields.text(claims, "client_id"),
        orgs=fields.names(claims, "orgs"),
        admin=_admin(claims),
        attributes=fields.attributes(claims["attributes"]) if "attributes" in claims else no_attributes(),
        entitlements=fields.names(claims, "entitlements"),
        sid=_handle(claims, "sid") if profile.kind is Kind.SESSION else None,
        rev=_revision(claims),
        jti=_handle(claims, "jti"),
        iat=(iat := fields.whole(claims, "iat")),
        nbf=fields.whole(claims, "nbf") if "nbf" in claims else iat,
        exp=fields.whole(claims, "exp"),
        kid=kid,
    )
    if not 0 < credential.exp - credential.iat <= limits.LIFETIME:
        raise Refused(RefusalCode.LIFETIME)
    check_time(credential, now)
    return credential


def check_time(credential: Credential, now: float) -> None:
    """Refuse outside the credential's time. The only check that a token seen before needs again with its key's."""
    if credential.exp <= now:
        raise Refused(RefusalCode.EXPIRED)
    ahead = now + limits.CLOCK_LEEWAY
    if credential.iat > ahead or credential.nbf > ahead:
        raise Refused(RefusalCode.NOT_YET_VALID)


def _check_presence(claims: Claims, profile: KindProfile) -> None:
    if not profile.required <= claims.keys():
        raise Refused(RefusalCode.CLAIM_MISSING)
    if not profile.forbidden.isdisjoint(claims):
        raise Refused(RefusalCode.CLAIM_FORBIDDEN)


def _check_addressee(claims: Claims, profile: KindProfile, issuer: str, audience: str) -> None:
    for name, expected, code in (
        ("iss", issuer, RefusalCode.ISSUER),
        ("aud", profile.audience(audience), RefusalCode.AUDIENCE),  # one string: a list is never ours
        ("scope", profile.scope, RefusalCode.SCOPE),
    ):
        if name not in claims:
            raise Refused(RefusalCode.CLAIM_MISSING)
        if claims[name] != expected:
            raise Refused(code)


def _admin(claims: Claims) -> bool:
    """Only JSON true is an admin, and nothing else is ever written."""
    if "admin" not in claims:
        return False
    if claims["admin"] is not True:
        raise Refused(RefusalCode.ADMIN)
    return True


def _revision(claims: Claims) -> int:
    revision = fields.whole(claims, "rev")
    if revision < 0:
        raise Refused(RefusalCode.CLAIM_TYPE)
    return revision


def _handle(claims: Claims, name: str) -> str:
    value = fields.text(claims, name)
    if _HANDLE.fullmatch(value) is None:
        raise Refused(RefusalCode.CLAIM_TYPE)
    return value
