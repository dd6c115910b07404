"""Split a compact JWS strictly into its parts. Decides form only; knows no key, no claim, and no clock.

Stricter than RFC 7515: one encoding per token (canonical base64url, no padding), strict UTF-8, no duplicate members, no
NaN or Infinity. Attacks have used such freedoms to make two parsers read one token differently.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import NoReturn

from headgate.tokens.limits import NESTING
from headgate.tokens.refusals import RefusalCode, TokenRefused

_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Compact:
    """The three parts, still encoded."""

    header: str
    payload: str
    signature: str

    @property
    def signing_input(self) -> bytes:
        """What the signature covers (RFC 7515 §5.2)."""
        return f"{self.header}.{self.payload}".encode("ascii")


def split(token: str, *, token_limit: int, header_limit: int) -> Compact:
    """Split a token of at most `token_limit` characters. Raises `TokenRefused`."""
    if not isinstance(token, str):
        raise TokenRefused(RefusalCode.SHAPE)
    if len(token) > token_limit:
        raise TokenRefused(RefusalCode.TOO_LARGE)
    match = _SHAPE.fullmatch(token)
    if match is None:
        raise TokenRefused(RefusalCode.SHAPE)
    if match.end(1) > header_limit:
        raise TokenRefused(RefusalCode.TOO_LARGE)
    return Compact(*match.groups())


def decode(part: str) -> bytes:
    """Decode base64url without padding, in its one canonical form. Raises `TokenRefused`."""
    try:
        raw = base64.urlsafe_b64decode(part + "==")
    except (binascii.Error, ValueError):
        raise TokenRefused(RefusalCode.ENCODING) from None
    if encode(raw) != part:  # stray bits after the last byte
        raise TokenRefused(RefusalCode.ENCODING)
    return raw


def encode(raw: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def read_object(raw: bytes) -> dict[str, object]:
    """Return the JSON object in `raw`, read by `decode_json`. Raises `TokenRefused`."""
    value = decode_json(raw)
    if not isinstance(value, dict):
        raise TokenRefused(RefusalCode.NOT_OBJECT)
    return value


def decode_json(raw: bytes) -> object:
    """Return the JSON value in `raw`. All its strings can be written as UTF-8. Raises `TokenRefused`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise TokenRefused(RefusalCode.NOT_UTF8) from None
    try:
        value: object = _DECODER.decode(text)
        if text.count("[") + text.count("{") > NESTING:
            _check_depth(value)
        if "\\u" in text:  # only an escape can make a lone surrogate, which no store or log can write
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise TokenRefused(RefusalCode.TOO_DEEP) from None
    except UnicodeEncodeError:
        raise TokenRefused(RefusalCode.NOT_UTF8) from None
    except ValueError:
        raise TokenRefused(RefusalCode.NOT_JSON) from None
    return value


def _check_depth(value: object) -> None:
    """Apply one limit where parsers differ, by version and platform: a stack, a counter, or none."""
    level = [value]
    for _ in range(NESTING + 1):
        level = [
            inner
            for item in level
            if isinstance(item, (dict, list))
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise TokenRefused(RefusalCode.TOO_DEEP)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise TokenRefused(RefusalCode.DUPLICATE_MEMBER)
    return members


def _constant(_name: str) -> NoReturn:
    raise TokenRefused(RefusalCode.NOT_FINITE)


def _finite(digits: str) -> float:
    value = float(digits)
    if not isfinite(value):  # 1e400
        raise TokenRefused(RefusalCode.NOT_FINITE)
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)
