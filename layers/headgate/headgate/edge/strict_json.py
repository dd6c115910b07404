"""JSON at the doors, read strictly: UTF-8, no duplicate members, no NaN, bounded in size and depth."""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from headgate.core.model import Json

MAX_DEPTH = 32
"""Deeper than anything we take, far from Python's recursion limit."""


class Malformed(ValueError):
    """The body is no JSON that we take. The message names what is wrong and holds nothing of the body."""


class TooLarge(ValueError):
    """The body is larger than this door takes."""


def read_json(body: bytes, limit: int) -> Json:
    """The value in a body of at most `limit` bytes. Raises `Malformed` or `TooLarge`."""
    if len(body) > limit:
        raise TooLarge(f"at most {limit} bytes are taken")
    try:
        value = json.loads(body.decode(), object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite)
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON in UTF-8") from None
    if _is_deeper(value, MAX_DEPTH):
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    return value


def _members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise Malformed("a member is there twice")
        members[name] = value
    return members


def _refuse(_constant: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise Malformed("a number is too large")
    return value


def _is_deeper(value: Json, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in inner)
