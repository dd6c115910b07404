"""What a bug leaves in a function's log: its type and its place. Its text may hold what the caller sent, and stays out.

Lambda's runtime writes the text of whatever leaves a handler into the log. What leaves is therefore another exception:
it still fails the invocation, so that API Gateway answers 500 and the alarm on errors counts.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import PurePath
from typing import Any

Handler = Callable[[Any, Any], Any]


class Bug(Exception):
    """Something that should not happen. `str()` is a type and a place, and holds nothing of the event."""


def told_by_place(handler: Handler) -> Handler:
    """The handler, but for the text of its bugs."""

    @wraps(handler)
    def told(event: Any, context: Any) -> Any:
        try:
            return handler(event, context)
        except Exception as bug:
            raise Bug(type_and_place(bug)) from None

    return told


def type_and_place(error: BaseException) -> str:
    """`KeyError door.py:12`: the innermost frame."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" {PurePath(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
    return type(error).__name__ + where
