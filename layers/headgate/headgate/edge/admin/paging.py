"""Cursors: opaque to callers, and checked when they come back. A forged or foreign one is 400 `invalid-cursor`."""

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from headgate.core.changes.refusal import Refusal, Slug
from headgate.edge.admin.call import limit_of
from headgate.edge.http import Request


def write_cursor(kind: str, *place: str | int) -> str:
    """Return a cursor for one kind of list."""
    return base64.urlsafe_b64encode(json.dumps([kind, *place]).encode()).decode().rstrip("=")


def read_cursor(text: str, kind: str, *types: type) -> list[Any]:
    """Return the place in a cursor. Raises `Refusal` unless it is exactly as `write_cursor` wrote it for this kind."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        value = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        raise Refusal(Slug.INVALID_CURSOR) from None
    fits = isinstance(value, list) and len(value) == 1 + len(types) and value[0] == kind
    if not fits or [type(item) for item in value[1:]] != list(types) or write_cursor(*value) != text:
        raise Refusal(Slug.INVALID_CURSOR)
    return list(value[1:])


def list_page(names: Sequence[str], request: Request, kind: str) -> tuple[list[str], str | None]:
    """Return a page of sorted names, and the cursor of the next page."""
    limit = limit_of(request)
    begin = 0
    if "cursor" in request.query:
        (last,) = read_cursor(request.query["cursor"], kind, str)
        begin = bisect_right(names, last)
    page = list(names[begin : begin + limit])
    return page, write_cursor(kind, page[-1]) if begin + limit < len(names) else None
