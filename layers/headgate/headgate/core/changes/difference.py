"""What a plan's step changes, member by member and route by route, as documents for people and programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headgate.core.changes.refusal import Place
from headgate.core.documents import canonical
from headgate.core.flag import OWN_MEMBERS, flag_document
from headgate.core.model import Flag, Json
from headgate.core.snapshot import Snapshot

IDS = 10
"""Ids shown of those that a list gains, and of those that it loses."""
NOT_SHOWN = ("salt",)
"""Members whose values are not shown: a viewer could otherwise predict buckets from a plan in a log."""


def flag_fields(before: Flag | None, after: Flag) -> list[dict[str, Json]]:
    """Return each member that differs. A new flag is compared with the defaults, and its stage is always listed."""
    old, new = (_members(flag) for flag in (before or Flag(after.key, after.salt), after))
    if before is None:
        old["stage"] = None
    return [_field(name, old[name], new[name]) for name in new if _differs(old[name], new[name])]


def _members(flag: Flag) -> dict[str, Json]:
    document = flag_document(flag)
    members = {name: document.get(name) for name in OWN_MEMBERS if name not in ("key", "allow", "values")}
    return members | {f"{name}.{part}": value for name in ("allow", "values") for part, value in document[name].items()}


def profile_fields(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Return each setting and each claim that differs."""
    old, new = (_settings(document) for document in (before, after))
    return [
        _field(name, old.get(name), new.get(name)) for name in {**old, **new} if _differs(old.get(name), new.get(name))
    ]


def _settings(document: Mapping[str, Json]) -> dict[str, Json]:
    token = document["token"]
    settings = {"access": document["access"], "max_stale": document["max_stale"], "token.lifetime": token["lifetime"]}
    return settings | {f"token.claims.{name}": value for name, value in token["claims"].items()}


def _field(name: str, before: Json, after: Json) -> dict[str, Json]:
    if name in NOT_SHOWN:
        return {"path": name}
    if name in ("allow.users", "allow.orgs"):
        came, went = sorted(set(after) - set(before)), sorted(set(before) - set(after))
        return {"path": name, "added": came[:IDS], "added_count": len(came), "removed": went[:IDS],
                "removed_count": len(went)}  # fmt: skip
    return {"path": name, "before": before, "after": after}


def policy_changes(
    before: Iterable[Mapping[str, Json]], after: Iterable[Mapping[str, Json]], losses: Sequence[Place],
    openings: Sequence[Place],
) -> list[dict[str, Json]]:  # fmt: skip
    """Return each route whose policy differs, with its policy before and after; null where it is not listed."""
    old, new = ({_name(policy): policy for policy in policies} for policies in (before, after))
    shrinking, opening = ({place.key for place in places} for places in (losses, openings))
    return [
        {kind: name, "before": _rest(old.get((kind, name))), "after": _rest(new.get((kind, name))),
         "shrinks": name in shrinking, "opens": name in opening}
        for kind, name in {**old, **new} if _differs(old.get((kind, name)), new.get((kind, name)))
    ]  # fmt: skip


def _name(policy: Mapping[str, Json]) -> tuple[str, str]:
    kind = "procedure" if "procedure" in policy else "route"
    return kind, policy[kind]


def _rest(policy: Mapping[str, Json] | None) -> Json:
    if policy is None:
        return None
    return {"class": policy["class"], "flags": policy.get("flags", []), "asks": policy.get("asks", [])}


def _differs(left: Any, right: Any) -> bool:
    """Compare as JSON: Python treats 1 and true as equal."""
    return canonical(left) != canonical(right)


def unknown_flags(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield the path and a warning for each flag that the access setting, a parent, or a route names in vain."""
    known, access = snapshot.rules.given, snapshot.profile.access
    if access is not None and access not in known:
        yield "access", f"{access} does not exist: only admins get a token"
    for key, flag in known.items():
        yield from ((f"flags.{key}.requires", f"{up} does not exist: only admins pass")
                    for up in flag.requires if up not in known)  # fmt: skip
    for policy in snapshot.routes.policies():
        for key in (*policy.flags, *policy.asks):
            if key not in known:
                what = "only admins pass" if key in policy.flags else "the ask is on for admins only"
                yield f"routes.{policy.name}", f"{key} does not exist: {what}"
