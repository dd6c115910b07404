"""Read the configuration of the legacy issuer. Decides what may be configured, and what may be a shared secret.

Nothing has a default: an operator who accepts legacy tokens says which, by what claims, and until when.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import floor

from headgate.core.documents import Reader, refuse, rfc3339, unix
from headgate.tokens import limits
from headgate.tokens.compact import decode_json
from headgate.tokens.fields import Prefix
from headgate.tokens.issuers import IdentityIssuer, prefixes
from headgate.tokens.refusals import TokenRefused

LEGACY_ALGORITHM = "HS256"
"""The only one supported. It must be configured all the same, so that nobody mistakes the secret for a public key."""

_MEMBERS = ("algorithm", "version", "accept_until", "issued_before", "claims", "issuer")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyIssuer:
    """The system that was replaced. Times are Unix seconds; `user`, `access`, and `admin` are names of claims.

    Its subjects are those of the identity issuer `issuer`; if empty, of the only one.
    """

    version: int
    accept_until: int
    issued_before: int
    user: str
    access: str
    admin: str
    issuer: str = ""


class NoSecret(ValueError):
    """The text cannot be the shared secret. The message names the check, never the value."""


def parse_legacy_issuer(text: str, now: float) -> LegacyIssuer:
    """Read the issuer from a JSON object, checked at `now`, the function's start. Raises `Invalid` with every fault."""
    try:
        document = decode_json(text.encode("utf-8", "surrogatepass"))
    except TokenRefused as refused:
        refuse("$", f"must be a JSON object: {refused.code}")
    read = Reader(document, known=_MEMBERS)
    if read.members.get("algorithm") != LEGACY_ALGORITHM:
        read.fault("algorithm", f"must be {LEGACY_ALGORITHM}")
    accept_until, issued_before = _time(read, "accept_until"), _time(read, "issued_before")
    latest = floor(now) + limits.LEGACY_PERIOD
    if accept_until > latest:
        read.fault("accept_until", f"must not be later than {rfc3339(latest)}")
    if issued_before > accept_until:
        read.fault("issued_before", "must not be later than accept_until")
    claims = Reader(read.members.get("claims"), "claims", known=("user", "access", "admin"))
    user, access, admin = (
        claims.text(name, limit=limits.ATTRIBUTE_NAME_BYTES, blank=False) for name in ("user", "access", "admin")
    )
    if len({user, access, admin}) != 3:
        claims.fault("", "user, access, and admin must be three different claims")
    read.absorb(claims)
    version, issuer = read.whole("version", -1, 0, 2**31), read.text("issuer", default="")
    read.check()
    return LegacyIssuer(version=version, accept_until=accept_until, issued_before=issued_before,
                        user=user, access=access, admin=admin, issuer=issuer)  # fmt: skip


def prefix_of(issuer: LegacyIssuer, issuers: Iterable[IdentityIssuer]) -> Prefix:
    """Return the prefix of the identity issuer whose subjects these are. Raises `Invalid` if it is not configured."""
    known = prefixes(issuers)
    named = issuer.issuer or (next(iter(known)) if len(known) == 1 else "")
    if known and named not in known:
        refuse("issuer", "must name one of the identity issuers, whose subjects these are")
    return known.get(named, Prefix())


def shared_secret(text: str) -> bytes:
    """Return the key in a secret's text, unchanged, as bytes. Raises `NoSecret`.

    Refuses a PEM key (with a public key as the secret, anybody could sign) and a JSON object (how a secret store writes
    key-value pairs).
    """
    if text != text.strip():
        raise NoSecret("it has whitespace at its start or end")
    if text.startswith("-----BEGIN") or _is_object(text):
        raise NoSecret("it is PEM or JSON, not plain text")
    key = text.encode("utf-8", "surrogatepass")
    if len(key) < limits.LEGACY_SECRET_BYTES:
        raise NoSecret(f"it is shorter than {limits.LEGACY_SECRET_BYTES} bytes")
    return key


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _time(read: Reader, name: str) -> int:
    try:
        return floor(unix(read.text(name)))
    except (ValueError, OverflowError):
        read.fault(name, "must be an RFC 3339 time with an offset")
        return 0
