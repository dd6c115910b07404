"""Why the token endpoint accepts or refuses an identity token: the function's own verifier, with its reasons shown.

It must not know of flags or revocations, which the stack decides on.
"""

from collections.abc import Mapping
from typing import Any

from headgate.tokens.compact import decode, read_object
from headgate.tokens.fetch import Fetch, fetch
from headgate.tokens.identity import Identity, IdentityUnavailable, IdentityVerifier
from headgate.tokens.issuers import IdentityIssuer
from headgate.tokens.refusals import RefusalCode, TokenRefused

REASONS: Mapping[RefusalCode, str] = {
    RefusalCode.TOO_LARGE: "The token is longer than 16 KB. Have the provider leave out groups or pictures.",
    RefusalCode.HEADER_MEMBER: "The header lacks alg, or has a member that points to or carries a key.",
    RefusalCode.ALGORITHM: "The token's alg is not among the issuer's algorithms.",
    RefusalCode.TYPE: "The header's typ is not JWT: this is a token for another use.",
    RefusalCode.KEY_ID: "The header's kid is not a plausible key id, or without one more than 10 keys could be meant.",
    RefusalCode.UNKNOWN_KEY: "The provider's key set has no usable key with this kid and alg.",
    RefusalCode.SIGNATURE: "The provider's key did not sign this token.",
    RefusalCode.NOT_IDENTITY: "This is an access token or a logout token. Send the ID token.",
    RefusalCode.ISSUER: "No configured issuer has exactly this iss. A final slash counts.",
    RefusalCode.AUDIENCE: "aud has none of the issuer's audience values. Add the provider's client id there.",
    RefusalCode.AUTHORIZED_PARTY: "azp is not among the issuer's azp values (by default, its audience).",
    RefusalCode.SUBJECT: "The user's claim is not text of 1 to 256 bytes without whitespace.",
    RefusalCode.PREFIX: "The user or an org begins with the prefix of a configured issuer.",
    RefusalCode.EMAIL_UNVERIFIED: "The user is identified by email, and email_verified is not true.",
    RefusalCode.NOT_YET_VALID: "iat or nbf is more than 30 s ahead of this clock.",
    RefusalCode.EXPIRED: "The token has expired. Get a new one.",
    RefusalCode.TOO_OLD: "The token was issued longer ago than max_age. Get a new one, or raise max_age.",
    RefusalCode.CLAIM_MISSING: "A required claim is missing.",
    RefusalCode.CLAIM_TYPE: "A required claim has another type: times must be numbers.",
}
MALFORMED = "The text is not a signed JWT: three base64url parts, whose first two are JSON objects."


def identified(token: str, issuers: tuple[IdentityIssuer, ...], now: float, load: Fetch = fetch) -> dict[str, Any]:
    """Return what the token endpoint makes of an identity token at `now` (Unix seconds). `load` fetches the keys."""
    said = {name: value for name, value in _claims(token).items() if name in ("iss", "aud", "azp")}
    try:
        identity = IdentityVerifier(issuers, load).verify(token, now)
    except TokenRefused as refused:
        why = REASONS.get(refused.code, MALFORMED)
        return {"accepted": False, "code": refused.code.value, "claim": refused.claim or None, "why": why, **said}
    except IdentityUnavailable:
        why = "The provider's discovery document or keys cannot be fetched from here."
        return {"accepted": False, "code": "unavailable", "claim": None, "why": why, **said}
    return {"accepted": True, **_read(identity, issuers), **said}


def _read(identity: Identity, issuers: tuple[IdentityIssuer, ...]) -> dict[str, Any]:
    (max_age,) = (issuer.max_age for issuer in issuers if issuer.issuer == identity.issuer)
    return {
        "user": identity.user,
        "orgs": list(identity.orgs),
        "orgs_cut": identity.orgs_cut,
        "admin": identity.admin,
        "attributes": dict(identity.attributes),
        "unread": list(identity.unread),
        "exchangeable_until": min(identity.exp, identity.iat + max_age),
    }


def _claims(token: str) -> Mapping[str, Any]:
    """The claims as written, unverified; empty if they cannot be read."""
    try:
        return read_object(decode(token.split(".")[1]))
    except (TokenRefused, IndexError):
        return {}
