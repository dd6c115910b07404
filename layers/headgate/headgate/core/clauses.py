"""The operators of attribute rules, in one table. To add one, add a row here and a vector.

A missing attribute never matches, not even with a negative operator. Types do not mix: `true` is not 1, and `"1"` is
not 1. There are no regular expressions, so no input can make a rule slow.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import gt, lt
from typing import Any

from headgate.core.model import Clause, Json, Rule, Subject, Test

ValueTest = Callable[[Json], bool]

_SEMVER = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-([0-9A-Za-z.-]{1,64}))?(?:\+[0-9A-Za-z.-]{1,64})?",
    re.ASCII,
)


def same(left: Json, right: Json) -> bool:
    """JSON equality: numbers by value; a boolean equals only a boolean."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    return type(left) is type(right) and bool(left == right)


def _number(value: Json) -> float | None:
    return value if isinstance(value, (int, float)) and value is not True and value is not False else None


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
    parts: list[tuple[int, int, str]] = [(3, 0, "")]  # a release ranks above its pre-releases (semver §11)
    if pre is not None:
        parts = [(1, int(p[:18]), "") if p.isascii() and p.isdigit() else (2, 0, p) for p in pre.split(".")]
    return int(major), int(minor), int(patch), parts


COMPARABLE: dict[str, Callable[[Json], Any]] = {"number": _number, "date": _date, "semver": _semver}


def _never(_have: Json) -> bool:
    return False


def _equals(want: Json) -> ValueTest:
    if type(want) is str:
        return lambda have: type(have) is str and have == want
    return lambda have: same(have, want)


def _one_of(values: Sequence[Json]) -> ValueTest:
    strings, others = {item for item in values if type(item) is str}, [item for item in values if type(item) is not str]

    def test(have: Json) -> bool:
        return have in strings if type(have) is str else any(same(have, item) for item in others)

    return test


def _contains(want: Json) -> ValueTest:
    def test(have: Json) -> bool:
        if isinstance(have, (list, tuple)):
            return any(same(item, want) for item in have)
        return isinstance(have, str) and isinstance(want, str) and want in have

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


def _not(test: ValueTest) -> ValueTest:
    return lambda have: not test(have)


OPERATORS: dict[str, Callable[[Clause], ValueTest]] = {
    "exists": lambda _clause: lambda _have: True,
    "equals": lambda clause: _equals(clause.value),
    "not_equals": lambda clause: _not(_equals(clause.value)),
    "in": lambda clause: _one_of(clause.value),
    "not_in": lambda clause: _not(_one_of(clause.value)),
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
