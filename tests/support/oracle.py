"""A second implementation of the decision, from the contract, on the documents: slow, plain, sharing no code.

`documents` are flags as operators write them; `killed` is only the reach. Parents are followed by recursion.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha1, sha256
from typing import Any

from headgate.core.model import Subject

Documents = Mapping[str, Mapping[str, Any]]


def expected(documents: Documents, key: str, subject: Subject, *, gate: bool = False) -> tuple[bool, str]:
    """Value and reason. Documents must not contain a cycle."""
    if key not in documents:
        return (True, "ADMIN") if gate and subject.admin else (False, "FLAG_NOT_FOUND")
    for parent in documents[key].get("requires", ()):
        if not expected(documents, parent, subject, gate=True)[0]:
            return False, "PREREQUISITE_FAILED"
    flag = documents[key]
    if subject.admin:
        return True, "ADMIN"
    if flag.get("killed"):
        return False, "KILLED"
    stage = flag.get("stage", "admin_only")
    if stage == "admin_only":
        return False, "ADMIN_ONLY"
    if _listed(flag.get("allow", {}), subject):
        return True, "ALLOWLIST"
    if stage == "allowlist":
        return False, "NOT_LISTED"
    if stage == "percentage":
        return any(_in_bucket(flag, unit_id) for unit_id in _unit_ids(flag.get("unit", "user"), subject)), "SPLIT"
    return True, "GA"


def _listed(allow: Mapping[str, Any], subject: Subject) -> bool:
    if subject.user is not None and subject.user in allow.get("users", ()):
        return True
    if set([subject.acting_org] if subject.acting_org else subject.orgs) & set(allow.get("orgs", ())):
        return True
    return any(all(_holds(clause, subject) for clause in rule["clauses"]) for rule in allow.get("rules", ()))


def _unit_ids(unit: str, subject: Subject) -> list[str]:
    orgs = [subject.acting_org] if subject.acting_org else [org for org in subject.orgs if org]
    user = [subject.user] if subject.user else []
    return {"user": user, "org": orgs, "org_or_user": orgs or ([] if subject.orgs_cut else user)}[unit]


def _in_bucket(flag: Mapping[str, Any], unit_id: str) -> bool:
    thousandths: int = round(flag.get("percent", 0) * 1_000)
    raw = unit_id.encode("utf-8", "surrogatepass")
    if thousandths == 0:
        return False
    if flag.get("algorithm") == "posthog-v1":
        digits = sha1(flag["key"].encode() + b"." + raw + flag["salt"].encode()).hexdigest()[:15]
        return int(digits, 16) * 100_000 <= thousandths * (16**15 - 1)
    digits = sha256(b"\0".join((flag["salt"].encode(), flag["key"].encode(), raw))).hexdigest()[:16]
    return int(digits, 16) < thousandths * 16**16 // 100_000


def _holds(clause: Mapping[str, Any], subject: Subject) -> bool:
    have: Any = subject.attributes.get(clause["attribute"])
    if clause["attribute"] == "orgs" and subject.acting_org and have is not None:
        have = [subject.acting_org]
    want: Any = clause.get("value")
    op: str = clause["op"]
    if have is None:
        return False
    if op == "exists":
        return True
    if op == "equals":
        return _equal(have, want)
    if op in ("in", "not_in", "not_equals") or (op == "contains" and isinstance(have, list)):
        items, values = (value if isinstance(value, list) else [value] for value in (have, want))
        known = all(any(_kind(item) == _kind(value) for value in values) for item in items)
        return known and any(_equal(item, value) for item in items for value in values) == (op in ("in", "contains"))
    if op in ("contains", "starts_with", "ends_with"):
        return _text_holds(op, have, want)
    low, high = (have, want) if op == "less" else (want, have)
    return _below(clause.get("kind", "number"), low, high)


def _text_holds(op: str, have: Any, want: Any) -> bool:
    if type(have) is not str or type(want) is not str:
        return False
    return {
        "contains": want in have,
        "starts_with": have[: len(want)] == want,
        "ends_with": have[-len(want) :] == want,
    }[op]


def _kind(value: Any) -> str:
    return type(value).__name__.replace("float", "int")


def _equal(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right) and bool(left == right)


def _below(kind: str, low: Any, high: Any) -> bool:
    read = {"number": _number, "date": _date, "semver": _version}[kind]
    left, right = read(low), read(high)
    return left is not None and right is not None and left < right


def _number(value: Any) -> Any:
    return value if type(value) in (int, float) else None


def _date(value: Any) -> Any:
    """A moment, or a day, which begins at midnight UTC. The dice throw no leap seconds."""
    found = (
        re.fullmatch(r"(\d{4}-\d\d-\d\d)([Tt ][0-9:.]{8,})?([Zz]|[+-]\d\d:\d\d)?", value)
        if type(value) is str
        else None
    )
    if found is None or (found[3] and not found[2]):
        return None
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _version(value: Any) -> Any:
    """As semver orders them: numbers, then a release above its pre-releases, then identifier by identifier."""
    found = (
        re.fullmatch(r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", value)
        if type(value) is str
        else None
    )
    if found is None:
        return None
    before = found[4][1:].split(".") if found[4] else []
    numbers = [found[n] or "0" for n in (1, 2, 3)] + [part for part in before if part.isdigit()]
    empty = "" in before or "" in (found[5] or "+x")[1:].split(".")
    if empty or any(part != str(int(part)) for part in numbers):
        return None
    identifiers = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in before]
    return (*(int(found[n] or 0) for n in (1, 2, 3)), not before, identifiers)
