"""Random changes of whole manifests, and the subjects at every boundary of both: listed ids, rule limits, bucket edges.

A state is a document like a manifest, whose flags may be `killed` and whose routes may be None: never on record.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import vector_files
from dice import Dice

from headgate.core import bucket
from headgate.core.model import Flag, Subject
from headgate.core.profile import parse_profile
from headgate.core.routes import RouteTable, parse_routes
from headgate.core.ruleset import ruleset
from headgate.core.snapshot import Snapshot

KEYS = ("access", "beta", "convoys", "merge", "rigs")
STAGES = ("admin_only", "allowlist", "percentage", "ga")
USERS, ORGS = tuple(f"u{n}" for n in range(12)), tuple(f"o{n}" for n in range(6))
PERCENTS = (5, 10, 20, 30, 50, 75, 90, 100)
CLASSES = ("entry", "continue", "observe", "stop", "machine", "admin", "open")
NAMES = (*({"route": f"GET /{n}"} for n in range(4)), {"procedure": "town.create"})
CLAIMS = {"kiloUserId": "$user", "isAdmin": "$admin", "version": 3}
CLAUSES: Mapping[str, Any] = {
    "plan": (("equals", ("pro", "max")), ("in", (["pro"], ["pro", "max"], ["max", "trial"]))),
    "tier": (("not_in", (["gold"], ["gold", "iron"])), ("not_equals", ("gold",))),
    "age": (("less", (3, 5, 9)), ("greater", (3, 5, 9))),
    "mail": (("ends_with", ("@a.example", ".example")), ("starts_with", ("x@", "x"))),
    "beta": (("exists", ()),),
}
ATTRIBUTES = tuple(CLAUSES)
EDGES = 400
"""Ids among which those at a bucket's edge are looked for: enough for steps of 5 %."""
State = dict[str, Any]


def snapshot_of(state: Mapping[str, Any]) -> Snapshot:
    """The rules that a state describes."""
    flags = {flag["key"]: vector_files.flag_from(flag) for flag in state.get("flags", ())}
    routes = state.get("routes")
    table = RouteTable() if routes is None else replace(parse_routes(routes), version=1)
    settings = {name: state[name] for name in ("access", "token") if name in state}
    return Snapshot(ruleset(flags), table, parse_profile(settings))


def alone(flag: Flag | None) -> Snapshot:
    """The rules that hold this flag and nothing else."""
    return Snapshot(ruleset({} if flag is None else {flag.key: flag}))


class Rollout(Dice):
    """Throws manifests as a team would have them in the middle of a rollout, and edits of them."""

    def weighted(self, *weights: tuple[Any, float]) -> Any:
        """One of the values, by weight."""
        values, by = zip(*weights, strict=True)
        return self.source.choices(values, by)[0]

    def state(self) -> State:
        """A whole manifest."""
        claims = {name: value for name, value in CLAIMS.items() if self.chance(0.7)}
        flags = [self.gate(key, KEYS[:index], closed=0.05 if index else 0) for index, key in enumerate(KEYS)]
        routes = [self.policy(name) for name in NAMES if self.chance(0.8)]
        return {"access": self.weighted(("access", 0.95), (None, 0.05)), "token": {"claims": claims}, "flags": flags,
                "routes": self.weighted((routes, 0.97), (None, 0.03))}  # fmt: skip

    def gate(self, key: str, parents: tuple[str, ...], closed: float = 0.05) -> dict[str, Any]:
        """One flag, open to somebody as a rule."""
        stage = self.weighted(("ga", 0.35), ("percentage", 0.35), ("allowlist", 0.25), ("admin_only", closed))
        return {
            "key": key, "stage": stage, "percent": self.one(PERCENTS[:-1]), "salt": self.one("st"),
            "unit": self.weighted(("user", 0.6), ("org", 0.2), ("org_or_user", 0.2)),
            "algorithm": self.weighted(("sha256-v1", 0.8), ("posthog-v1", 0.2)),
            "requires": self.some(parents, 2) if parents and self.chance(0.4) else [],
            "allow": {"users": self.some(USERS, 4), "orgs": self.some(ORGS, 2) or [self.one(ORGS)],
                      "rules": [self.condition()] if self.chance(0.3) else []},
            "values": {"on": "pr", "off": "direct"} if self.chance(0.3) else {"on": True, "off": False},
            "claim": f"has_{key}" if self.chance(0.3) else None,
            "killed": self.weighted((None, 0.95), ("gate", 0.05)),
        }  # fmt: skip

    def condition(self) -> dict[str, Any]:
        """A rule that some subject meets."""
        return {"clauses": [self.clause_on(name) for name in self.source.sample(ATTRIBUTES, self.source.randint(1, 2))]}

    def clause_on(self, attribute: str) -> dict[str, Any]:
        """A clause on an attribute."""
        op, values = self.one(CLAUSES[attribute])
        kind = {"kind": "number"} if op in ("less", "greater") else {}
        return {"attribute": attribute, "op": op, **({} if op == "exists" else {"value": self.one(values)}), **kind}

    def policy(self, name: Mapping[str, str]) -> dict[str, Any]:
        """One route policy."""
        kind = self.source.choices(CLASSES, (8, 3, 3, 1, 2, 2, 1))[0]
        flags = {} if kind == "open" else {"flags": self.some(KEYS, 2), "asks": self.some(KEYS, 1)}
        return {**name, "class": kind, **flags}


