"""Random rules and subjects from small pools, so that they match: equal user and org ids, look-alikes, odd JSON.

The source is `random.Random` for many cases fast, or Hypothesis' own for cases that shrink.
"""

from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import strategies as st

from headgate.core.model import Subject

IDS = ("a", "b", "c", "A", "acme", "caf\u00e9", "cafe\u0301", "ali\u200dce", "\u5c71", "0", "None", "u-1", "u-2", "u-3")
ATTRIBUTES = ("plan", "age", "version", "since", "tags", "beta")
SCALARS = ("pro", "free", "", "1", "true", 1, 0, 1.0, 2.5, -3, True, False, "2026-03-01", "2026-03-01T01:00:00+01:00",
           "1.2.3", "1.2.3-rc.1", "1.10.0")  # fmt: skip
DATES = ("2026-03-01", "2026-03-01T00:00:00Z", "2030-01-01t00:00:00+02:00", "2026-02-28t23:59:59z")
VERSIONS = ("1.2.3", "1.2.3-rc.1", "2.0.0", "1.10.0+7", "v1.2", "2")
STAGES = ("admin_only", "allowlist", "percentage", "ga")
UNITS = ("user", "org", "org_or_user")
ALGORITHMS = ("sha256-v1", "posthog-v1")
REACHES = ("gate", "drain", "sever")
PERCENTS = (0, 0.001, 1, 10, 33.3, 50, 75, 99.999, 100)
SALTS = ("s", "t", "")
OPERATORS = (
    "exists",
    "equals",
    "not_equals",
    "in",
    "not_in",
    "contains",
    "starts_with",
    "ends_with",
    "less",
    "greater",
)


class Dice:
    """Makes random documents as operators write them, and random subjects as credentials describe them."""

    def __init__(self, source: Random) -> None:
        self.source = source

    def chance(self, likely: float) -> bool:
        """True with this probability."""
        return self.source.random() < likely

    def one(self, pool: Any) -> Any:
        """A random element of a pool."""
        return pool[self.source.randrange(len(pool))]

    def some(self, pool: Any, most: int) -> list[Any]:
        """At most this many different elements of a pool, in any order."""
        return list(dict.fromkeys(self.one(pool) for _ in range(self.source.randint(0, most))))

    def value(self, depth: int = 2) -> Any:
        """Any JSON."""
        kind = self.source.randrange(8) if depth else 0
        if kind == 6:
            return [self.value(depth - 1) for _ in range(self.source.randint(0, 3))]
        if kind == 7:
            return {self.one(ATTRIBUTES): self.value(depth - 1) for _ in range(self.source.randint(0, 2))}
        return None if kind == 5 else self.one(SCALARS)

    def attributes(self) -> dict[str, Any]:
        """Attributes as a credential may have them, including odd ones."""
        return {name: self.value() for name in self.some(ATTRIBUTES, 4)}

    def clause(self) -> dict[str, Any]:
        """One clause."""
        op = self.one(OPERATORS)
        clause: dict[str, Any] = {"attribute": self.one(ATTRIBUTES), "op": op}
        if op in ("in", "not_in"):
            clause["value"] = [self.one(SCALARS) for _ in range(self.source.randint(1, 3))]
        elif op in ("starts_with", "ends_with"):
            clause["value"] = self.one(("p", "o", "1", "2026", "1.2"))
        elif op in ("less", "greater"):
            kind = self.one(("number", "date", "semver"))
            clause |= {
                "kind": kind,
                "value": self.one({"number": (0, 1, 2.5), "date": DATES, "semver": VERSIONS}[kind]),
            }
        elif op != "exists":
            clause["value"] = self.one(SCALARS)
        return clause

    def rule(self) -> dict[str, Any]:
        """One rule."""
        return {"clauses": [self.clause() for _ in range(self.source.randint(1, 3))]}

    def allow(self) -> dict[str, Any]:
        """A list, often empty."""
        return {
            "users": self.some(IDS, 4) if self.chance(0.5) else [],
            "orgs": self.some(IDS, 3) if self.chance(0.4) else [],
            "rules": [self.rule() for _ in range(self.source.randint(0, 2))] if self.chance(0.4) else [],
        }

    def flag(self, key: str, parents: Any = ()) -> dict[str, Any]:
        """A flag that may require any of the parents."""
        return {
            "key": key,
            "salt": self.one(SALTS),
            "stage": self.one(STAGES),
            "percent": self.one(PERCENTS),
            "unit": self.one(UNITS),
            "algorithm": self.one(ALGORITHMS),
            "requires": [parent for parent in self.some(parents, 2) if parent != key] if parents else [],
            "allow": self.allow(),
            "values": self.one(
                ({"on": True, "off": False}, {"on": "pr", "off": "direct"}, {"on": {}, "off": {"a": 1}})
            ),
            "claim": self.one((None, None, None, "on_" + "".join(filter(str.isalnum, key)))),
        }

    def killed(self, flag: dict[str, Any], likely: float = 0.15) -> dict[str, Any]:
        """The flag, sometimes killed, as the vectors write it."""
        return {**flag, "killed": self.one(REACHES)} if self.chance(likely) else flag

    def rules(self, keys: Any, *, orderly: bool = True) -> dict[str, dict[str, Any]]:
        """Flags with these keys. Orderly flags require earlier flags or a missing one; others require any."""
        documents = {}
        for index, key in enumerate(keys):
            parents = (*keys[:index], "gone") if orderly else keys
            documents[key] = self.killed(self.flag(key, parents if self.chance(0.4) else ()))
        return documents

    def subject(self, admins: float = 0.1) -> Subject:
        """A random subject."""
        orgs = tuple(self.some(IDS, 3)) if self.chance(0.6) else ()
        acting = self.one(orgs) if orgs and self.chance(0.3) else None
        user = self.one(IDS) if self.chance(0.9) else self.one((None, ""))
        return Subject(user, orgs, self.chance(admins), self.attributes() if self.chance(0.7) else {}, acting)


