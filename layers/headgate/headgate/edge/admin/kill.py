"""Kill and restore. A kill is the simplest path: one request, for a flag in any state, that commits before it counts.

It needs no If-Match, no Idempotency-Key, and only the flag's own record. A repeated kill adds an audit entry and
changes nothing else. Its answer has no lists and no salt: a kill operator may not read flags.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from headgate.core.changes.flag import stamped, with_kill, without_kill
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import refuse, rfc3339, unix
from headgate.core.flag import flag_document, read_flag
from headgate.core.model import Flag, Kill, Reach
from headgate.core.session import cut_off
from headgate.edge import telemetry
from headgate.edge.admin.bodies import KillBody, ReasonBody, read_body
from headgate.edge.admin.call import Admin, answered, call_of, key_in, read_document
from headgate.edge.http import Request, Response
from headgate.store.items import PROFILE_KEY, Stored, flag_key, read_stored
from headgate.store.port import Throttled, Unavailable
from headgate.store.record import Answer, Change, Current
from headgate.store.sessions import COUNT_SECONDS


def kill(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/kill: kill a flag, whatever its state, so that only admins pass."""
    key, document = key_in(request), read_document(request)

    def plan(current: Current) -> Change:
        body = read_body(KillBody, document)
        _check_reach(admin, key, body)
        order = Kill(body.reach, body.reason, current.stamp.at, current.stamp.by, _drain_until(admin, body))
        return _told(_changed(current, key, "flag.kill", lambda flag: with_kill(flag, order)), current)

    call = call_of(request, document, f"kill/{request.request_id}"[:64])
    answer = admin.record.change(flag_key(key), plan, call)
    telemetry.log("killed", {"FlagKilled": 1}, function=admin.function, flag=key, revision=answer.body["revision"],
                  request_id=request.request_id)  # fmt: skip
    return answered(replace(answer, body={**answer.body, **_inside(admin, answer.body)}))


def _told(change: Change, current: Current) -> Change:
    """Return the kill with what its answer says of the flag."""
    flag = flag_document(read_flag(change.flag or "", change.after))
    body = {name: flag[name] for name in ("key", "stage", "percent", "killed")}
    body |= {"version": change.version, "revision": flag["revision"] or current.stamp.revision}
    return replace(change, answer=replace(change.answer, body=body))


def _check_reach(admin: Admin, key: str, body: KillBody) -> None:
    if (body.reach is Reach.DRAIN) != (body.drain_until is not None):
        refuse("drain_until", "must be set with reach drain, and only with it")
    if body.reach is not Reach.GATE and key != _access(admin):
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


def _access(admin: Admin) -> Any:
    """Return the access flag, by one read: a kill must not wait until a cold environment has loaded the rules."""
    item = admin.table.get((PROFILE_KEY,)).get(PROFILE_KEY)
    profile = None if item is None else read_stored(item).document
    return profile.get("access") if isinstance(profile, dict) else None


def _inside(admin: Admin, flag: Any) -> dict[str, Any]:
    """Return how many sessions are live and when the last must end, or nulls if that is not known in time."""
    unknown: dict[str, Any] = {"sessions_inside": None, "last_leaves_at": None}
    began = admin.clock()
    try:
        if flag["key"] != _access(admin):
            return unknown
        cut = cut_off(flag["killed"]["reach"], flag["killed"].get("drain_until"))
        counted = admin.sessions.inside(cut, COUNT_SECONDS - (admin.clock() - began))
    except (Unavailable, Throttled):
        return unknown
    if counted is None:
        return unknown
    count, last = counted
    return {"sessions_inside": count, "last_leaves_at": None if last is None else rfc3339(last)}
