"""Pages, bounded by count and by bytes, and their cursors.

Cursors are opaque to callers and checked when they come back. A forged or foreign one is 400 `invalid-cursor`.
"""

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from headgate.core.changes.refusal import Refusal, Slug
from headgate.edge.admin.call import limit_of
from headgate.edge.http import ANSWER_BYTES, Request, cost


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


class AnswerLimit:
    """What is left of one answer: a number of documents, and bytes."""

    def __init__(self, limit: int, most: int = ANSWER_BYTES) -> None:
        self._places, self._bytes = limit, most

    def takes(self, document: Any) -> bool:
        """Whether the document still fits, which takes its place. One always fits in an empty answer."""
        self._places, self._bytes = self._places - 1, self._bytes - cost(document)
        return self._places >= 0 and self._bytes >= 0


def list_page(
    names: Sequence[str], request: Request, kind: str, document: Callable[[str], Any]
) -> tuple[list[Any], str | None]:
    """Return a page of the documents of sorted names, and the cursor of the next page."""
    room, begin = AnswerLimit(limit_of(request)), 0
    if "cursor" in request.query:
        (last,) = read_cursor(request.query["cursor"], kind, str)
        begin = bisect_right(names, last)
    page: list[Any] = []
    for name in names[begin:]:
        found = document(name)
        if not room.takes(found):
            return page, write_cursor(kind, names[begin + len(page) - 1])
        page.append(found)
    return page, None
