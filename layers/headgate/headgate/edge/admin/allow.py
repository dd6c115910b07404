"""A flag's allowlist: list its ids, add and remove them. No answer shows where an id is stored.

A change of a few member items is one transaction. A larger change is staged as a batch within the call, then takes
effect in one change with one audit entry. The call's If-Match ties both to the same version of the flag.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256

from headgate.core import limits
from headgate.core.allow import is_member_id
from headgate.core.audit import GENESIS
from headgate.core.changes.list_import import Import, check_imports, effect_on_list, switch_on
from headgate.core.changes.placement import Placed, inline, is_inline, place, with_moved
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import Invalid, refuse
from headgate.core.members import KINDS, Member, Standpoint, chained, staged
from headgate.core.model import Flag, Json
from headgate.edge.admin.bodies import AllowBody, check_members, read_body
from headgate.edge.admin.call import (
    Admin,
    answered,
    call_of,
    check_version,
    idempotency_key,
    key_in,
    limit_of,
    read_document,
    readable,
    shown,
)
from headgate.edge.admin.flags import existing, update
from headgate.edge.admin.paging import read_cursor, write_cursor
from headgate.edge.http import Request, Response
from headgate.store import imports
from headgate.store.imports import CALL, StagedId
from headgate.store.items import SHARDS, flag_key
from headgate.store.members import NO_ITEM, MemberItem, histories, on_long, walk
from headgate.store.port import Put
from headgate.store.record import Change, Current

INLINE = "."
"""The first character of an inline id's position in a cursor. Other positions start with their partition's digit."""
ITEMS_READ = 5_000
"""Member items that one page reads at most. It may then be short, since items of removed ids are read too."""


class ByBatch(Exception):
    """The change touches more member items than one transaction can hold."""

    def __init__(self, placed: Placed) -> None:
        super().__init__()
        self.placed = placed


def list_members(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags/{key}/allow: list the ids on a flag's allowlist, one page at a time, or look up one id."""
    flag = existing(admin, request)
    kind = request.query.get("kind", "user")
    if kind not in KINDS:
        refuse("kind", "must be user or org")
    if "id" in request.query:
        return _look_up(admin, flag, (kind, request.query["id"]))
    limit, after = limit_of(request), ""
    if "cursor" in request.query:
        (after,) = read_cursor(request.query["cursor"], f"{flag.key}.{kind}", str)
        if after[:1] not in (INLINE, *SHARDS) or not after:
            raise Refusal(Slug.INVALID_CURSOR)
    page: list[str] = []
    place_of, more = "", False
    for number, (where, name) in enumerate(_everybody(admin, flag, kind, after, at_once=max(100, limit + 1))):
        more = len(page) == limit or number == ITEMS_READ
        if more:
            break
        place_of = where
        page.extend(() if name is None else (name,))
    following = write_cursor(f"{flag.key}.{kind}", place_of) if more else None
    return shown({"kind": kind, "members": page, "counts": counts(admin, flag), "next": following},
                 version=flag.version)  # fmt: skip


def _look_up(admin: Admin, flag: Flag, member: Member) -> Response:
    """Answer with the one id if it is listed. It costs one read, however long the list is."""
    if not is_member_id(member[1]):
        refuse("id", "must be an id of 1 to 256 bytes, without whitespace or control characters")
    is_on = is_inline(flag.allow, member) or bool(
        flag.members is not None and on_long(flag, histories(admin.table, flag.key, [member]))
    )
    members = [member[1]] if is_on else []
    return shown({"kind": member[0], "members": members, "counts": counts(admin, flag), "next": None},
                 version=flag.version)  # fmt: skip


def _everybody(admin: Admin, flag: Flag, kind: str, after: str, at_once: int) -> Iterator[tuple[str, str | None]]:
    """Yield positions and ids, in order, after a position. The id is None if the item is off the list or inline."""
    if not after or after.startswith(INLINE):
        for name in sorted(name for of, name in inline(flag.allow) if of == kind and INLINE + name > after):
            yield INLINE + name, name
        after = ""
    if flag.members is None:
        return
    stand = Standpoint.of(flag)
    for shard, name, held in walk(admin.table, flag.key, kind, shard=after[:1], after=after[1:], at_once=at_once):
        is_on = stand.holds(held.events) and not is_inline(flag.allow, (kind, name))
        yield shard + name, name if is_on else None


def counts(admin: Admin, flag: Flag) -> dict[str, int]:
    """Count the listed users and orgs, each once, wherever they are stored."""
    found = {"users": len(flag.allow.users), "orgs": len(flag.allow.orgs)}
    if flag.members is None:
        return found
    for kind, _name in on_long(flag, histories(admin.table, flag.key, inline(flag.allow))):
        found[f"{kind}s"] -= 1
    return {"users": found["users"] + flag.members.users, "orgs": found["orgs"] + flag.members.orgs}


