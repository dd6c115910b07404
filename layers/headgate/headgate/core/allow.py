"""Convert a flag's list between JSON and frozen types: users, orgs, and rules on attributes."""

from math import isfinite
from typing import Any

from headgate.core import limits
from headgate.core.clauses import COMPARABLE, OPERATORS
from headgate.core.documents import Reader, is_plain
from headgate.core.members import FOREVER
from headgate.core.model import Allow, Clause, Json, LongList, Rule

LOST_LIST = LongList(since=FOREVER)
"""A long list that cannot be read: nobody is on it. Replacing the flag starts the list again, empty."""


def is_member_id(text: str) -> bool:
    """Whether the text may be an id on a list: 1 to 256 bytes without whitespace or control characters."""
    plain = bool(text) and is_plain(text) and not any(ch.isspace() for ch in text)
    return plain and len(text.encode("utf-8", "surrogatepass")) <= limits.MAX_ID_BYTES


def read_allow(read: Reader) -> Allow:
    """Read the `allow` member of a flag's document. Faults are added to `read`."""
    inner = Reader(read.members.get("allow", {}), read.at("allow"), known=("users", "orgs", "rules"))
    users, orgs = _read_members(inner)
    if len(users) + len(orgs) > limits.MAX_INLINE_MEMBERS:
        inner.fault("", f"must list at most {limits.MAX_INLINE_MEMBERS} users and orgs; add more with an import")
    rules = []
    for index, document in enumerate(inner.objects("rules", limits.MAX_RULES)):
        rules.append(_read_rule(inner, document, f"rules.{index}"))
    read.absorb(inner)
    return Allow(frozenset(users), frozenset(orgs), tuple(rules))


def _read_members(read: Reader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the `users` and `orgs` of a list."""
    what = "ids of 1 to 256 bytes without whitespace or control characters"
    users = read.strings("users", limit=limits.MAX_MEMBERS_A_CALL, accept=is_member_id, what=what)
    orgs = read.strings("orgs", limit=limits.MAX_MEMBERS_A_CALL, accept=is_member_id, what=what)
    return users, orgs


def _read_rule(parent: Reader, document: Json, name: str) -> Rule:
    read = Reader(document, parent.at(name), known=("clauses",))
    documents = read.objects("clauses", limits.MAX_CLAUSES)
    if not documents:
        read.fault("clauses", "must contain at least one clause")  # an empty AND would match everybody
    clauses = tuple(_read_clause(read, item, f"clauses.{index}") for index, item in enumerate(documents))
    parent.absorb(read)
    return Rule(clauses)


def _read_clause(parent: Reader, document: Json, name: str) -> Clause:
    read = Reader(document, parent.at(name), known=("attribute", "op", "value", "kind"))
    attribute = read.text("attribute", limit=64, blank=False)
    op = read.text("op", limit=32)
    kind = read.text("kind", default="number", limit=16)
    value = read.members.get("value")
    if op not in OPERATORS:
        read.fault("op", "must be one of " + ", ".join(OPERATORS))
    else:
        fault = _operand_fault(op, kind, value)
        if fault:
            read.fault("value", fault)
        if "kind" in read.members and op not in ("less", "greater"):
            read.fault("kind", "is allowed only with less and greater")
    parent.absorb(read)
    return Clause(attribute, op, tuple(value) if isinstance(value, list) else value, kind)


_ORDERED = {
    "number": "must be a number; for a date or a version, set kind to date or semver",
    "date": "must be a date or time of RFC 3339, such as 2026-03-01 or 2026-03-01T12:00:00Z",
    "semver": "must be a version (semver.org), such as 2.1.0, 2.1, or v2.1.0-rc.1",
}


def _operand_fault(op: str, kind: str, value: Json) -> str | None:
    if op in ("in", "not_in"):
        short = isinstance(value, list) and 0 < len(value) <= limits.MAX_OPERANDS
        fits = short and all(_is_scalar(item) for item in value)
        return None if fits else f"must be a list of 1 to {limits.MAX_OPERANDS} strings, numbers, or booleans"
    if op in ("starts_with", "ends_with"):
        fits = isinstance(value, str) and 0 < len(value) <= 1_024
        return None if fits else "must be a string of 1 to 1024 characters"
    if op in ("less", "greater"):
        fits = kind in COMPARABLE and _is_scalar(value) and COMPARABLE[kind](value) is not None
        return None if fits else _ORDERED.get(kind, "is compared as a number, date, or semver: set kind to one of them")
    if op == "exists":
        return None if value is None else "must be left out"
    return None if _is_scalar(value) else "must be a string, number, or boolean"


def _is_scalar(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) <= 1_024 and is_plain(value)
    return isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value))


def allow_document(allow: Allow) -> dict[str, Any]:
    """Return the list as written in a manifest."""
    return {
        "users": sorted(allow.users),
        "orgs": sorted(allow.orgs),
        "rules": [{"clauses": [_clause_document(clause) for clause in rule.clauses]} for rule in allow.rules],
    }


def _clause_document(clause: Clause) -> dict[str, Any]:
    document: dict[str, Any] = {"attribute": clause.attribute, "op": clause.op}
    if clause.op != "exists":
        document["value"] = list(clause.value) if isinstance(clause.value, tuple) else clause.value
    if clause.op in ("less", "greater"):
        document["kind"] = clause.kind
    return document


def read_long(read: Reader) -> LongList | None:
    """Read the state of the long list from the flag's document; None if there is none."""
    document = read.members.get("members")
    if document is None:
        return None
    inner = Reader(document, "members", known=("users", "orgs", "imports", "changed", "since"))
    users, orgs = (inner.whole(name, 0, 0, 2**53) for name in ("users", "orgs"))
    changed = inner.members.get("changed", {})
    if not isinstance(changed, dict):
        inner.fault("changed", "must be an object")
    long = LongList(users, orgs, _read_imports(inner), changed, inner.whole("since", 0, 0, FOREVER))
    read.absorb(inner)
    return long


def _read_imports(read: Reader) -> tuple[tuple[int, int], ...]:
    document = read.members.get("imports", [])
    if isinstance(document, list) and all(map(_is_switched, document)):
        return tuple((ordinal, revision) for ordinal, revision in document)
    read.fault("imports", "must be a list of [ordinal, revision] pairs")
    return ()


def _is_switched(pair: Json) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(type(item) is int and item > 0 for item in pair)


def long_document(long: LongList) -> dict[str, Json]:
    """Return the state of the long list as written in the flag's document."""
    return {"users": long.users, "orgs": long.orgs, "imports": [list(pair) for pair in long.imports],
            "changed": dict(long.changed), **({"since": long.since} if long.since else {})}  # fmt: skip
