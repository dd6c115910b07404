"""The rules at one revision: flags, route policies, token profile, keys, and denials.

A snapshot is loaded whole, or built from an older one by applying audit entries. It never has a revision that it does
not fully contain. A stored flag that does not parse is quarantined: it denies everyone but admins and is listed in
`quarantined`; all others are served.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from headgate.core.deny import Denial, DenySet, parse_denial
from headgate.core.documents import Invalid
from headgate.core.flag import read_flag
from headgate.core.keyring import LOST_KEYRING, Keyring, parse_keyring
from headgate.core.model import Json, Kill, Profile, Reach
from headgate.core.profile import parse_profile
from headgate.core.routes import RouteTable, parse_routes
from headgate.core.ruleset import Ruleset, ruleset
from headgate.core.session import cut_off


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`routes` and `profile` have the version of their stored item. `keyring` is empty until the first rotation.

    `confirmed` is False only in what `unconfirmed` returns.
    """

    rules: Ruleset
    routes: RouteTable = field(default_factory=RouteTable)
    profile: Profile = field(default_factory=Profile)
    keyring: Keyring = ()
    denied: DenySet = field(default_factory=DenySet)
    confirmed: bool = True

    @property
    def revision(self) -> int:
        """The revision of the newest audit entry it contains."""
        return self.rules.revision

    @property
    def sessions_end(self) -> float | None:
        """When a kill of the access flag ends all sessions (Unix seconds), if it does. 0 while nothing is confirmed."""
        if not self.confirmed:
            return 0.0
        access = self.rules.flags.get(self.profile.access or "")
        return (
            None if access is None or access.killed is None else cut_off(access.killed.reach, access.killed.drain_until)
        )

    @property
    def quarantined(self) -> tuple[str, ...]:
        """Flags whose stored form cannot be used."""
        return tuple(key for key, flag in self.rules.flags.items() if flag.quarantined)


EMPTY = Snapshot(ruleset({}))
"""No rules: at a gate only admins pass, and every route is `entry`."""


def read_routes(document: Json) -> RouteTable:
    """Read stored route policies. If they are unusable, none is listed, so every route is `entry`.

    Version 0 is that of a service that never had any; `document` is None for those.
    """
    try:
        return replace(parse_routes(document["routes"]), version=document["version"])
    except (Invalid, KeyError, TypeError, RecursionError):
        version = document.get("version") if isinstance(document, dict) else None
        return RouteTable(version=version if type(version) is int else 0)


def read_profile(document: Json) -> Profile:
    """Read the stored token profile. An unusable one names no access flag, so only admins pass."""
    try:
        profile = parse_profile(
            {name: value for name, value in document.items() if name not in ("version", "revision")}
        )
        return replace(profile, version=document["version"])
    except (Invalid, KeyError, AttributeError, TypeError, RecursionError):
        return Profile()


def read_keyring(document: Json) -> Keyring:
    """Read the stored keyring. An unusable one has no key, so no token passes."""
    try:
        return parse_keyring(document) or LOST_KEYRING
    except (Invalid, RecursionError):
        return LOST_KEYRING


def with_denials(denied: DenySet, documents: Iterable[Json]) -> DenySet:
    """Return the deny set with the stored denials that can be read."""
    return denied.with_denials(_readable(documents))


def _readable(documents: Iterable[Json]) -> Iterator[Denial]:
    for document in documents:
        with suppress(Invalid, RecursionError):
            yield parse_denial(document)


def apply_entries(snapshot: Snapshot, entries: Iterable[Mapping[str, Any]]) -> Snapshot:
    """Return the snapshot after the audit entries that follow it, in order. Entries it already contains are skipped."""
    flags, revision = dict(snapshot.rules.given), snapshot.revision
    routes, profile, keyring, denials = snapshot.routes, snapshot.profile, snapshot.keyring, []
    for entry in entries:
        if entry["revision"] <= revision:
            continue
        revision, after = entry["revision"], entry["after"]
        subject, key = entry["action"].partition(".")[0], entry["flag"]
        if subject == "flag" and after is None:
            flags.pop(key, None)
        elif subject == "flag":
            flags[key] = read_flag(key, after)
        elif subject == "routes":
            routes = read_routes(after)
        elif subject == "profile":
            profile = read_profile(after)
        elif subject == "keys":
            keyring = read_keyring(after)
        elif subject in ("deny", "restore"):
            denials.append(after)
    denied = with_denials(snapshot.denied, denials) if denials else snapshot.denied
    return Snapshot(ruleset(flags, revision, snapshot.rules), routes, profile, keyring, denied)


def with_kills(snapshot: Snapshot, killed: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot with the head's killed flags applied: a kill needs nothing else to be loaded."""
    flags, dropped = snapshot.rules.given, {}
    for key, reach in killed.items():
        flag = flags.get(key)
        known = next((one for one in Reach if one == reach), Reach.GATE)
        if flag is not None and (flag.killed is None or flag.killed.reach.rank < known.rank):
            dropped[key] = replace(flag, killed=Kill(known, "", "", ""))
    return (
        replace(snapshot, rules=ruleset({**flags, **dropped}, snapshot.revision, snapshot.rules))
        if dropped
        else snapshot
    )


def unconfirmed(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot as it is served from a restored table until `headgate restore confirm`: only admins pass.

    Every flag is killed, every route is `entry`, and no session passes or is renewed.
    """
    killed = with_kills(snapshot, dict.fromkeys(snapshot.rules.given, Reach.GATE.value))
    return replace(killed, routes=RouteTable(), confirmed=False)


def gate_flags(snapshot: Snapshot) -> frozenset[str]:
    """The flags that tokens report: those that a route, an ask, or a claim names, and the access flag."""
    claimed = frozenset(key for key, flag in snapshot.rules.flags.items() if flag.claim)
    access = frozenset(filter(None, (snapshot.profile.access,)))
    return snapshot.routes.flags | claimed | access


def named_orgs(snapshot: Snapshot, orgs: Iterable[str]) -> frozenset[str]:
    """Those of the orgs that a flag's own list or a rule on the attribute `orgs` names; long lists are not read."""
    asked, named = frozenset(orgs), set[str]()
    for flag in snapshot.rules.flags.values():
        named |= asked & flag.allow.orgs
        for clause in (clause for rule in flag.allow.rules for clause in rule.clauses if clause.attribute == "orgs"):
            values = clause.value if isinstance(clause.value, tuple) else (clause.value,)
            named |= asked.intersection(value for value in values if isinstance(value, str))
    return frozenset(named)


def named_attributes(snapshot: Snapshot) -> frozenset[str]:
    """The attributes that some rule reads: only these are put into tokens."""
    flags = snapshot.rules.flags.values()
    return frozenset(c.attribute for flag in flags for rule in flag.allow.rules for c in rule.clauses)


def missing_flags(snapshot: Snapshot) -> tuple[str, ...]:
    """Flags that are named but do not exist: only admins pass until somebody creates them."""
    parents = frozenset(parent for flag in snapshot.rules.flags.values() for parent in flag.requires)
    return tuple(sorted((gate_flags(snapshot) | parents) - snapshot.rules.flags.keys()))
