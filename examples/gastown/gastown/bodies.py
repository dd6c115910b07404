"""Reads a request body: one strict JSON object of at most 32 KB. No refusal quotes it."""

from gastown.outcomes import Json, Refused, unfit
from headgate.core.documents import Reader, is_plain
from headgate.edge.http import Malformed, TooLarge, read_json

MAX_BYTES = 32_768
"""Enough for a name, a setting, or a letter."""

TOO_LARGE = Refused("too-large", f"The body must be at most {MAX_BYTES} bytes.")
NOT_JSON = Refused("invalid-json", "Send one JSON document in UTF-8, without repeated members.")
NOT_OBJECT = unfit((("$", "must be an object"),))


def read_fields(body: bytes) -> dict[str, Json] | Refused:
    """Return the body's members. No body is an empty object, because every member has a default."""
    document = read_document(body or b"{}")
    return document if isinstance(document, dict | Refused) else NOT_OBJECT


def read_document(body: bytes) -> Json | Refused:
    """Return the value in the body."""
    try:
        return read_json(body, MAX_BYTES)
    except Malformed:
        return NOT_JSON
    except TooLarge:
        return TOO_LARGE


def prose(read: Reader, name: str, *, limit: int) -> str:
    """Return a text of at most `limit` bytes, with line breaks allowed, or an empty text if it is absent."""
    value = read.members.get(name, "")
    if not isinstance(value, str) or not is_plain(value.translate(_LINES)) or len(value.encode()) > limit:
        read.fault(name, f"must be a text of at most {limit} bytes")
        return ""
    return value


_LINES = str.maketrans("\r\n\t", "   ")