@dataclass(frozen=True)
class Pair:
    """Two states, and what led from one to the other. A pure addition only adds."""

    before: State
    after: State
    edits: tuple[str, ...]

    @property
    def is_pure(self) -> bool:
        return set(self.edits) <= PURE


PURE = frozenset(("list", "percent up", "stage up", "restore"))


def pairs(seed: int, count: int) -> Iterator[Pair]:
    """Manifests with one to three edits each; every tenth pair is two unrelated manifests."""
    thrown = Rollout(Random(seed))
    for number in range(count):
        before = thrown.state()
        if number % 10 == 9:
            yield Pair(before, thrown.state(), ("everything",))
            continue
        after = deepcopy(before)
        edits: list[str] = []
        names = sorted(PURE) if number % 10 == 8 else sorted(EDITS)
        while not edits or (len(edits) < 3 and thrown.chance(0.4)):
            name = thrown.one(names)
            if EDITS[name](thrown, after):
                edits.append(name)
        yield Pair(before, after, tuple(edits))


def _flag(thrown: Rollout, state: State) -> dict[str, Any]:
    flag: dict[str, Any] = thrown.one(state["flags"])
    return flag


def _more(thrown: Rollout, state: State) -> bool:
    kind = thrown.one(("users", "orgs", "rules"))
    held = _flag(thrown, state)["allow"][kind]
    new = thrown.condition() if kind == "rules" else thrown.one(USERS if kind == "users" else ORGS)
    if new in held:
        return False
    held.append(new)
    return True


def _fewer(thrown: Rollout, state: State) -> bool:
    held = _flag(thrown, state)["allow"][thrown.one(("users", "orgs", "rules"))]
    if held:
        held.remove(thrown.one(held))
    return True


def _rule(thrown: Rollout, state: State) -> bool:
    """A clause more, a clause less, or another operand."""
    rules = [rule for flag in state["flags"] for rule in flag["allow"]["rules"]]
    if not rules:
        return False
    clauses = thrown.one(rules)["clauses"]
    kind = thrown.source.randrange(3)
    others = [name for name in ATTRIBUTES if name not in {clause["attribute"] for clause in clauses}]
    if kind == 0:
        clauses.append(thrown.clause_on(thrown.one(others)))
    elif kind == 1 and len(clauses) > 1:
        clauses.pop()
    else:
        clauses[0] = thrown.clause_on(clauses[0]["attribute"])
    return True


def _among(thrown: Rollout, pool: tuple[Any, ...], value: Any, up: bool) -> Any:
    """A later or an earlier element of the pool; None at its end."""
    place = pool.index(value)
    rest = pool[place + 1 :] if up else pool[:place]
    return thrown.one(rest) if rest else None


