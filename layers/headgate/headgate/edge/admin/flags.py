"""Flags: read, create, replace, delete, and stage. Each change is planned against what is stored at that moment."""

from dataclasses import replace
from typing import Any

from headgate.core import limits
from headgate.core.changes.flag import (
    check_claims,
    check_kill_stays,
    check_no_emails,
    check_parents,
    check_size,
    kept,
    stamped,
    with_stage,
    without_flag,
)
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.changes.shrink import flag_losses, losses
from headgate.core.documents import refuse
from headgate.core.flag import flag_document, parse_flag, salt_for
from headgate.core.model import Flag, Json
from headgate.core.profile import check_told
from headgate.core.ruleset import ruleset
from headgate.core.snapshot import EMPTY, Snapshot
from headgate.edge.admin.bodies import ChangeBody, StageBody, read_body, steps_of
from headgate.edge.admin.call import Admin, check_confirmed, check_version, key_in, read_document, readable, shown
from headgate.edge.admin.paging import list_page
from headgate.edge.http import Request, Response
from headgate.store.items import Stored, flag_in, flag_key
from headgate.store.port import Put
from headgate.store.record import Answer, Change, Current


def list_flags(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags: list all flags, sorted by key, one page at a time."""
    rules = admin.current().snapshot.rules
    flags, following = list_page(sorted(rules.flags), request, "flags", lambda key: flag_document(rules.flags[key]))
    return shown({"flags": flags, "revision": rules.revision, "next": following})


def show_flag(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags/{key}: get a flag."""
    flag = existing(admin, request)
    return shown(flag_document(flag), version=flag.version)


def existing(admin: Admin, request: Request) -> Flag:
    """Return the path's flag as it is now. Raises `Refusal`."""
    flag = admin.current().snapshot.rules.flags.get(key_in(request))
    if flag is None:
        raise Refusal(Slug.UNKNOWN_FLAG)
    return flag


def put_flag(admin: Admin, request: Request) -> Response:
    """PUT /admin/v1/flags/{key}: create a flag with `If-None-Match: *`, or replace it with `If-Match`."""
    key, document = key_in(request), read_document(request)

    def plan(current: Current) -> Change:
        body, flag = _read_put(document, key, admin, current.stored)
        creates = request.headers.get("if-none-match")
        if creates is not None and (creates.strip() != "*" or "if-match" in request.headers):
            refuse("If-None-Match", "must be *, and not combined with If-Match")
        rules = current.snapshot or Snapshot(ruleset({key: flag}))
        flags = {**rules.rules.given, key: flag}
        check_parents(rules.rules.given, {key: flag}, flags)
        _check_exists(current, key, creates=creates is not None)
        check_claims(rules.profile, flags, {key: ""})
        check_told(rules.profile, flags, rules.routes)
        if creates is not None:
            return _created(admin, current, flag)
        before = current_flag(request, current, key)
        return update(current, before, flag, "flag.replace", allow_shrink=body.allow_shrink)

    names_others = isinstance(document, dict) and bool(document.get("requires") or document.get("claim"))
    return admin.commit(flag_key(key), plan, request, document, rules=names_others)


def _check_exists(current: Current, key: str, *, creates: bool) -> None:
    """Refuse to create what is or was there, and to replace what is not. Raises `Refusal`."""
    if not creates and flag_in(current.stored, key) is None:
        raise Refusal(Slug.UNKNOWN_FLAG)
    if creates and current.stored is not None:
        raise Refusal(Slug.RETIRED, "choose another key") if current.stored.retired else Refusal(Slug.EXISTS)


def _read_put(document: Json, key: str, admin: Admin, stored: Stored | None) -> tuple[ChangeBody, Flag]:
    members = dict(document) if isinstance(document, dict) else refuse("$", "must be an object")
    named = {name: members.pop(name) for name in ("reason", "allow_shrink") if name in members}
    body = read_body(ChangeBody, named)
    if members.setdefault("key", key) != key:
        refuse("key", "must equal the key in the path")
    held = flag_in(stored, key)
    flag = parse_flag(members, salt=salt_for(members, held, admin.new_salt))
    if not admin.email_ids:
        check_no_emails(flag.allow.users - (held.allow.users if held else frozenset()))
    return body, flag


def _created(admin: Admin, current: Current, flag: Flag) -> Change:
    if len(admin.snapshots.soft().snapshot.rules.given) >= limits.MAX_FLAGS:
        raise Refusal(Slug.TOO_LARGE, f"there can be at most {limits.MAX_FLAGS} flags; delete one first")
    return changed("flag.create", None, stamped(flag, 1, current.stamp), status=201)


def current_flag(request: Request, current: Current, key: str) -> Flag:
    """Return the stored flag if the request's If-Match names its version. Raises `Refusal`."""
    flag = flag_in(current.stored, key)
    if flag is None:
        raise Refusal(Slug.UNKNOWN_FLAG)
    check_version(request, current.version)
    return flag


def update(
    current: Current,
    before: Flag,
    after: Flag,
    action: str,
    *,
    allow_shrink: bool,
    counts: dict[str, int] | None = None,
    also: tuple[Put, ...] = (),
) -> Change:
    """Return the change to an existing flag. `counts` are added to the answer, `also` to the transaction's writes."""
    check_confirmed(flag_losses(before, after, current.snapshot), allow_shrink=allow_shrink)
    after = stamped(kept(before, after), current.version + 1, current.stamp)
    return replace(changed(action, current.document, after, counts=counts), also=also)


def changed(
    action: str, before: Json, after: Flag, *, status: int = 200, counts: dict[str, int] | None = None
) -> Change:
    """Return the change to a flag. Raises `Refusal` if the flag is too large for its record."""
    check_size(after)
    document: dict[str, Any] = flag_document(after)
    answer = Answer(status, {**document, **(counts or {})}, after.version)
    return Change(action, after.version, before, document, answer, after.key)


def delete_flag(admin: Admin, request: Request) -> Response:
    """DELETE /admin/v1/flags/{key}: delete a flag and retire its key permanently."""
    key, document = key_in(request), read_document(request)

    def plan(current: Current) -> Change:
        body = read_body(ChangeBody, document)
        current_flag(request, current, key)
        rules = current.snapshot or EMPTY
        gone = without_flag(rules, key)
        check_confirmed(losses(rules, gone), allow_shrink=body.allow_shrink)
        check_kill_stays(rules, gone)
        return Change("flag.delete", current.version + 1, current.document, None, Answer(204), key)

    return admin.commit(flag_key(key), plan, request, document, rules=True)


def set_stage(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/stage: set a flag's stage, and its `percent` and `unit` if given."""
    key, document = key_in(request), read_document(request)

    def plan(current: Current) -> Change:
        body = read_body(StageBody, document)
        steps = steps_of(body.stage, body.percent)
        before = readable(current.stored, key)
        check_version(request, current.version)
        after = with_stage(before, body.stage, steps, body.unit)
        return update(current, before, after, "flag.stage", allow_shrink=body.allow_shrink)

    return admin.commit(flag_key(key), plan, request, document)
