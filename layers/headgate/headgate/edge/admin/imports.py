"""Imports: allowlists of any size, staged batch by batch and switched on by one change with one audit entry.

    open -> members, 1,000 ids at a time, each batch at its offset -> commit with count and digest, or abandon

Each call may be repeated: an offset or a state that is there already is answered again. The digest d of what is staged
begins at 64 zeros and becomes sha256(d + "\\n" + id) in hex with each id, so that commit proves what was sent.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from headgate.core import limits
from headgate.core.changes.flag import check_no_emails
from headgate.core.changes.list_import import Import, State, switch_on
from headgate.core.changes.placement import inline
from headgate.core.model import Json
from headgate.core.reading import refuse
from headgate.edge.admin.allow import check_imports
from headgate.edge.admin.audit import entries
from headgate.edge.admin.bodies import Body, Change, Member, Reason, read_body
from headgate.edge.admin.call import (
    Admin,
    Refused,
    answered,
    call_of,
    idempotency_key,
    read_document,
    shown,
)  # fmt: skip
from headgate.edge.admin.flags import key_in, readable, update
from headgate.edge.http import Request, Response
from headgate.store import imports
from headgate.store.imports import Step
from headgate.store.items import flag_key, stored_at
from headgate.store.members import events_of, histories
from headgate.store.record import Answer, Call, Current, Refusal, Slug
from headgate.store.record import Change as Changed

IMPORT_ID = r"^[A-Za-z0-9._-]{1,64}$"
ImportId = Annotated[str, Field(pattern=IMPORT_ID)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ImportBody(Body):
    """What to import: `kind` and `mode` hold for all of it; `id` is the caller's, to find it again."""

    id: ImportId
    kind: Literal["user", "org"]
    mode: Literal["add", "remove"]
    reason: Reason


class ImportMembersBody(Body):
    """The ids from offset `at` on, at most 1,000 a call."""

    at: Annotated[int, Field(ge=0)]
    ids: Annotated[list[Member], Field(min_length=1)]
    reason: Reason | None = None


class CommitBody(Change):
    """How many ids were sent in all, and their digest."""

    count: Annotated[int, Field(ge=0)]
    digest: Hex


class AbandonBody(Body):
    """Why it is given up."""

    reason: Reason


class Done(Exception):
    """It was committed before: the same answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _call(admin: Admin, request: Request) -> tuple[Json, Call, Response | None]:
    """The body, the call, and the stored answer to it if it was made before."""
    document = read_document(request)
    call = call_of(request, document, idempotency_key(request))
    replayed = admin.record.replay(call)
    return document, call, None if replayed is None else answered(replayed)


def _find(admin: Admin, request: Request) -> Import:
    """The import of the path. Raises `Refused`."""
    key, name = key_in(request), request.path.get("import", "")
    found = admin.imports.find(key, name) if re.fullmatch(IMPORT_ID, name, re.ASCII) else None
    if found is None:
        raise Refused("unknown-import")
    return found


def open_import(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/imports: open an import; one of this id that is there already is answered again."""
    key = key_in(request)
    document, call, answer = _call(admin, request)
    if answer is not None:
        return answer
    body = read_body(ImportBody, document)
    flag = readable(stored_at(admin.table, flag_key(key)), key)
    if flag is None:
        raise Refused("unknown-flag")
    check_imports(flag)
    wanted = Import(body.id, body.kind, body.mode, 0, int(admin.clock()), reason=body.reason)
    return answered(admin.imports.open(key, wanted, call))


def show_import(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags/{key}/imports/{import}: how far it is."""
    return shown(_find(admin, request).document)


def stage_members(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/imports/{import}/members: stage ids; they count for nothing until the commit."""
    key = key_in(request)
    document, call, answer = _call(admin, request)
    if answer is not None:
        return answer
    body = read_body(ImportMembersBody, document)
    if len(body.ids) > limits.MAX_MEMBERS_A_CALL:
        raise Refused("too-large", f"at most {limits.MAX_MEMBERS_A_CALL} ids a call")
    if len(set(body.ids)) != len(body.ids):
        refuse("ids", "must not name an id twice")
    found = _find(admin, request)
    if found.kind == "user" and found.mode == "add" and not admin.email_ids:
        check_no_emails(body.ids)
    steps = [Step((found.kind, name), found.mode == "add", name) for name in body.ids]
    return answered(admin.imports.stage(key, found.id, body.at, steps, call))


def commit_import(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/imports/{import}/commit: switch on what is staged, all at once."""
    key = key_in(request)

    def plan(document: Json, current: Current) -> Changed | Refusal:
        return _commit(admin, request, document, current)

    try:
        return admin.change(flag_key(key), plan, request)
    except Done as done:
        document = read_document(request)
        return answered(admin.record.remember(call_of(request, document, idempotency_key(request)), done.answer))


def _commit(admin: Admin, request: Request, document: Json, current: Current) -> Changed | Refusal:
    body = read_body(CommitBody, document)
    key, found = key_in(request), _find(admin, request)
    if found.state is State.ABANDONED:
        return Refusal(Slug.IMPORT_CLOSED, "it was abandoned")
    if (body.count, body.digest) != (found.staged, found.digest):
        return Refusal(Slug.IMPORT_DIFFERS, f"{found.staged} ids are staged, with another digest",
                       told={"staged": found.staged})  # fmt: skip
    if found.revision is not None:
        raise Done(_committed(admin, found, found.revision))
    flag = readable(current.stored, key)
    if flag is None:
        return Refusal(Slug.UNKNOWN_FLAG, "")
    check_imports(flag)
    held = events_of(histories(admin.table, key, inline(flag.allow)))
    switched = switch_on(flag, found, held, current.stamp.revision)
    return update(current, flag, switched.flag, "flag.import", allow_shrink=body.allow_shrink,
                  told=_counts(switched.done), also=(imports.moved(key, found, switched.done),))  # fmt: skip


def _counts(done: Import) -> dict[str, int]:
    return {"added": done.tally.added, "removed": done.tally.removed}


def _committed(admin: Admin, done: Import, revision: int) -> Answer:
    """The answer to a commit, made anew from the entry that it wrote."""
    entry = next(entries(admin, revision - 1, revision + 1))
    return Answer(200, {**entry["after"], **_counts(done)}, entry["after"]["version"])


def abandon_import(admin: Admin, request: Request) -> Response:
    """DELETE /admin/v1/flags/{key}/imports/{import}: what was staged never counts."""
    document, call, answer = _call(admin, request)
    if answer is not None:
        return answer
    read_body(AbandonBody, document)
    outcome = admin.imports.abandon(key_in(request), _find(admin, request).id, call)
    return answered(outcome if isinstance(outcome, Refusal) else Answer(204))
