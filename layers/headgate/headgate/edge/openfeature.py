"""A decision in OpenFeature's terms (value, variant, reason, metadata), and a subject from an evaluation context.

Shared by the evaluate function (OFREP) and the in-process provider, so that both give the same answers.
"""

from collections.abc import Mapping
from typing import Any

from headgate.core.decision import decide
from headgate.core.model import Decision, Json, Reason, Subject
from headgate.core.ruleset import Ruleset
from headgate.store.snapshots import Standing, View

MAX_ORGS = 1_000
OPENFEATURE: Mapping[Reason, str] = {
    Reason.ADMIN: "TARGETING_MATCH",
    Reason.ALLOWLIST: "TARGETING_MATCH",
    Reason.SPLIT: "SPLIT",
    Reason.GA: "STATIC",
    Reason.KILLED: "DISABLED",
}
"""OpenFeature's reason for each of Headgate's. All others are DEFAULT."""

SUBJECT_MEMBERS = ("targetingKey", "orgs", "admin")


class InvalidContext(ValueError):
    """The context does not describe a subject. The message never contains its values."""


def subject_in(context: Mapping[str, Json]) -> Subject:
    """Read the subject that a trusted caller names: `targetingKey`, `orgs`, `admin`; other members are attributes.

    Types are strict: `"true"` and 1 do not make an admin. Raises `InvalidContext`.
    """
    user, orgs, admin = context.get("targetingKey"), context.get("orgs", []), context.get("admin", False)
    listed = isinstance(orgs, (list, tuple)) and len(orgs) <= MAX_ORGS and all(isinstance(org, str) for org in orgs)
    if not (user is None or isinstance(user, str)) or not listed or not isinstance(admin, bool):
        raise InvalidContext("targetingKey must be a string, orgs a list of strings, and admin a boolean")
    attributes = {name: value for name, value in context.items() if name not in SUBJECT_MEMBERS}
    return Subject(user=user or None, orgs=tuple(orgs), admin=admin, attributes=attributes)


def evaluate(rules: Ruleset, key: str, subject: Subject) -> tuple[Decision, dict[str, Any]]:
    """Return the decision and its value, variant, and reason. They are absent if the flag does not exist."""
    decision = decide(rules, key, subject)
    if decision.reason is Reason.FLAG_NOT_FOUND:
        return decision, {}
    flag = rules.flags[key]
    return decision, {
        "value": flag.on if decision.value else flag.off,
        "variant": "on" if decision.value else "off",
        "reason": OPENFEATURE.get(decision.reason, "DEFAULT"),
    }


def metadata(decision: Decision, view: View) -> dict[str, bool | int | float | str]:
    """Return the reason and the revision, and `stale` if the last known good rules were used."""
    return {"reason": decision.reason.value, **about(view)}


def about(view: View) -> dict[str, bool | int | float | str]:
    """Return the metadata that every decision on a view shares."""
    stale = {} if view.standing is Standing.FRESH else {"stale": True}
    return {"revision": view.revision, **stale}
