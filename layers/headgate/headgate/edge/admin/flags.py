"""Flags: read, create, replace, delete, stage, allow. Each change is a plan on what is stored at that moment."""

from dataclasses import replace
from typing import Any

from headgate.core import limits
from headgate.core.changes.flag import check_no_emails, check_parents, kept, shrinks, stamped, with_stage
from headgate.core.flag import flag_document, parse_flag, read_percent, stored_bytes
from headgate.core.model import Flag, Json, Stage
from headgate.core.reading import Reader, is_key, refuse
from headgate.edge.admin.bodies import Change as ChangeBody
from headgate.edge.admin.bodies import StageBody, read_body
from headgate.edge.admin.call import Admin, Refused, shown, version_of
from headgate.edge.admin.paging import list_page
from headgate.edge.http import Request, Response
from headgate.store.items import Stored, flag_in, flag_key
from headgate.store.port import Put
from headgate.store.record import Answer, Change, Current, Refusal, Slug


def key_in(request: Request) -> str:
    """The flag key of the path. Raises `Refused`."""
    key = request.path.get("key", "")
    if not is_key(key):
        raise Refused("invalid-flag-key", "must match ^[a-z0-9][a-z0-9._-]{0,63}$")
    return key


def list_flags(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags: every flag, sorted by key, page by page."""
    rules = admin.current().snapshot.rules
    keys, following = list_page(sorted(rules.flags), request, "flags")
    flags = [flag_document(rules.flags[key]) for key in keys]
    return shown({"flags": flags, "revision": rules.revision, "next": following})


def show_flag(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags/{key}: the flag as it is."""
    flag = existing(admin, request)
    return shown(flag_document(flag), version=flag.version)


def existing(admin: Admin, request: Request) -> Flag:
    """The flag of the path as of now. Raises `Refused`."""
    flag = admin.current().snapshot.rules.flags.get(key_in(request))
    if flag is None:
        raise Refused("unknown-flag")
    return flag


def put_flag(admin: Admin, request: Request) -> Response:
    """PUT /admin/v1/flags/{key}: create it by `If-None-Match: *`, or replace it whole by `If-Match`."""
    key = key_in(request)

    def plan(document: Json, current: Current) -> Change | Refusal:
        body, flag = _read_put(document, key, admin, current.stored)
        creates = request.headers.get("if-none-match")
        if creates is not None and (creates.strip() != "*" or "if-match" in request.headers):
            refuse("If-None-Match", "takes * alone, and not beside If-Match")
        if flag.requires and current.snapshot is not None:
            held = current.snapshot.rules.given
            check_parents(held, {key: flag}, {**held, key: flag})
        if creates is not None:
            return _created(admin, current, flag)
        return replaced(current, flag, request, "flag.replace", allow_shrink=body.allow_shrink)

    return admin.change(flag_key(key), plan, request, with_rules=_names_parents)


def _names_parents(document: Json) -> bool:
    return isinstance(document, dict) and bool(document.get("requires"))


def _read_put(document: Json, key: str, admin: Admin, stored: Stored | None) -> tuple[ChangeBody, Flag]:
    members = dict(document) if isinstance(document, dict) else refuse("$", "must be an object")
    named = {name: members.pop(name) for name in ("reason", "allow_shrink") if name in members}
    body = read_body(ChangeBody, named)
    if members.setdefault("key", key) != key:
        refuse("key", "must be the key of the path")
    held = flag_in(stored, key)
    flag = parse_flag(members, salt=held.salt if held and held.salt else admin.new_salt())
    if not admin.email_ids:
        check_no_emails(flag.allow.users - (held.allow.users if held else frozenset()))
    return body, flag


def _created(admin: Admin, current: Current, flag: Flag) -> Change | Refusal:
    if current.stored is not None:
        retired = current.stored.retired
        return Refusal(Slug.RETIRED if retired else Slug.EXISTS, "choose another key" if retired else "")
    if len(admin.snapshots.soft().snapshot.rules.given) >= limits.MAX_FLAGS:
        return Refusal(Slug.TOO_LARGE, f"at most {limits.MAX_FLAGS} flags")
    return changed("flag.create", None, stamped(flag, 1, current.stamp), status=201)


def replaced(
    current: Current,
    after: Flag,
    request: Request,
    action: str,
    *,
    allow_shrink: bool,
    told: dict[str, Any] | None = None,
) -> Change | Refusal:
    """The checks that every update of an existing flag shares, then the change."""
    before = flag_in(current.stored, after.key)
    if before is None or current.stored is None:
        return Refusal(Slug.UNKNOWN_FLAG, "")
    if version_of(request) != current.stored.version:
        return Refusal(Slug.PRECONDITION_FAILED, "read it again", version=current.stored.version)
    return update(current, before, after, action, allow_shrink=allow_shrink, told=told)


def update(
    current: Current,
    before: Flag,
    after: Flag,
    action: str,
    *,
    allow_shrink: bool,
    told: dict[str, Any] | None = None,
    also: tuple[Put, ...] = (),
) -> Change | Refusal:
    """The change of a flag that is there, whatever its version; `also` are further writes of its transaction."""
    if shrinks(before, after) and not allow_shrink:
        return Refusal(Slug.WOULD_SHRINK, "say allow_shrink if this is meant")
    held = current.stored or Stored(0, None)
    change = changed(action, held.document, stamped(kept(before, after), held.version + 1, current.stamp), told=told)
    return change if isinstance(change, Refusal) else replace(change, also=also)


def changed(
    action: str, before: Json, after: Flag, *, status: int = 200, told: dict[str, Any] | None = None
) -> Change | Refusal:
    """The change to a flag, if the flag is of a size that can be stored."""
    document = flag_document(after)
    if stored_bytes(after) > limits.MAX_FLAG_BYTES:
        return Refusal(Slug.TOO_LARGE, f"a flag takes at most {limits.MAX_FLAG_BYTES} bytes")
    answer = Answer(status, {**document, **(told or {})}, after.version)
    return Change(action, after.version, before, document, answer, after.key)


def delete_flag(admin: Admin, request: Request) -> Response:
    """DELETE /admin/v1/flags/{key}: the key is retired, for good."""
    key = key_in(request)

    def plan(document: Json, current: Current) -> Change | Refusal:
        body = read_body(ChangeBody, document)
        before, stored = flag_in(current.stored, key), current.stored
        if before is None or stored is None:
            return Refusal(Slug.UNKNOWN_FLAG, "")
        if version_of(request) != stored.version:
            return Refusal(Slug.PRECONDITION_FAILED, "read it again", version=stored.version)
        if shrinks(before, None) and not body.allow_shrink:
            return Refusal(
                Slug.WOULD_SHRINK, "deleting it denies everyone but admins; say allow_shrink if this is meant"
            )
        return Change("flag.delete", stored.version + 1, stored.document, None, Answer(204), key)

    return admin.change(flag_key(key), plan, request)


def set_stage(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/stage: forward or back; `percent` and `unit` may come along."""
    key = key_in(request)

    def plan(document: Json, current: Current) -> Change | Refusal:
        body = read_body(StageBody, document)
        steps = steps_of(body.stage, body.percent)
        flag = readable(current.stored, key)
        if flag is None:
            return Refusal(Slug.UNKNOWN_FLAG, "")
        after = with_stage(flag, body.stage, steps, body.unit)
        return replaced(current, after, request, "flag.stage", allow_shrink=body.allow_shrink)

    return admin.change(flag_key(key), plan, request)


def steps_of(stage: Stage, percent: float | None) -> int | None:
    """The percent that comes with a stage, in steps; None where none does. Raises `Invalid`."""
    if percent is None:
        if stage is Stage.PERCENTAGE:
            refuse("percent", "is needed with stage percentage")
        return None
    read = Reader({"percent": percent})
    steps = read_percent(read)
    read.check()
    return steps


def readable(stored: Stored | None, key: str) -> Flag | None:
    """The stored flag. Raises `Invalid` when it is there but unusable: only replacing it whole can mend it."""
    flag = flag_in(stored, key)
    if flag is not None and flag.quarantined:
        refuse("$", "the stored flag cannot be read; replace it whole")
    return flag
