"""A flag's list between JSON and frozen types: users, orgs, and rules on attributes."""

from math import isfinite
from typing import Any

from headgate.core import limits
from headgate.core.clauses import COMPARABLE, OPERATORS
from headgate.core.documents import Reader, is_plain
from headgate.core.members import FOREVER
from headgate.core.model import Allow, Clause, Json, LongList, Rule

LOST_LIST = LongList(since=FOREVER)
"""A long part that cannot be read: nobody is on it, and whoever mends the flag begins it anew."""


def is_member_id(text: str) -> bool:
    """Whether this may stand in a list: no blanks, no control characters, at most 256 bytes."""
    plain = bool(text) and is_plain(text) and not any(ch.isspace() for ch in text)
    return plain and len(text.encode("utf-8", "surrogatepass")) <= limits.MAX_ID_BYTES


def read_allow(read: Reader) -> Allow:
    inner = Reader(read.members.get("allow", {}), _at(read, "allow"), known=("users", "orgs", "rules"))
    users, orgs = _read_members(inner)
    if len(users) + len(orgs) > limits.MAX_INLINE_MEMBERS:
        inner.fault("", f"must list at most {limits.MAX_INLINE_MEMBERS} users and orgs")
    rules = []
    for index, document in enumerate(inner.objects("rules", limits.MAX_RULES)):
        rules.append(_read_rule(inner, document, f"rules.{index}"))
    read.absorb(inner)
    return Allow(frozenset(users), frozenset(orgs), tuple(rules))


def _read_members(read: Reader) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The `users` and `orgs` of a list."""
    what = "ids of 1 to 256 bytes without blanks or control characters"
    users = read.strings("users", limit=limits.MAX_MEMBERS_A_CALL, accept=is_member_id, what=what)
    orgs = read.strings("orgs", limit=limits.MAX_MEMBERS_A_CALL, accept=is_member_id, what=what)
    return users, orgs


def _at(read: Reader, name: str) -> str:
    return f"{read.path}.{name}" if read.path else name


def _read_rule(parent: Reader, document: Json, name: str) -> Rule:
    read = Reader(document, _at(parent, name), known=("clauses",))
    documents = read.objects("clauses", limits.MAX_CLAUSES)
    if not documents:
        read.fault("clauses", "must hold at least one clause")  # an empty AND would list everybody
    clauses = tuple(_read_clause(read, item, f"clauses.{index}") for index, item in enumerate(documents))
    parent.absorb(read)
    return Rule(clauses)


def _read_clause(parent: Reader, document: Json, name: str) -> Clause:
    read = Reader(document, _at(parent, name), known=("attribute", "op", "value", "kind"))
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
            read.fault("kind", "belongs to less and greater alone")
    parent.absorb(read)
    return Clause(attribute, op, tuple(value) if isinstance(value, list) else value, kind)


def _operand_fault(op: str, kind: str, value: Json) -> str | None:
    if op in ("in", "not_in"):
        short = isinstance(value, list) and 0 < len(value) <= limits.MAX_OPERANDS
        return (
            None
            if short and all(_is_scalar(item) for item in value)
            else "must be a list of strings, numbers or booleans"
        )
    if op in ("starts_with", "ends_with"):
        return None if isinstance(value, str) and value and len(value) <= 1_024 else "must be a string"
    if op in ("less", "greater"):
        fits = kind in COMPARABLE and _is_scalar(value) and COMPARABLE[kind](value) is not None
        return None if fits else "must be a number, or a date or semver with that kind named"
    if op == "exists":
        return None if value is None else "must be absent"
    return None if _is_scalar(value) else "must be a string, number or boolean"


def _is_scalar(value: Json) -> bool:
    if isinstance(value, str):
        return len(value) <= 1_024 and is_plain(value)
    return isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value))


def allow_document(allow: Allow) -> dict[str, Any]:
    """The list as the manifest writes it."""
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
    """The long part as the flag's document tells of it; None where there is none."""
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
    read.fault("imports", "must list pairs of an ordinal and a revision")
    return ()


def _is_switched(pair: Json) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(type(item) is int and item > 0 for item in pair)


def long_document(long: LongList) -> dict[str, Json]:
    """As the flag's document tells of it."""
    return {"users": long.users, "orgs": long.orgs, "imports": [list(pair) for pair in long.imports],
            "changed": dict(long.changed), **({"since": long.since} if long.since else {})}  # fmt: skip
