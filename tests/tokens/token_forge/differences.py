"""Named reasons why we refuse a text that another library accepts; the text itself must show the reason.

The reason of our refusal must be found in the text by an independent, lenient reading, written here
from the token profile (RFC 9068, RFC 8725) and not by the verifier.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from token_forge.own import AUDIENCE, KEYS, NOW, REVOKED, TYP, b64

from headgate.tokens.claims import Kind
from headgate.tokens.refusals import RefusalCode

PLAIN = re.compile(r"[^\s\x00-\x20\x7f-\x9f\ud800-\udfff]+")
HANDLE = re.compile(r"[\w.:-]{1,128}", re.ASCII)
ASKED = {"iss", "aud", "sub", "client_id", "exp", "iat", "jti", "scope", "rev"}
MUST: Mapping[str, set[str]] = {
    Kind.ACCESS: {"orgs", "entitlements"},
    Kind.SESSION: {"orgs", "sid"},
    Kind.EVALUATE: {"orgs"},
    Kind.SERVICE: set(),
}
NEVER: Mapping[str, set[str]] = {
    Kind.ACCESS: {"sid", "gen"},
    Kind.SESSION: {"admin", "entitlements"},
    Kind.EVALUATE: {"sid", "gen", "entitlements"},
    Kind.SERVICE: {"sid", "gen", "orgs", "orgs_cut", "admin", "attributes", "entitlements"},
}


@dataclass(frozen=True)
class Reading:
    """The content of a text that another library accepted."""

    token: str
    raw: tuple[bytes, bytes]
    header: dict[str, Any]
    claims: dict[str, Any]

    @classmethod
    def of(cls, token: str) -> "Reading":
        """Read a text. Raises ValueError or TypeError if it cannot be read."""
        header, payload, _ = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
        return cls(token, (header, payload), json.loads(header), json.loads(payload))

    @property
    def kind(self) -> str:
        """The kind that the header names, or ""."""
        named = self.header.get("typ")
        return next((kind for kind, typ in TYP.items() if isinstance(named, str) and typ == named.lower()), "")

    @property
    def lifetime(self) -> int:
        """Seconds from issue to expiry."""
        return int(self.claims["exp"] - self.claims["iat"])

    @property
    def begins(self) -> int:
        """The earliest time at which it is valid."""
        return int(max(self.claims["iat"], self.claims.get("nbf", 0)))

    @property
    def audience(self) -> str:
        """The audience that its kind must have."""
        return AUDIENCE if self.kind in (Kind.ACCESS, Kind.SESSION) else f"{AUDIENCE}:evaluate"

    def any(self, seen: Callable[[bytes], object]) -> bool:
        """Whether a test holds for the header or the payload."""
        return any(map(seen, self.raw))


def is_plain(value: object) -> bool:
    """1 to 256 bytes without blanks and control characters."""
    return isinstance(value, str) and PLAIN.fullmatch(value) is not None and len(value.encode()) <= 256


def is_oddly_typed(read: Reading) -> bool:
    """Whether a claim has another type or form than in the profile."""
    claims = read.claims
    attributes = claims.get("attributes", {})
    return not (
        is_plain(claims.get("client_id"))
        and all(isinstance(value, str) and HANDLE.fullmatch(value) for value in (claims["jti"], claims.get("sid", "x")))
        and all(
            map(
                _is_whole, (claims["iat"], claims["exp"], claims.get("rev"), claims.get("nbf", 0), claims.get("gen", 1))
            )
        )
        and min(claims["rev"], claims.get("gen", 1)) >= 0
        and claims.get("orgs_cut", True) is True
        and all(map(is_plain, _items(claims, "orgs") + _items(claims, "entitlements")))
        and isinstance(attributes, dict)
        and all(re.fullmatch(r"\S{1,128}", name) and _is_attribute(value) for name, value in attributes.items())
    )


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < 2**53


def _items(claims: Mapping[str, Any], name: str) -> list[Any]:
    value = claims.get(name, [])
    return value if isinstance(value, list) else [None]


def _is_attribute(value: object) -> bool:
    return all(isinstance(item, (str, int, float)) for item in (value if isinstance(value, list) else [value]))


def _is_twice(raw: bytes) -> bool:
    found = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(len({name for name, _ in pairs}) < len(pairs))
        return dict(pairs)

    json.loads(raw, object_pairs_hook=note)
    return any(found)


def _depth(raw: bytes) -> int:
    found = deepest = 0
    for octet in raw:
        found += (octet in b"[{") - (octet in b"]}")
        deepest = max(deepest, found)
    return deepest


def _is_no_utf8(raw: bytes) -> bool:
    try:
        json.dumps(json.loads(raw.decode()), ensure_ascii=False).encode()
    except UnicodeError:
        return True
    return False


Seen = Callable[[Reading], bool]
DIFFERENCES: Mapping[RefusalCode, tuple[str, Seen]] = {
    RefusalCode.TOO_LARGE: (
        "more than 4 KB, or 512 of header",
        lambda read: len(read.token) > 4_096 or read.token.index(".") > 512,
    ),
    RefusalCode.SHAPE: (
        "not three parts of base64url",
        lambda read: not re.fullmatch(r"[\w-]+(\.[\w-]+){2}", read.token, re.ASCII),
    ),
    RefusalCode.ENCODING: (
        "base64url not in its one form",
        lambda read: ".".join(map(b64, read.raw)) != read.token.rpartition(".")[0],
    ),
    RefusalCode.NOT_UTF8: ("JSON not in UTF-8", lambda read: read.any(_is_no_utf8)),
    RefusalCode.NOT_JSON: (
        "JSON with a mark before it, or of two bytes a letter",
        lambda read: read.any(lambda raw: raw[:3] == b"\xef\xbb\xbf" or b"\0" in raw),
    ),
    RefusalCode.DUPLICATE_MEMBER: ("a member twice", lambda read: read.any(_is_twice)),
    RefusalCode.NOT_FINITE: (
        "a number that is none",
        lambda read: read.any(lambda raw: re.search(rb"NaN|Infinity|1e400", raw)),
    ),
    RefusalCode.TOO_DEEP: ("nested deeper than 32", lambda read: read.any(lambda raw: _depth(raw) > 32)),
    RefusalCode.HEADER_MEMBER: (
        "other header members than alg, kid, typ",
        lambda read: read.header.keys() != {"alg", "kid", "typ"},
    ),
    RefusalCode.TYPE: ("a type that is none of ours", lambda read: not read.kind),
    RefusalCode.KEY_ID: ("a key id that is no plain text", lambda read: not is_plain(read.header["kid"])),
    RefusalCode.UNKNOWN_KEY: ("a key id that we do not know", lambda read: read.header["kid"] not in KEYS),
    RefusalCode.REVOKED_KEY: ("a key that was taken back", lambda read: read.header["kid"] == REVOKED.kid),
    RefusalCode.CLAIM_MISSING: (
        "a claim less than the profile asks",
        lambda read: not (ASKED | MUST[read.kind]) <= read.claims.keys(),
    ),
    RefusalCode.CLAIM_FORBIDDEN: (
        "a claim that the kind never carries",
        lambda read: not NEVER[read.kind].isdisjoint(read.claims),
    ),
    RefusalCode.CLAIM_TYPE: ("a claim of another type or form", is_oddly_typed),
    RefusalCode.AUDIENCE: ("an audience list, or another kind's", lambda read: read.claims["aud"] != read.audience),
    RefusalCode.SCOPE: ("another kind's scope", lambda read: read.claims["scope"] != read.kind),
    RefusalCode.SUBJECT: ("a subject that is no plain text", lambda read: not is_plain(read.claims["sub"])),
    RefusalCode.ADMIN: ("admin other than true", lambda read: read.claims["admin"] is not True),
    RefusalCode.EXPIRED: ("over, within the other's leeway", lambda read: NOW - 30 <= read.claims["exp"] <= NOW),
    RefusalCode.NOT_YET_VALID: ("not begun", lambda read: read.begins > NOW + 30),
    RefusalCode.LIFETIME: (
        "ends before it starts, or lives over an hour",
        lambda read: not 0 < read.lifetime <= 3_600,
    ),
}
"""By our refusal code: the name of the difference, and the check that must hold for the text."""
