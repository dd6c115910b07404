"""What every gate grants to a subject, and what a change takes from it or opens: the oracle of shrinks and openings.

Mint, routes, flags, values, and claims, decided subject by subject. It shares only the decision with the product.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.core.ruleset import Ruleset, ruleset
from headgate.core.snapshot import Snapshot

HELD = {"entry": "access admin", "continue": "access admin session", "observe": "access admin session",
        "stop": "access admin session", "machine": "session", "admin": "admin",
        "open": "access admin session nobody"}  # fmt: skip
UNLISTED = {"class": "entry", "flags": [], "asks": []}
On = frozenset[str]


class Gates:
    """The gates of one state. `on` decides every flag of a subject once."""

    def __init__(self, state: Mapping[str, Any], snapshot: Snapshot) -> None:
        self.state, self.rules = state, snapshot.rules
        self.flags = {flag["key"]: flag for flag in state["flags"]}
        self.policies = {
            policy.get("route") or policy["procedure"]: {**UNLISTED, **policy} for policy in state["routes"] or ()
        }

    def on(self, subject: Subject, keys: Iterable[str]) -> On:
        """The flags that are on for a subject, at a gate."""
        return frozenset(key for key in keys if decide(self.rules, key, subject, gate=True).value)

    def required(self, name: str) -> list[str]:
        """The flags that a route requires."""
        policy = self.policies.get(name, UNLISTED)
        if policy["flags"] or policy["class"] != "entry":
            return list(policy["flags"])
        return [self.state["access"] or ""]

    def passes(self, name: str, on: On, admin: bool) -> On:
        """The credentials with which a subject passes a route."""
        held = HELD[self.policies.get(name, UNLISTED)["class"]].split()
        mine = [one for one in held if one == "nobody" or (one == "admin") is admin or one == "session"]
        return frozenset(mine) if admin or set(self.required(name)) <= on else frozenset()

    def asked(self, name: str, on: On) -> On:
        """The asks of a route that are on."""
        return on.intersection(self.policies.get(name, UNLISTED)["asks"])

    def claims(self, on: On, admin: bool) -> dict[str, Any]:
        """The added claims of an access token; none if none is minted."""
        if not admin and self.state["access"] not in on:
            return {}
        filled = {"$user": "their id", "$admin": True if admin else None}
        claims = {name: filled.get(value, value) if isinstance(value, str) else value
                  for name, value in self.state["token"]["claims"].items()}  # fmt: skip
        claims |= {flag["claim"]: True for key, flag in self.flags.items() if flag["claim"] and key in on}
        return {name: value for name, value in claims.items() if value is not None}

    def means_off(self, key: str, value: Any) -> bool:
        """Whether the value of the flag is the one for off."""
        return bool(self.flags[key]["values"]["off"] == value)


def is_lost(before: Mapping[str, Any], after: Mapping[str, Any], states: tuple[Snapshot, Snapshot],
            crowd: Iterable[Subject]) -> bool:  # fmt: skip
    """Whether somebody loses something at some gate: as the rules stand, or as they would without kills."""
    crowd = list(crowd)
    killed = any(flag["killed"] for state in (before, after) for flag in state["flags"])
    versions = [states, tuple(map(_without_kills, states))] if killed else [states]
    return any(_loses(Gates(before, old), Gates(after, new), crowd) for old, new in versions)


def _without_kills(snapshot: Snapshot) -> Snapshot:
    flags = {key: replace(flag, killed=None) for key, flag in snapshot.rules.given.items()}
    return replace(snapshot, rules=ruleset(flags))


def _loses(old: Gates, new: Gates, crowd: list[Subject]) -> bool:
    keys = sorted(old.flags.keys() | new.flags.keys())
    rules = old.rules, new.rules
    moved = [key for key in keys if len({_with_parents(one, key) for one in rules}) == 2]
    same = [key for key in keys if key not in moved]
    seen: set[tuple[On, On, bool]] = set()
    for subject in crowd:
        both = old.on(subject, same)
        kind = both | old.on(subject, moved), both | new.on(subject, moved), subject.admin
        if kind not in seen:
            if _loses_one(old, new, *kind):
                return True
            seen.add(kind)
    return False


def _with_parents(rules: Ruleset, key: str) -> str:
    """Everything that a decision on the flag depends on."""
    flags = [rules.flags.get(one) for one in (key, *rules.lineage.get(key, ()))]
    return repr([(flag, flag and flag.salt) for flag in flags])


def _loses_one(old: Gates, new: Gates, was: On, now: On, admin: bool) -> bool:
    if was - now or _mints(old, was, admin) > _mints(new, now, admin):
        return True
    if any(_values_lost(old, new, key) for key in was & new.flags.keys() & old.flags.keys()):
        return True
    had, has = old.claims(was, admin), new.claims(now, admin)
    if any(name not in has or not _is(has[name], value) for name, value in had.items()):
        return True
    return old.state["routes"] is not None and any(_route_lost(old, new, name, was, now, admin)
                                                   for name in _names(old, new))  # fmt: skip


def _mints(gates: Gates, on: On, admin: bool) -> bool:
    return admin or gates.state["access"] in on


def _is(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _values_lost(old: Gates, new: Gates, key: str) -> bool:
    """On now gets a value that means off."""
    got = new.flags[key]["values"]["on"]
    told_apart = not old.means_off(key, old.flags[key]["values"]["on"])
    return told_apart and (new.means_off(key, got) or old.means_off(key, got))


def _names(old: Gates, new: Gates) -> Iterator[str]:
    yield from {**old.policies, **new.policies, "not listed": None}


def _route_lost(old: Gates, new: Gates, name: str, was: On, now: On, admin: bool) -> bool:
    if old.passes(name, was, admin) - new.passes(name, now, admin):
        return True
    return bool(old.passes(name, was, admin) and old.asked(name, was) - new.asked(name, now))


def opened(before: Mapping[str, Any], after: Mapping[str, Any], states: tuple[Snapshot, Snapshot]) -> tuple[bool, bool]:
    """Whether a route admits somebody whom it did not: under flags that can be on together, and under any flags.

    The first access flag opens nothing.
    """
    before = {**before, "access": before["access"] or after["access"]}
    old, new = (Gates(state, snapshot) for state, snapshot in zip((before, after), states, strict=True))
    if before["routes"] is None:
        return False, False
    possible = any_at_all = False
    for name in {**old.policies, **new.policies}:
        if _is_same(old.policies.get(name, UNLISTED), new.policies.get(name, UNLISTED)):
            continue  # an entry route without flags follows the access flag: that is no change of its policy
        keys = sorted({*old.required(name), *new.required(name)} - {""})
        for count in range(len(keys) + 1):
            for on in map(frozenset, combinations(keys, count)):
                if any(new.passes(name, on, admin) - old.passes(name, on, admin) for admin in (False, True)):
                    any_at_all = True
                    possible = possible or _together(states[1], on, keys)
    return possible, any_at_all


def _is_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    return all(before[name] == after[name] for name in ("class", "flags"))


def _together(snapshot: Snapshot, on: On, keys: list[str]) -> bool:
    """Whether these flags, and none of the other keys, can be on for one subject: a flag needs its ancestors."""
    return all(set(snapshot.rules.lineage.get(key, ())).intersection(keys) <= on for key in on)
