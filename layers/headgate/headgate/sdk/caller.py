"""The verified caller of a request, for a function behind the gate.

API Gateway puts the authorizer's context into `requestContext.authorizer.lambda` (payload format 2.0, Lambda
authorizer with a simple response). A caller cannot write it. If it is absent, partial, or of a wrong type, the request
did not pass the gate, and the only safe answer is 401.

This module must not import tokens, rules, the store, or any third-party library.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

ACCESS, SESSION = "access", "session"


class MissingContext(ValueError):
    """The authorizer's context is absent, partial, or of a wrong type. Answer 401 `urn:headgate:missing-context`.

    The message names the invalid member and never contains its value.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A verified caller and what the gate decided about this request.

    `entitlements` are the flags that were on when the token was issued: use them for display, not as a gate. `asks` has
    the live decision on each flag that the route asks about. `org_flags` has, for each flag that the route requires or
    asks about, the orgs for which it is on; it is None if the caller has no orgs. `session` is the session's id, or
    None for an access token. `stale` is true if the last known good rules were used because the store did not answer.
    `orgs_cut` is true if the caller has orgs beyond `orgs`, which did not fit into the token.
    """

    subject: str
    orgs: tuple[str, ...]
    admin: bool
    entitlements: frozenset[str]
    asks: Mapping[str, bool] = field(hash=False)
    reason: str
    revision: int
    session: str | None
    route_class: str
    credential: str
    stale: bool
    org_flags: Mapping[str, frozenset[str]] | None = field(default=None, hash=False)
    orgs_cut: bool = False

    def allows(self, flag: str, org: str | None = None) -> bool:
        """Whether the route asks about this flag and it is on. False for a flag that the route does not ask about.

        Pass `org` where the request acts for an org that the path does not name: the flag must then be on for that org
        alone. For an org, the flags that the route requires count as asked.
        """
        if org is not None and org not in self.orgs:
            return False
        if org is None or self.org_flags is None:
            return self.asks.get(flag) is True
        return org in self.org_flags.get(flag, ())


def caller_from(event: Mapping[str, Any]) -> Caller:
    """Read the caller from a payload 2.0 event. Raises `MissingContext`: there is no anonymous caller."""
    context = _context(event)
    credential = _text(context, "credential")
    # API Gateway leaves out members whose value is the empty string
    session = _text(context, "session", blank=True) if "session" in context else ""
    if credential not in (ACCESS, SESSION) or (credential == SESSION) != bool(session):
        raise MissingContext("credential and session do not match")
    return Caller(
        subject=_text(context, "subject"),
        orgs=tuple(_listed(context, "orgs")),
        admin=_boolean(context, "admin"),
        entitlements=frozenset(_listed(context, "entitlements")),
        asks=MappingProxyType(_asks(context)),
        reason=_text(context, "reason"),
        revision=_revision(context),
        session=session or None,
        route_class=_text(context, "class"),
        credential=credential,
        stale=_boolean(context, "stale"),
        org_flags=_org_flags(context),
        orgs_cut="orgs_cut" in context and _boolean(context, "orgs_cut"),
    )


def _context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = event
    for name in ("requestContext", "authorizer", "lambda"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise MissingContext("the event has no authorizer context")
    return found


def _text(context: Mapping[str, Any], name: str, *, blank: bool = False) -> str:
    value = context.get(name)
    if not isinstance(value, str) or not (value or blank) or not _is_unicode(value):
        raise MissingContext(f"{name} must be a string")
    return value


def _boolean(context: Mapping[str, Any], name: str) -> bool:
    value = context.get(name)
    if not isinstance(value, bool):  # "true" and 1 are not true
        raise MissingContext(f"{name} must be a boolean")
    return value


def _revision(context: Mapping[str, Any]) -> int:
    value = context.get("revision")
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MissingContext("revision must be an integer, 0 or more")
    return value


def _listed(context: Mapping[str, Any], name: str) -> list[str]:
    value = _json(context, name)
    if not isinstance(value, list) or not all(isinstance(item, str) and item and _is_unicode(item) for item in value):
        raise MissingContext(f"{name} must be a JSON array of strings")
    return value


def _asks(context: Mapping[str, Any]) -> dict[str, bool]:
    value = _json(context, "asks")
    if not isinstance(value, dict) or not all(isinstance(item, bool) for item in value.values()):
        raise MissingContext("asks must be a JSON object of booleans")
    return value


def _org_flags(context: Mapping[str, Any]) -> Mapping[str, frozenset[str]] | None:
    """Read one digit per org and flag."""
    if "org_flags" not in context:
        return None
    orgs, value = _listed(context, "orgs"), _json(context, "org_flags")
    digits = value.values() if isinstance(value, dict) else [None]
    if not all(isinstance(text, str) and len(text) == len(orgs) and set(text) <= {"0", "1"} for text in digits):
        raise MissingContext("org_flags must be a JSON object of one digit per org")
    return MappingProxyType({
        flag: frozenset(org for org, digit in zip(orgs, text, strict=True) if digit == "1")
        for flag, text in value.items()
    })  # fmt: skip


def _json(context: Mapping[str, Any], name: str) -> Any:
    try:
        return json.loads(_text(context, name), object_pairs_hook=_distinct)
    except (MissingContext, ValueError, RecursionError):
        raise MissingContext(f"{name} must be a string of JSON") from None


def _distinct(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError("a member is repeated")
        members[name] = value
    return members


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
