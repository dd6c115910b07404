"""The floor: each case written by hand in plain Python, with nothing else.

Flags lie in a dict of dicts. A call finds its flag by key and does the case's own work on it: GA compares the stage;
25 % takes one SHA-256 of a prefix and the user, and compares bytes; a list is one look into a set; a prerequisite is a
second flag found and compared; a rule is two comparisons; 100 flags are a loop over one function that tells the kinds
apart. It answers a bare boolean: no reason, no revision, no admins, no kill switch, no absent user.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from contest.cases import PERCENT, Case, Kind, Person, Spec
from contest.contestant import Asking

NAME, NATIVE, KINDS = "floor", False, frozenset(Kind)
Flags = dict[str, dict[str, Any]]


def ga(flags: Flags, key: str, _person: Person) -> bool:
    return flags[key]["stage"] == "ga"


def split(flags: Flags, key: str, person: Person) -> bool:
    flag = flags[key]
    return sha256((flag["prefix"] + person.user).encode()).digest() < flag["threshold"]


def listed(flags: Flags, key: str, person: Person) -> bool:
    return person.user in flags[key]["users"]


def child(flags: Flags, key: str, _person: Person) -> bool:
    flag = flags[key]
    return flags[flag["parent"]]["stage"] == "ga" and flag["stage"] == "ga"


def rule(flags: Flags, key: str, person: Person) -> bool:
    flag, attributes = flags[key], person.attributes
    return attributes["plan"] == flag["plan"] and attributes["seats"] > flag["seats"]


def any_of(flags: Flags, key: str, person: Person) -> bool:
    flag = flags[key]
    stage = flag["stage"]
    if stage == "ga":
        return True
    if stage == "split":
        return sha256((flag["prefix"] + person.user).encode()).digest() < flag["threshold"]
    if stage == "listed":
        return person.user in flag["users"]
    attributes = person.attributes
    return attributes["plan"] == flag["plan"] and attributes["seats"] > flag["seats"]


BY_HAND: dict[Kind, Callable[[Flags, str, Person], bool]] = {
    Kind.GA: ga, Kind.SPLIT: split, Kind.LISTED: listed, Kind.CHILD: child, Kind.RULE: rule,
}  # fmt: skip


def load(case: Case) -> Asking:
    """The case by hand."""
    flags = {spec.key: _flag(spec) for spec in case.specs}
    asked = any_of if not case.key else BY_HAND[next(spec.kind for spec in case.specs if spec.key == case.key)]
    return Asking("is_on(flags, key, subject)", {"is_on": asked, "flags": flags}, case.crowd)


def _flag(spec: Spec) -> dict[str, Any]:
    match spec.kind:
        case Kind.SPLIT:
            threshold = (PERCENT << 64) // 100
            return {"stage": "split", "prefix": f"salt-of-{spec.key}:", "threshold": threshold.to_bytes(8)}
        case Kind.LISTED:
            return {"stage": "listed", "users": frozenset(spec.users)}
        case Kind.RULE:
            return {"stage": "rule", "plan": "pro", "seats": 10}
        case _:
            return {"stage": "ga", "parent": spec.parent}
