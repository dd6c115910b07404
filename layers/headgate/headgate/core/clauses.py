"""The operators of attribute rules, in one table. To add one, add a row here and a vector.

A mismatch never grants: a clause matches only an attribute that is there and of a type that the clause compares, also
with a negative operator. Types do not mix: `true` is not 1, and `"1"` is not 1. `in`, `not_in`, `not_equals`, and
`contains` read a list element by element; an element of another type fails the clause. There are no regular
expressions, so no input can make a rule slow.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date
from operator import gt, lt
from typing import Any

from headgate.core.documents import unix
from headgate.core.model import Clause, Json, Rule, Subject, Test

ValueTest = Callable[[Json], bool]

_PRE_RELEASE = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    r"v?(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?(?:\.(0|[1-9]\d*))?"
    rf"(?:-({_PRE_RELEASE}(?:\.{_PRE_RELEASE})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_MAX_SEMVER = 256


def same(left: Json, right: Json) -> bool:
    """JSON equality: numbers by value; a boolean equals only a boolean."""
    return _type_of(left) is _type_of(right) and bool(left == right)


def _type_of(value: Json) -> type | None:
    """The type that a value is compared as: `float` for every number, None for lists, objects, and NaN."""
    if isinstance(value, str):
        return str
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, (int, float)) and value == value else None


def _number(value: Json) -> float | None:
    return value if _type_of(value) is float else None


def _date(value: Json) -> float | None:
    """Unix seconds of an RFC 3339 time or of a day, as text or as Python's type. Without an offset it is UTC."""
    text = value.isoformat() if isinstance(value, date) else value
    if not isinstance(text, str):
        return None
    for rest in ("", "Z", "T00:00:00Z"):
        try:
            return unix(text + rest)
        except (ValueError, OverflowError):
            continue
    return None


def _semver(value: Json) -> tuple[Any, ...] | None:
    """The order of a version (semver §11). A leading `v` and absent numbers are allowed: `v2.1` is 2.1.0."""
    match = _SEMVER.fullmatch(value) if isinstance(value, str) and len(value) <= _MAX_SEMVER else None
    if match is None:
        return None
    *numbers, pre = match.groups("")
    parts: list[tuple[int, int, str]] = [(3, 0, "")]  # a release ranks above its pre-releases
    if pre:
        parts = [(1, len(part), part) if part.isdigit() else (2, 0, part) for part in pre.split(".")]
    return (*(int(number or 0) for number in numbers), parts)


COMPARABLE: dict[str, Callable[[Json], Any]] = {"number": _number, "date": _date, "semver": _semver}


def _never(_have: Json) -> bool:
    return False


def _equals(want: Json) -> ValueTest:
    if isinstance(want, str):
        return lambda have: isinstance(have, str) and have == want
    return lambda have: same(have, want)


def _among(values: Iterable[Json], *, wanted: bool) -> ValueTest:
    """Whether the attribute, or any element of a list, is one of the values; if not `wanted`, whether none is.

    False for an attribute or an element of a type that no value has.
    """
    typed = {(_type_of(value), value) for value in values}
    kinds = {kind for kind, _ in typed}
    texts = {value for kind, value in typed if kind is str}

    def test(have: Json) -> bool:
        if isinstance(have, str):  # the common case, 300 ns less
            return bool(texts) and (have in texts) is wanted
        found = False
        for item in have if isinstance(have, (list, tuple)) else (have,):
            kind = _type_of(item)
            if kind not in kinds:
                return False
            found = found or (kind, item) in typed
        return found is wanted

    return test


def _contains(want: Json) -> ValueTest:
    has_item = _among((want,), wanted=True)

    def test(have: Json) -> bool:
        if isinstance(have, str):
            return isinstance(want, str) and want in have
        return isinstance(have, (list, tuple)) and has_item(have)

    return test


def _compares(clause: Clause, compare: Callable[[Any, Any], bool]) -> ValueTest:
    read = COMPARABLE[clause.kind]
    want = read(clause.value)
    if want is None:
        return _never

    def test(have: Json) -> bool:
        value = read(have)
        return value is not None and compare(value, want)

    return test


OPERATORS: dict[str, Callable[[Clause], ValueTest]] = {
    "exists": lambda _clause: lambda _have: True,
    "equals": lambda clause: _equals(clause.value),
    "not_equals": lambda clause: _among((clause.value,), wanted=False),
    "in": lambda clause: _among(clause.value, wanted=True),
    "not_in": lambda clause: _among(clause.value, wanted=False),
    "contains": lambda clause: _contains(clause.value),
    "starts_with": lambda clause: lambda have: isinstance(have, str) and have.startswith(clause.value),
    "ends_with": lambda clause: lambda have: isinstance(have, str) and have.endswith(clause.value),
    "less": lambda clause: _compares(clause, lt),
    "greater": lambda clause: _compares(clause, gt),
}
"""Each row compiles a clause into a test of a value. What depends only on the clause is computed once."""


ORGS = "orgs"
"""The attribute that holds the subject's orgs: with an acting org, it holds that org alone."""


def compile_rule(rule: Rule) -> Test:
    """Return a test of whether every clause of the rule holds for a subject's attributes."""
    tests = tuple((clause.attribute, OPERATORS[clause.op](clause)) for clause in rule.clauses)
    reads_orgs = any(name == ORGS for name, _test in tests)

    def holds(subject: Subject) -> bool:
        attributes = subject.attributes
        if reads_orgs and subject.acting_org and ORGS in attributes:
            attributes = {**attributes, ORGS: (subject.acting_org,)}
        for name, test in tests:
            have = attributes.get(name)
            if have is None or not test(have):
                return False
        return True

    return holds
