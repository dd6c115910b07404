"""Reads what a caller sent: one strict JSON object of at most 32 KB. What it reads is never repeated in a refusal."""

from gastown.outcomes import Json, Refused, unfit
from headgate.core.documents import Reader, is_plain
from headgate.edge.http import Malformed, TooLarge, read_json

MAX_BYTES = 32_768
"""A body holds a name, a setting or a letter."""

TOO_LARGE = Refused("too-large", f"A body may have {MAX_BYTES} bytes.")
NOT_JSON = Refused("invalid-json", "Send one JSON document in UTF-8, no member twice.")
NOT_OBJECT = unfit((("$", "must be an object"),))


def read_fields(body: bytes) -> dict[str, Json] | Refused:
    """The members of the body. No body is an empty object, since every member has a default."""
    document = read_document(body or b"{}")
    return document if isinstance(document, dict | Refused) else NOT_OBJECT


def read_document(body: bytes) -> Json | Refused:
    """The value in the body."""
    try:
        return read_json(body, MAX_BYTES)
    except Malformed:
        return NOT_JSON
    except TooLarge:
        return TOO_LARGE


def prose(read: Reader, name: str, *, limit: int) -> str:
    """A text of several lines, at most `limit` bytes; empty when it is not there."""
    value = read.members.get(name, "")
    if not isinstance(value, str) or not is_plain(value.translate(_LINES)) or len(value.encode()) > limit:
        read.fault(name, f"must be a text of at most {limit} bytes")
        return ""
    return value


_LINES = str.maketrans("\r\n\t", "   ")