def _move(name: str, pool: tuple[Any, ...], up: bool) -> "Edit":
    def edit(thrown: Rollout, state: State) -> bool:
        flag = _flag(thrown, state)
        found = _among(thrown, pool, flag[name], up)
        if found is not None:
            flag[name] = found
        return found is not None

    return edit


def _set(name: str, pool: tuple[Any, ...]) -> "Edit":
    def edit(thrown: Rollout, state: State) -> bool:
        _flag(thrown, state)[name] = thrown.one(pool)
        return True

    return edit


def _restore(thrown: Rollout, state: State) -> bool:
    flag = _flag(thrown, state)
    was, flag["killed"] = flag["killed"], None
    return was is not None


def _parents(thrown: Rollout, state: State) -> bool:
    place = thrown.source.randrange(1, len(state["flags"])) if len(state["flags"]) > 1 else 0
    known = [flag["key"] for flag in state["flags"][:place]]
    state["flags"][place]["requires"] = thrown.some(known, 2) if known else []
    return True


def _claim(thrown: Rollout, state: State) -> bool:
    flag = _flag(thrown, state)
    flag["claim"] = None if flag["claim"] else f"has_{flag['key']}"
    return True


def _delete(thrown: Rollout, state: State) -> bool:
    if len(state["flags"]) > 2:
        state["flags"].remove(_flag(thrown, state))
    return True


def _create(thrown: Rollout, state: State) -> bool:
    state["flags"] = [*(flag for flag in state["flags"] if flag["key"] != "new"), thrown.gate("new", KEYS[:1])]
    return True


def _profile_claim(thrown: Rollout, state: State) -> bool:
    claims = state["token"]["claims"]
    name = thrown.one(list(CLAIMS))
    if name in claims and thrown.chance(0.7):
        del claims[name]
    else:
        claims[name] = thrown.one((CLAIMS[name], 4, True))
    return True


def _access(thrown: Rollout, state: State) -> bool:
    state["access"] = thrown.one((*KEYS, None))
    return True


def _routes(change: Callable[[Rollout, list[Any], int], None]) -> "Edit":
    def edit(thrown: Rollout, state: State) -> bool:
        if not state["routes"]:
            return False
        change(thrown, state["routes"], thrown.source.randrange(len(state["routes"])))
        return True

    return edit


def _class(thrown: Rollout, routes: list[Any], place: int) -> None:
    kind = thrown.one(CLASSES)
    held = {} if kind == "open" else {name: routes[place].get(name, []) for name in ("flags", "asks")}
    routes[place] = {**{name: routes[place][name] for name in ("route", "procedure") if name in routes[place]},
                     "class": kind, **held}  # fmt: skip


def _keys(name: str) -> "Edit":
    def change(thrown: Rollout, routes: list[Any], place: int) -> None:
        if routes[place]["class"] != "open":
            key, held = thrown.one(KEYS), routes[place][name]
            routes[place] = {**routes[place], name: [k for k in held if k != key] if key in held else [*held, key]}

    return _routes(change)


def _list_route(thrown: Rollout, state: State) -> bool:
    if state["routes"] is None:
        return False
    name = thrown.one(NAMES)
    state["routes"] = [policy for policy in state["routes"] if not name.items() <= policy.items()]
    state["routes"].append(thrown.policy(name))
    return True


Edit = Callable[[Rollout, State], bool]
EDITS: Mapping[str, Edit] = {
    "list": _more, "list less": _fewer, "rule": _rule, "stage up": _move("stage", STAGES, True),
    "stage down": _move("stage", STAGES, False), "percent up": _move("percent", PERCENTS, True),
    "percent down": _move("percent", PERCENTS, False), "restore": _restore, "parents": _parents, "claim": _claim,
    "salt": _set("salt", ("s", "t")), "unit": _set("unit", ("user", "org", "org_or_user")),
    "algorithm": _set("algorithm", ("sha256-v1", "posthog-v1")), "delete": _delete, "create": _create,
    "values": _set("values", ({"on": "pr", "off": "direct"}, {"on": "pr", "off": "pr"}, {"on": True, "off": False},
                              {"on": "direct", "off": "pr"})),
    "owner": _set("owner", ("me", "you")), "profile claim": _profile_claim, "access": _access,
    "class": _routes(_class), "flags": _keys("flags"), "asks": _keys("asks"), "list route": _list_route,
    "unlist route": _routes(lambda _thrown, routes, place: routes.__delitem__(place)),
}  # fmt: skip