def dice() -> st.SearchStrategy[Dice]:
    """Dice with Hypothesis as the source, which can shrink."""
    return st.randoms(use_true_random=False).map(Dice)


def changed(thrown: Dice, flag: Mapping[str, Any]) -> dict[str, Any]:
    """The flag after one or two changes that an operator may make, deliberately or by mistake."""
    after = dict(flag)
    for _ in range(thrown.source.randint(1, 2)):
        after |= thrown.one((_moved, _other_scale, _other_members, _other_rules, _other_parents))(thrown, after)
    return after


def _moved(thrown: Dice, _flag: Mapping[str, Any]) -> dict[str, Any]:
    return {"stage": thrown.one(STAGES)} | ({"percent": thrown.one(PERCENTS)} if thrown.chance(0.5) else {})


def _other_scale(thrown: Dice, _flag: Mapping[str, Any]) -> dict[str, Any]:
    pools = {"percent": PERCENTS, "unit": UNITS, "salt": SALTS, "algorithm": ALGORITHMS}
    name = thrown.one(list(pools))
    return {name: thrown.one(pools[name])}


def _other_members(thrown: Dice, flag: Mapping[str, Any]) -> dict[str, Any]:
    kind = thrown.one(("users", "orgs"))
    members = list(flag["allow"][kind])
    if members and thrown.chance(0.5):
        members.remove(thrown.one(members))
    else:
        members = list(dict.fromkeys([*members, thrown.one(IDS)]))
    return {"allow": {**flag["allow"], kind: members}}


def _other_rules(thrown: Dice, flag: Mapping[str, Any]) -> dict[str, Any]:
    rules = [{"clauses": [dict(clause) for clause in rule["clauses"]]} for rule in flag["allow"]["rules"]]
    if not rules or thrown.chance(0.3):
        rules.append(thrown.rule())
    else:
        clauses = thrown.one(rules)["clauses"]
        change = thrown.source.randrange(4)
        if change == 0 and len(clauses) > 1:
            clauses.pop()
        elif change == 1 and len(clauses) < 4:
            clauses.append(thrown.clause())
        elif change == 2:
            _twin(clauses[0])
        else:
            rules.pop()
    return {"allow": {**flag["allow"], "rules": rules}}


def _twin(clause: dict[str, Any]) -> None:
    """Replace values with ones that a careless comparison treats as equal: 1 with true, "1" with 1."""
    twins: Mapping[str, Any] = {"1": True, "True": 1, "0": False, "False": 0, "1.0": True, "'1'": 1, "'true'": True}
    if clause["op"] in ("equals", "not_equals", "contains"):
        clause["value"] = twins.get(repr(clause["value"]), clause["value"])
    elif clause["op"] in ("in", "not_in"):
        clause["value"] = [twins.get(repr(value), value) for value in clause["value"]]


def _other_parents(thrown: Dice, flag: Mapping[str, Any]) -> dict[str, Any]:
    return {"requires": [key for key in thrown.some(("p", "q", "r"), 2) if key != flag["key"]]}