def set_members(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/allow: add and remove users and orgs."""
    document = read_document(request)

    def plan(current: Current) -> Change:
        return _plan(admin, request, document, current)

    try:
        return admin.commit(flag_key(key_in(request)), plan, request, document)
    except ByBatch as more:
        return _by_batch(admin, request, document, more.placed)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call's effect on the stored flag. `before` is that flag; `held` are the member items as read."""

    body: AllowBody
    before: Flag
    placed: Placed
    held: dict[Member, MemberItem]


def _asked(admin: Admin, request: Request, document: Json, current: Current) -> Asked:
    body = read_body(AllowBody, document)
    check_members(body.add, body.remove, email_ids=admin.email_ids)
    flag = readable(current.stored, key_in(request))
    check_version(request, current.version)
    add, remove = body.add.members, body.remove.members
    held = histories(admin.table, flag.key, [*add, *remove]) if flag.members is not None else {}
    placed = place(flag, add=add, remove=remove, long=on_long(flag, held), most=admin.inline)
    return Asked(body, flag, placed, held)


def _plan(admin: Admin, request: Request, document: Json, current: Current) -> Change:
    asked = _asked(admin, request, document, current)
    placed = asked.placed
    change = _changed(current, with_moved(placed.flag, placed.moved, current.stamp.revision), asked)
    if not placed.moved:
        return change
    if len(placed.moved) > limits.MAX_SMALL:
        check_imports(placed.flag)
        raise ByBatch(placed)
    return replace(change, also=tuple(_writes(admin, asked, current)))


def _changed(current: Current, after: Flag, asked: Asked) -> Change:
    counts = {"added": asked.placed.added, "removed": asked.placed.removed}
    return update(current, asked.before, after, "flag.allow", allow_shrink=asked.body.allow_shrink, counts=counts)


def _writes(admin: Admin, asked: Asked, current: Current) -> Iterator[Put]:
    """The member items of a small change, and the open import if the change alters its tally.

    The import is read after the items, so what is staged in them belongs to this import or to an abandoned one.
    """
    flag, moved = asked.placed.flag, asked.placed.moved
    held = asked.held or histories(admin.table, flag.key, list(moved))
    newest = imports.current(admin.table, flag.key)
    ordinal = newest.ordinal if newest is not None and newest.is_open else None
    stand, tally = Standpoint.of(flag), newest.tally if newest is not None else None
    for member, comes in moved.items():
        was = held.get(member, NO_ITEM)
        events = stand.kept(was.events, ordinal)
        yield was.put(flag.key, member, (*events, (current.stamp.revision, comes)))
        waits = staged(events, ordinal)
        if tally is not None and waits is not None:
            before = effect_on_list(member, comes=waits, is_long=not comes, is_in=not comes)
            tally = tally.plus(before, -1).plus(effect_on_list(member, comes=waits, is_long=comes, is_in=comes))
    if newest is not None and tally is not None and tally != newest.tally:
        yield imports.import_update(flag.key, newest, replace(newest, tally=tally))


def _by_batch(admin: Admin, request: Request, document: Json, placed: Placed) -> Response:
    """Stage, then commit. A repeated call resumes. A refused or replayed call leaves no import open."""
    key = key_in(request)
    call = call_of(request, document, idempotency_key(request))
    name = CALL + sha256(f"{call.caller}\0{call.key}\0{call.fingerprint}".encode()).hexdigest()[:32]
    admin.imports.begin(key, Import(name, "", "", 0, int(admin.clock())))

    def plan(current: Current) -> Change:
        return _switched(admin, current, _asked(admin, request, document, current), name)

    try:
        done = admin.record.replay(call)  # another attempt at this call may have committed first
        if done is None:
            admin.imports.stage(key, name, 0, _staged_ids(placed), None)
            return answered(admin.record.change(flag_key(key), plan, call))
    except (Refusal, Invalid):
        _close(admin, key, name)
        done = admin.record.replay(call)
        if done is None:
            raise
        return answered(done)
    _close(admin, key, name)
    return answered(done)


def _close(admin: Admin, key: str, name: str) -> None:
    with suppress(Refusal):  # another attempt committed it, or another import replaced it
        admin.imports.abandon(key, name, None)


def _switched(admin: Admin, current: Current, asked: Asked, name: str) -> Change:
    batch = imports.current(admin.table, asked.placed.flag.key)
    digest = chained(GENESIS, (one.line for one in _staged_ids(asked.placed)))
    if batch is None or batch.id != name or not batch.is_open or batch.digest != digest:
        raise Refusal(Slug.BUSY, "another change was made at the same time; nothing was changed, try again")
    switched = switch_on(asked.placed.flag, batch, {}, current.stamp.revision)
    change = _changed(current, switched.flag, asked)
    return replace(change, also=(imports.import_update(asked.placed.flag.key, batch, switched.done),))


def _staged_ids(placed: Placed) -> list[StagedId]:
    return [
        StagedId((kind, name), comes, f"{'+' if comes else '-'}{kind}#{name}")
        for (kind, name), comes in placed.moved.items()
    ]
