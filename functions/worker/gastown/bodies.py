"""Reads what a caller sent, strictly: JSON without duplicate members or NaN, at most 32 KB, an object.

What it reads is never repeated in a refusal. It must not know towns or routes.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from gastown.outcomes import Json, Refused, unfit
from headgate.core.faults import Reader, is_plain

MAX_BYTES = 32_768
"""A body holds a name, a setting or a letter."""

TOO_LARGE = Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", f"A body may have {MAX_BYTES} bytes.")
NOT_JSON = Refused(HTTPStatus.BAD_REQUEST, "invalid-json", "Send one JSON document in UTF-8, no member twice.")
NOT_OBJECT = unfit((("$", "must be an object"),))


def read_text(event: Mapping[str, Json]) -> str | Refused:
    """The body of a payload 2.0 event as text; none at all is the empty text."""
    body = event.get("body")
    if body is None:
        return ""
    if not isinstance(body, str):
        return NOT_JSON
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        return TOO_LARGE if len(raw) > MAX_BYTES else raw.decode()
    except (binascii.Error, UnicodeError):
        return NOT_JSON


def read_object(event: Mapping[str, Json]) -> dict[str, Json] | Refused:
    """The body as an object; no body is an empty one, since every member has a default."""
    text = read_text(event)
    if isinstance(text, Refused):
        return text
    document = parse(text or "{}")
    if isinstance(document, Refused):
        return document
    return document if isinstance(document, dict) else NOT_OBJECT


def parse(text: str) -> Json | Refused:
    """One strict JSON document."""
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse)
    except (ValueError, RecursionError):  # too deep, too long a number, or no JSON at all
        return NOT_JSON


def prose(read: Reader, name: str, *, limit: int) -> str:
    """A text of several lines, at most `limit` bytes; empty when it is not there."""
    value = read.members.get(name, "")
    if not isinstance(value, str) or not is_plain(value.translate(_LINES)) or len(value.encode()) > limit:
        read.fault(name, f"must be a text of at most {limit} bytes")
        return ""
    return value


_LINES = str.maketrans("\r\n\t", "   ")


def _distinct(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError("a member is there twice")
        members[name] = value
    return members


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is not JSON")