def crowd_of(pair: Pair, count: int, source: Random) -> list[Subject]:
    """Subjects for a pair: those at its boundaries first, then as many random ones as fit."""
    held, other = (state["flags"] for state in (pair.before, pair.after))
    flags = sorted([*held, *other], key=lambda flag: flag in held and flag in other)  # those that change come first
    found = [Subject("root", admin=True), Subject("stranger"), Subject(None, ("o-only",))]
    users = [*dict.fromkeys(user for flag in flags for user in flag["allow"]["users"])]
    orgs = [*dict.fromkeys(org for flag in flags for org in flag["allow"]["orgs"])]
    facts = [*_facts(flags)]
    edges = [*_edges(pair)]
    found += [Subject(user) for user in users] + [Subject(user) for _unit, user in edges if _unit == "user"]
    found += [Subject("member", (org,)) for org in (*orgs, *(name for unit, name in edges if unit == "org"))]
    found += [Subject("clerk", (), attributes=one) for one in facts]
    found = found[: count * 2 // 3]
    return [*found, *_strangers(found, users, orgs, facts, source, count - len(found))]


def _strangers(found: list[Subject], users: list[str], orgs: list[str], facts: list[Any], source: Random,
               count: int) -> Iterator[Subject]:  # fmt: skip
    """Random subjects with several facts together: whoever is to pass a flag must pass its parents too."""
    facts = [*facts, {name: value for one in facts for name, value in one.items()}, {}]
    names = [*users, *(f"r{source.randrange(10**6)}" for _ in range(count // 2))] or ["r"]
    bases, more, attributes = (source.choices(pool, k=count) for pool in (found[1:], [*orgs, ""], facts))
    for base, user, org, some in zip(bases, source.choices(names, k=count), more, attributes, strict=True):
        taken = base.user if base.user and source.random() < 0.6 else user
        yield Subject(taken, (*base.orgs, org) if org else base.orgs, attributes={**base.attributes, **some})


def _facts(flags: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Attributes at each boundary of each rule, and those that meet the whole rule."""
    for rule in [rule for flag in flags for rule in flag["allow"]["rules"]]:
        met = {}
        for clause in rule["clauses"]:
            values = _values(clause)
            met[clause["attribute"]] = values[0]
            yield from ({clause["attribute"]: value} for value in values)
        for clause in rule["clauses"]:
            yield from ({**met, clause["attribute"]: value} for value in _values(clause))


def _values(clause: Mapping[str, Any]) -> list[Any]:
    """Values around the clause's boundary; the first one meets it."""
    value: Any = clause.get("value", "yes")
    match clause["op"]:
        case "less" | "greater" as op:
            inside = 1 if op == "greater" else -1
            return [value + inside, value, value - inside]
        case "not_equals" | "not_in":
            return ["silver", *(value if isinstance(value, list) else [value])]
        case "starts_with":
            return [value + "y.example", value, "y"]
        case "ends_with":
            return ["x@a" + value, value[1:], "x"]
    return [*(value if isinstance(value, list) else [value]), "other"]


def _edges(pair: Pair) -> Iterator[tuple[str, str]]:
    """For each flag with a share that changes: ids on the two sides of each bucket's edge."""
    before, after = ({flag["key"]: flag for flag in state["flags"]} for state in (pair.before, pair.after))
    for key in before.keys() & after.keys():
        if before[key] != after[key] and "percentage" in (before[key]["stage"], after[key]["stage"]):
            old, new = vector_files.flag_from(before[key]), vector_files.flag_from(after[key])
            yield from _around(old, new)


def _around(old: Flag, new: Flag) -> Iterator[tuple[str, str]]:
    sides: dict[tuple[bool, bool], str] = {}
    for number in range(EDGES):
        name = f"e{number}"
        sides.setdefault((bucket.is_in(old, name), bucket.is_in(new, name)), name)
        if len(sides) == 4:
            break
    for name in sides.values():
        yield "user", name
        yield "org", name
