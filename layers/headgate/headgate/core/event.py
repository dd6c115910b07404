"""The event that leaves the table for one audit entry: who did what, when, and why.

It never contains what the change was about: no list, no id of a user or org, no rule, no salt. A new member of an entry
stays inside until it is named here.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

from headgate.core.audit import is_sealed

NOT_AN_ENTRY = "unreadable"
"""The action of an event for something that somebody else wrote among the audit entries."""
TEXT_CHARS = 500
"""The most characters of any text that leaves. A reason is free text, and may be longer in the audit stream."""


def event_of(entry: Mapping[str, Any], revision: int, stack: str) -> dict[str, Any]:
    """Return the event for the entry that is stored at a revision. `stack` says which environment it is from.

    `text` is one line for people, escaped for Slack (https://docs.slack.dev/messaging/formatting-message-text).
    """
    if entry.get("revision") != revision or not is_sealed(entry):
        entry = {"action": NOT_AN_ENTRY}
    actor = entry.get("actor")
    event = {
        "stack": stack,
        "revision": revision,
        "at": _plain(entry.get("at")),
        "action": _plain(entry.get("action")),
        "flag": _plain(entry.get("flag")),
        "actor": _plain(actor.get("arn") if isinstance(actor, Mapping) else None),
        "reason": _plain(entry.get("reason")),
        "request_id": _plain(entry.get("request_id")),
        "digest": _plain(entry.get("digest")),
    }
    return {**event, "text": escape(_line(event), quote=False)}


def _line(event: Mapping[str, Any]) -> str:
    what = f"{event['action']} {event['flag'] or ''}".rstrip()
    who = str(event["actor"] or "unknown").rpartition(":")[2]  # without the account
    return f"{event['stack']}: {what}, revision {event['revision']}, by {who}: {event['reason'] or 'no reason'}"


def _plain(value: object) -> str | None:
    """Return a text on one line and not too long: a control character or a direction mark becomes its escape."""
    if not isinstance(value, str):
        return None
    shown = "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in value)
    return shown if len(shown) <= TEXT_CHARS else f"{shown[: TEXT_CHARS - 1]}…"
