"""The list of a flag: who comes, who goes, who is on it. Where an id lies (core/changes/placement) no answer tells.

A change of few member items is one transaction like any other. One of more is staged as a batch of its own within the
call, then switched on by one change with one entry: the call's If-Match holds both to the same version of the flag.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

from headgate.core import limits
from headgate.core.audit import GENESIS
from headgate.core.changes.flag import check_no_emails
from headgate.core.changes.list_import import Import, effect, switch_on
from headgate.core.changes.placement import Placed, inline, is_inline, place, with_moved
from headgate.core.members import KINDS, Member, Standpoint, chained, staged
from headgate.core.model import Flag, Json
from headgate.core.reading import refuse
from headgate.edge.admin.bodies import AllowBody, Members, read_body
from headgate.edge.admin.call import (
    Admin,
    Refused,
    answered,
    call_of,
    checked,
    idempotency_key,
    limit_of,
    read_document,
    shown,
    version_of,
)  # fmt: skip
from headgate.edge.admin.flags import existing, key_in, readable, replaced
from headgate.edge.admin.paging import read_cursor, write_cursor
from headgate.edge.http import Request, Response
from headgate.store import imports
from headgate.store.imports import CALL, Step
from headgate.store.items import flag_key
from headgate.store.members import NONE, SHARDS, Held, histories, on_long, walk
from headgate.store.port import Put
from headgate.store.record import Change, Current, Refusal, Slug

INLINE = "."
"""Begins the place of an id that stands inline, in a cursor; a partition's digit that of another."""
LOOKED_AT = 5_000
"""Member items that one page looks through before it answers with what it has: those who went lie there too."""


class ByBatch(Exception):
    """The change touches more member items than one transaction takes."""

    def __init__(self, placed: Placed) -> None:
        super().__init__()
        self.placed = placed


