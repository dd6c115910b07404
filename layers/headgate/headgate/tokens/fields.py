"""Typed readers of one claims object, for our own and identity tokens. Each returns the value or raises `TokenRefused`.

They decide type and form only. `accept` and `identity` decide which claims are required and what they must say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType

from headgate.tokens import limits
from headgate.tokens.refusals import RefusalCode, TokenRefused

Scalar = str | int | float | bool
Attribute = Scalar | tuple[Scalar, ...]
Claims = Mapping[str, object]

_NO_ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType({})
_UNSAFE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def no_attributes() -> Mapping[str, Attribute]:
    """The shared empty mapping (a function: dataclasses do not accept such a default before Python 3.12)."""
    return _NO_ATTRIBUTES


def is_short_and_plain(value: object, most: int = limits.TEXT_BYTES) -> bool:
    """Whether it is a string of 1 to `most` UTF-8 bytes without whitespace, control characters, or lone surrogates.

    Nothing is normalized: ids that look alike stay different.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) <= most
        and _UNSAFE.search(value) is None
        and (value.isascii() or len(value.encode()) <= most)
    )


@dataclass(frozen=True, slots=True)
class Prefix:
    """What is put before an issuer's subjects and orgs, and the prefixes that are in use (`reserved`)."""

    own: str = ""
    reserved: tuple[str, ...] = ()

    def fits(self, raw: object) -> bool:
        """Whether it is plain text, and short enough with the prefix."""
        return isinstance(raw, str) and is_short_and_plain(raw) and is_short_and_plain(self.own + raw)

    def name(self, raw: str, claim: str) -> str:
        """Return the name here. Raises `TokenRefused` if `raw` looks like another issuer's, or if it gets too long.

        `claim` is the name of the claim that it is from.
        """
        if raw.startswith(self.reserved):
            raise TokenRefused(RefusalCode.PREFIX, claim)
        if not self.fits(raw):
            raise TokenRefused(RefusalCode.SUBJECT, claim)
        return self.own + raw


def text(claims: Claims, name: str, code: RefusalCode = RefusalCode.CLAIM_TYPE) -> str:
    """A required plain string. `code` is the refusal if it is not plain."""
    value = _present(claims, name)
    if not isinstance(value, str) or not is_short_and_plain(value):
        raise TokenRefused(code, name)
    return value


def whole(claims: Claims, name: str) -> int:
    """A required JSON integer: no boolean, float, or string (RFC 7519 allows floats; we write none).

    It must be in the range that every JSON reader keeps exact (RFC 7493 §2.2).
    """
    value = _present(claims, name)
    if type(value) is not int or abs(value) >= 2**53:
        raise TokenRefused(RefusalCode.CLAIM_TYPE, name)
    return value


def moment(claims: Claims, name: str) -> float:
    """A required NumericDate: a JSON number, with or without a fraction (RFC 7519 §2). Unix seconds."""
    value = _present(claims, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**53:
        raise TokenRefused(RefusalCode.CLAIM_TYPE, name)
    return value


def names(claims: Claims, name: str) -> tuple[str, ...]:
    """A list of plain strings; empty if absent."""
    value = claims.get(name, ())
    if value == ():
        return ()
    if not isinstance(value, list) or not all(is_short_and_plain(item) for item in value):
        raise TokenRefused(RefusalCode.CLAIM_TYPE, name)
    return tuple(value)


def attributes(value: object) -> Mapping[str, Attribute]:
    """An object whose values are scalars or lists of scalars, as a read-only mapping."""
    if not isinstance(value, dict):
        raise TokenRefused(RefusalCode.CLAIM_TYPE)
    read: dict[str, Attribute] = {}
    for name, item in value.items():
        if not is_short_and_plain(name, limits.ATTRIBUTE_NAME_BYTES):
            raise TokenRefused(RefusalCode.CLAIM_TYPE)
        read[name] = attribute(item)
    return MappingProxyType(read)


def attribute(value: object) -> Attribute:
    """One attribute's value."""
    if isinstance(value, list):
        return tuple(_scalar(item) for item in value)
    return _scalar(value)


def _scalar(value: object) -> Scalar:
    if isinstance(value, (str, int)) or (isinstance(value, float) and isfinite(value)):
        return value
    raise TokenRefused(RefusalCode.CLAIM_TYPE)


def _present(claims: Claims, name: str) -> object:
    try:
        return claims[name]
    except KeyError:
        raise TokenRefused(RefusalCode.CLAIM_MISSING, name) from None
