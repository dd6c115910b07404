"""The kill, the simplest path here: it commits first and counts afterwards, for a flag in any state, by one request.

It needs neither If-Match nor Idempotency-Key and nothing but the flag's own record. Twice in a row it is one more
audit entry and no other change.
"""

from dataclasses import replace
from typing import Any

from headgate.core.changes.flag import stamped, with_kill, without_kill
from headgate.core.flag import flag_document, read_flag
from headgate.core.model import Flag, Json, Kill, Reach
from headgate.core.reading import refuse, rfc3339, unix
from headgate.edge.admin.bodies import KillBody, RestoreBody, read_body
from headgate.edge.admin.call import Admin, answered, call_of, checked, read_document
from headgate.edge.admin.flags import key_in
from headgate.edge.http import Request, Response
from headgate.store.items import Stored, flag_key
from headgate.store.port import Throttled, Unavailable
from headgate.store.record import Answer, Change, Current, Refusal, Slug


def kill(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/kill: drop the gate, whatever state the flag is in."""
    key = key_in(request)
    document = read_document(request)

    def plan(document: Json, current: Current) -> Change | Refusal:
        body = read_body(KillBody, document)
        _check_reach(admin, key, body)
        order = Kill(body.reach, body.reason, current.stamp.at, current.stamp.by, _drain_until(admin, body))
        return _set(current, key, "flag.kill", lambda flag: with_kill(flag, order))

    outcome = admin.record.change(
        flag_key(key), checked(plan, document), call_of(request, document, f"kill/{request.request_id}"[:64])
    )
    if isinstance(outcome, Answer):
        outcome = replace(outcome, body={**outcome.body, **_inside(admin, outcome.body)})
    return answered(outcome)


def _check_reach(admin: Admin, key: str, body: KillBody) -> None:
    if (body.reach is Reach.DRAIN) != (body.drain_until is not None):
        refuse("drain_until", "belongs to reach drain, and reach drain needs it")
    if body.reach is not Reach.GATE and key != admin.current().snapshot.profile.access:
        refuse("reach", "drain and sever belong to the access flag: sessions hang on no other")


def _drain_until(admin: Admin, body: KillBody) -> str | None:
    """In UTC, as all times are kept: which of two is sooner is told by comparing them as text."""
    if body.drain_until is None:
        return None
    try:
        until = rfc3339(unix(body.drain_until))
    except (ValueError, OverflowError):
        until = ""
    if until <= rfc3339(admin.clock()):
        refuse("drain_until", "must be a time to come, in RFC 3339 with an offset")
    return until


def restore(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/restore: exactly as before the kill."""
    key = key_in(request)

    def plan(document: Json, current: Current) -> Change | Refusal:
        read_body(RestoreBody, document)
        return _set(current, key, "flag.restore", without_kill)

    return admin.change(flag_key(key), plan, request)


def _set(current: Current, key: str, action: str, step: Any) -> Change | Refusal:
    stored = current.stored
    if stored is None or stored.retired:
        return Refusal(Slug.UNKNOWN_FLAG, "")
    before: Flag = read_flag(key, stored.document)
    after: Flag = step(before)
    if before.quarantined:
        return _set_unreadable(stored, key, action, after)
    if after == before:  # nothing to do, and that too is on record
        return Change(action, stored.version, stored.document, stored.document,
                      Answer(200, stored.document, stored.version), key)  # fmt: skip
    after = stamped(after, stored.version + 1, current.stamp)
    document = flag_document(after)
    return Change(action, after.version, stored.document, document, Answer(200, document, after.version), key)


def _set_unreadable(stored: Stored, key: str, action: str, after: Flag) -> Change:
    """A flag whose record cannot be read is killed and restored all the same; the rest of it stays as it lies."""
    held = stored.document if isinstance(stored.document, dict) else {}
    document = {**held, "key": key, "killed": flag_document(after)["killed"]}
    return Change(action, stored.version + 1, stored.document, document, Answer(200, document, stored.version + 1), key)


def _inside(admin: Admin, flag: Any) -> dict[str, Any]:
    """How many sessions run on, and when the last must leave; nulls when that cannot be told."""
    nothing: dict[str, Any] = {"sessions_inside": None, "last_leaves_at": None}
    try:
        if flag.get("key") != admin.snapshots.soft().snapshot.profile.access:
            return nothing
        counted = admin.sessions.inside()
    except (Unavailable, Throttled):
        return nothing
    if counted is None:
        return nothing
    count, last = counted
    until = (flag.get("killed") or {}).get("drain_until")
    leaves = last if until is None or last is None else min(last, int(unix(until)))
    return {"sessions_inside": count, "last_leaves_at": None if leaves is None else rfc3339(leaves)}
