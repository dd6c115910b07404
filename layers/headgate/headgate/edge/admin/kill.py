"""Kill and restore. A kill is the simplest path: one request, for a flag in any state, that commits before it counts.

It needs no If-Match, no Idempotency-Key, and only the flag's own record. A repeated kill adds an audit entry and
changes nothing else.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from headgate.core.changes.flag import stamped, with_kill, without_kill
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import refuse, rfc3339, unix
from headgate.core.flag import flag_document, read_flag
from headgate.core.model import Flag, Kill, Reach
from headgate.edge.admin.bodies import KillBody, ReasonBody, read_body
from headgate.edge.admin.call import Admin, answered, call_of, key_in, read_document
from headgate.edge.http import Request, Response
from headgate.store.items import Stored, flag_key
from headgate.store.port import Throttled, Unavailable
from headgate.store.record import Answer, Change, Current


def kill(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/kill: kill a flag, whatever its state, so that only admins pass."""
    key, document = key_in(request), read_document(request)

    def plan(current: Current) -> Change:
        body = read_body(KillBody, document)
        _check_reach(admin, key, body)
        order = Kill(body.reach, body.reason, current.stamp.at, current.stamp.by, _drain_until(admin, body))
        return _changed(current, key, "flag.kill", lambda flag: with_kill(flag, order))

    call = call_of(request, document, f"kill/{request.request_id}"[:64])
    answer = admin.record.change(flag_key(key), plan, call)
    return answered(replace(answer, body={**answer.body, **_inside(admin, answer.body)}))


def _check_reach(admin: Admin, key: str, body: KillBody) -> None:
    if (body.reach is Reach.DRAIN) != (body.drain_until is not None):
        refuse("drain_until", "must be set with reach drain, and only with it")
    if body.reach is not Reach.GATE and key != admin.current().snapshot.profile.access:
        refuse("reach", "drain and sever apply only to the access flag, because sessions depend on no other flag")


def _drain_until(admin: Admin, body: KillBody) -> str | None:
    """Return the time in UTC, as all times are stored, because they are compared as text."""
    if body.drain_until is None:
        return None
    try:
        until = rfc3339(unix(body.drain_until))
    except (ValueError, OverflowError):
        until = ""
    if until <= rfc3339(admin.clock()):
        refuse("drain_until", "must be a future RFC 3339 time with an offset")
    return until


def restore(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/restore: lift a kill, so that the flag is as it was before."""
    key, document = key_in(request), read_document(request)

    def plan(current: Current) -> Change:
        read_body(ReasonBody, document)
        return _changed(current, key, "flag.restore", without_kill)

    return admin.commit(flag_key(key), plan, request, document)


def _changed(current: Current, key: str, action: str, step: Callable[[Flag], Flag]) -> Change:
    stored = current.stored
    if stored is None or stored.retired:
        raise Refusal(Slug.UNKNOWN_FLAG)
    before = read_flag(key, stored.document)
    after = step(before)
    if before.quarantined:
        return _changed_unreadable(stored, key, action, after)
    if after == before:  # the audit stream records the call, though nothing changes
        return Change(action, stored.version, stored.document, stored.document,
                      Answer(200, stored.document, stored.version), key)  # fmt: skip
    after = stamped(after, stored.version + 1, current.stamp)
    document = flag_document(after)
    return Change(action, after.version, stored.document, document, Answer(200, document, after.version), key)


def _changed_unreadable(stored: Stored, key: str, action: str, after: Flag) -> Change:
    """Kill or restore a flag whose record cannot be read. The rest of the record is not changed."""
    held = stored.document if isinstance(stored.document, dict) else {}
    document = {**held, "key": key, "killed": flag_document(after)["killed"]}
    return Change(action, stored.version + 1, stored.document, document, Answer(200, document, stored.version + 1), key)


def _inside(admin: Admin, flag: Any) -> dict[str, Any]:
    """Return how many sessions are live and when the last must end, or nulls if that is not known."""
    unknown: dict[str, Any] = {"sessions_inside": None, "last_leaves_at": None}
    try:
        if flag.get("key") != admin.snapshots.soft().snapshot.profile.access:
            return unknown
        counted = admin.sessions.inside()
    except (Unavailable, Throttled):
        return unknown
    if counted is None:
        return unknown
    count, last = counted
    until = (flag.get("killed") or {}).get("drain_until")
    leaves = last if until is None or last is None else min(last, int(unix(until)))
    return {"sessions_inside": count, "last_leaves_at": None if leaves is None else rfc3339(leaves)}