def list_members(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags/{key}/allow: the ids on its list, each once, page by page."""
    flag = existing(admin, request)
    kind = request.query.get("kind", "user")
    if kind not in KINDS:
        refuse("kind", "must be user or org")
    limit, after = limit_of(request), ""
    if "cursor" in request.query:
        (after,) = read_cursor(request.query["cursor"], f"{flag.key}.{kind}", str)
        if after[:1] not in (INLINE, *SHARDS) or not after:
            raise Refused("invalid-cursor")
    page: list[str] = []
    place_of, more = "", False
    for number, (where, name) in enumerate(_everybody(admin, flag, kind, after, at_once=max(100, limit + 1))):
        more = len(page) == limit or number == LOOKED_AT
        if more:
            break
        place_of = where
        page.extend(() if name is None else (name,))
    following = write_cursor(f"{flag.key}.{kind}", place_of) if more else None
    return shown({"kind": kind, "members": page, "counts": counts(admin, flag), "next": following},
                 version=flag.version)  # fmt: skip


def _everybody(admin: Admin, flag: Flag, kind: str, after: str, at_once: int) -> Iterator[tuple[str, str | None]]:
    """Places and ids, in order, from the one after a place; no id where somebody is not on the list, or inline too."""
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
    """How many users and orgs are listed, each counted once wherever it stands."""
    found = {"users": len(flag.allow.users), "orgs": len(flag.allow.orgs)}
    if flag.members is None:
        return found
    for kind, _name in on_long(flag, histories(admin.table, flag.key, inline(flag.allow))):
        found[f"{kind}s"] -= 1
    return {"users": found["users"] + flag.members.users, "orgs": found["orgs"] + flag.members.orgs}


def set_members(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/allow: users and orgs come and go."""
    key = key_in(request)
    try:
        return admin.change(flag_key(key), lambda document, current: _plan(admin, request, document, current), request)
    except ByBatch as more:
        return _by_batch(admin, request, key, more.placed)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for, worked out on the flag as it is stored; `held` are member items that were read."""

    body: AllowBody
    placed: Placed
    held: dict[Member, Held]


def _asked(admin: Admin, request: Request, document: Json, current: Current) -> Asked | Refusal:
    body = read_body(AllowBody, document)
    check_members(admin, body.add, body.remove)
    flag = readable(current.stored, key_in(request))
    if flag is None or current.stored is None:
        return Refusal(Slug.UNKNOWN_FLAG, "")
    if version_of(request) != current.stored.version:
        return Refusal(Slug.PRECONDITION_FAILED, "read it again", version=current.stored.version)
    add, remove = members_of(body.add), members_of(body.remove)
    held = histories(admin.table, flag.key, [*add, *remove]) if flag.members is not None else {}
    placed = place(flag, add=add, remove=remove, long=on_long(flag, held), most=admin.inline)
    return Asked(body, placed, held)


def _plan(admin: Admin, request: Request, document: Json, current: Current) -> Change | Refusal:
    asked = _asked(admin, request, document, current)
    if isinstance(asked, Refusal):
        return asked
    placed = asked.placed
    after = with_moved(placed.flag, placed.moved, current.stamp.revision)
    change = _changed(request, current, after, asked)
    if not placed.moved or isinstance(change, Refusal):
        return change
    if len(placed.moved) > limits.MAX_SMALL:
        check_imports(placed.flag)
        raise ByBatch(placed)
    return replace(change, also=tuple(_writes(admin, asked, current)))


def _changed(request: Request, current: Current, after: Flag, asked: Asked) -> Change | Refusal:
    told = {"added": asked.placed.added, "removed": asked.placed.removed}
    return replaced(current, after, request, "flag.allow", allow_shrink=asked.body.allow_shrink, told=told)


def _writes(admin: Admin, asked: Asked, current: Current) -> Iterator[Put]:
    """The member items of a small change, and the open import where what it would do has changed by it.

    The import is read after the items: whatever was staged in them belongs to it, or to one that was abandoned.
    """
    flag, moved = asked.placed.flag, asked.placed.moved
    held = asked.held or histories(admin.table, flag.key, list(moved))
    newest = imports.current(admin.table, flag.key)
    ordinal = newest.ordinal if newest is not None and newest.is_open else None
    stand, tally = Standpoint.of(flag), newest.tally if newest is not None else None
    for member, comes in moved.items():
        was = held.get(member, NONE)
        events = stand.kept(was.events, ordinal)
        yield was.put(flag.key, member, (*events, (current.stamp.revision, comes)))
        waits = staged(events, ordinal)
        if tally is not None and waits is not None:
            before = effect(member, comes=waits, is_long=not comes, is_in=not comes)
            tally = tally.plus(before, -1).plus(effect(member, comes=waits, is_long=comes, is_in=comes))
    if newest is not None and tally is not None and tally != newest.tally:
        yield imports.moved(flag.key, newest, replace(newest, tally=tally))


def _by_batch(admin: Admin, request: Request, key: str, placed: Placed) -> Response:
    """Stage, then switch on. Repeated, it goes on where it stopped; refused, or done before, it leaves nothing open."""
    document = read_document(request)
    call = call_of(request, document, idempotency_key(request))
    name = CALL + sha256(f"{call.caller}\0{call.key}\0{call.fingerprint}".encode()).hexdigest()[:32]
    batch = admin.imports.begin(key, Import(name, "", "", 0, int(admin.clock())))
    if isinstance(batch, Refusal):
        return answered(batch)

    def plan(document: Json, current: Current) -> Change | Refusal:
        asked = _asked(admin, request, document, current)
        return asked if isinstance(asked, Refusal) else _switched(admin, request, current, asked, name)

    done = admin.record.replay(call)  # a repetition of this call may have been faster
    outcome = done or admin.imports.stage(key, name, 0, _steps(placed), None)
    if done is None and not isinstance(outcome, Refusal):
        outcome = admin.record.change(flag_key(key), checked(plan, document), call)
    if done is not None or isinstance(outcome, Refusal):
        admin.imports.abandon(key, name, None)
        outcome = admin.record.replay(call) or outcome
    return answered(outcome)


def _switched(admin: Admin, request: Request, current: Current, asked: Asked, name: str) -> Change | Refusal:
    batch = imports.current(admin.table, asked.placed.flag.key)
    digest = chained(GENESIS, (step.line for step in _steps(asked.placed)))
    if batch is None or batch.id != name or not batch.is_open or batch.digest != digest:
        return Refusal(Slug.BUSY, "other changes came between; nothing was changed, try again")
    switched = switch_on(asked.placed.flag, batch, {}, current.stamp.revision)
    change = _changed(request, current, switched.flag, asked)
    if isinstance(change, Refusal):
        return change
    return replace(change, also=(imports.moved(asked.placed.flag.key, batch, switched.done),))


def _steps(placed: Placed) -> list[Step]:
    return [
        Step((kind, name), comes, f"{'+' if comes else '-'}{kind}#{name}")
        for (kind, name), comes in placed.moved.items()
    ]


def check_imports(flag: Flag) -> None:
    """Refuse one import more than a flag may have had. Raises `Refused`."""
    if flag.members is not None and len(flag.members.imports) >= limits.MAX_IMPORTS:
        raise Refused("imports-spent", f"at most {limits.MAX_IMPORTS}; changes of up to {limits.MAX_SMALL} ids go on")


def check_members(admin: Admin, add: Members, remove: Members) -> None:
    """Refuse too many ids, an id named twice, and e-mail addresses. Raises `Refused` or `Invalid`."""
    if len(members_of(add)) + len(members_of(remove)) > limits.MAX_MEMBERS_A_CALL:
        raise Refused("too-large", f"at most {limits.MAX_MEMBERS_A_CALL} ids a call")
    for kind in ("users", "orgs"):
        named = [*getattr(add, kind), *getattr(remove, kind)]
        if len(set(named)) != len(named):
            refuse(kind, "must not name an id twice")
    if not admin.email_ids:
        check_no_emails(add.users)


def members_of(members: Members) -> list[Member]:
    """Users, then orgs, as changes take them."""
    return [("user", name) for name in members.users] + [("org", name) for name in members.orgs]
