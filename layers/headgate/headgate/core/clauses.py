"""The operators of attribute rules: one table; adding one is a row here and a vector.

An absent attribute never matches, for the negative operators too. Types do not mix: `true` is not 1, `"1"` is not 1.
No regular expressions, so no input can make a rule slow.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from headgate.core.model import Clause, Json, Rule, Subject

_SEMVER = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?",
    re.ASCII,
)


def same(left: Json, right: Json) -> bool:
    """JSON equality: numbers by value, booleans only with booleans."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    return type(left) is type(right) and bool(left == right)


def _contains(have: Json, want: Json) -> bool:
    if isinstance(have, (list, tuple)):
        return any(same(item, want) for item in have)
    return isinstance(have, str) and isinstance(want, str) and want in have


def _number(value: Json) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _date(value: Json) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _semver(value: Json) -> tuple[Any, ...] | None:
    match = _SEMVER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    major, minor, patch, pre = match.groups()
    parts: list[tuple[int, int, str]] = [(3, 0, "")]  # a release is above each of its pre-releases (semver §11)
    if pre is not None:
        parts = [(1, int(p[:18]), "") if p.isascii() and p.isdigit() else (2, 0, p) for p in pre.split(".")]
    return int(major), int(minor), int(patch), parts


COMPARABLE: dict[str, Callable[[Json], Any]] = {"number": _number, "date": _date, "semver": _semver}


def _ordered(clause: Clause, have: Json) -> tuple[Any, Any] | None:
    read = COMPARABLE[clause.kind]
    left, right = read(have), read(clause.value)
    return None if left is None or right is None else (left, right)


def _less(clause: Clause, have: Json) -> bool:
    pair = _ordered(clause, have)
    return pair is not None and bool(pair[0] < pair[1])


def _greater(clause: Clause, have: Json) -> bool:
    pair = _ordered(clause, have)
    return pair is not None and bool(pair[0] > pair[1])


OPERATORS: dict[str, Callable[[Clause, Json], bool]] = {
    "exists": lambda _clause, _have: True,
    "equals": lambda clause, have: same(have, clause.value),
    "not_equals": lambda clause, have: not same(have, clause.value),
    "in": lambda clause, have: any(same(have, item) for item in clause.value),
    "not_in": lambda clause, have: not any(same(have, item) for item in clause.value),
    "contains": lambda clause, have: _contains(have, clause.value),
    "starts_with": lambda clause, have: isinstance(have, str) and have.startswith(clause.value),
    "ends_with": lambda clause, have: isinstance(have, str) and have.endswith(clause.value),
    "less": _less,
    "greater": _greater,
}


def holds(rule: Rule, subject: Subject) -> bool:
    """Whether every clause of the rule holds for the subject's attributes."""
    attributes = subject.attributes
    for clause in rule.clauses:
        have = attributes.get(clause.attribute)
        if have is None or not OPERATORS[clause.op](clause, have):
            return False
    return True
