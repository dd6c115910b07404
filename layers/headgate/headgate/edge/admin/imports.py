"""Imports: ids in any number, staged in batches, then committed by one change with one audit entry.

    open -> members, 1,000 ids at a time, each batch at its offset -> commit with count and digest, or abandon

Every call may be repeated: an offset or state that already exists gets the same answer. The digest d of the staged ids
starts as 64 zeros and becomes sha256(d + "\\n" + id) in hex with each id, so that the commit proves what was sent.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from headgate.core import limits
from headgate.core.changes.flag import check_no_emails
from headgate.core.changes.list_import import Import, ImportState, check_imports, switch_on
from headgate.core.changes.placement import inline
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import refuse
from headgate.core.model import Json
from headgate.edge.admin.audit import entries
from headgate.edge.admin.bodies import Body, ChangeBody, MemberId, ReasonBody, ReasonText, read_body
from headgate.edge.admin.call import Admin, answered, call_of, idempotency_key, key_in, read_document, readable, shown
from headgate.edge.admin.flags import update
from headgate.edge.http import Request, Response
from headgate.store import imports
from headgate.store.imports import StagedId
from headgate.store.items import flag_key, stored_at
from headgate.store.members import events_of, histories
from headgate.store.record import Answer, Call, Change, Current

IMPORT_ID = r"^[A-Za-z0-9._-]{1,64}$"
ImportId = Annotated[str, Field(pattern=IMPORT_ID)]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ImportBody(Body):
    """An import to open. `kind` and `mode` apply to all of its ids; the caller chooses `id` to find it again."""

    id: ImportId
    kind: Literal["user", "org"]
    mode: Literal["add", "remove"]
    reason: ReasonText


class ImportMembersBody(Body):
    """Ids to stage from offset `at`, at most 1,000 per call."""

    at: Annotated[int, Field(ge=0)]
    ids: Annotated[list[MemberId], Field(min_length=1)]
    reason: ReasonText | None = None


class CommitBody(ChangeBody):
    """The number of ids that were sent, and their digest."""

    count: Annotated[int, Field(ge=0)]
    digest: Hex


class Committed(Exception):
    """The import is already committed: give the same answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def _call(admin: Admin, request: Request) -> tuple[Json, Call, Response | None]:
    """Return the body, the call, and the stored answer if the call was already made."""
    document = read_document(request)
    call = call_of(request, document, idempotency_key(request))
    replayed = admin.record.replay(call)
    return document, call, None if replayed is None else answered(replayed)


def _find(admin: Admin, request: Request) -> Import:
    """Return the path's import. Raises `Refusal`."""
    key, name = key_in(request), request.path.get("import", "")
    found = admin.imports.find(key, name) if re.fullmatch(IMPORT_ID, name, re.ASCII) else None
    if found is None:
        raise Refusal(Slug.UNKNOWN_IMPORT)
    return found


def open_import(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/imports: open an import, or return the one with this id."""
    key = key_in(request)
    document, call, answer = _call(admin, request)
    if answer is not None:
        return answer
    body = read_body(ImportBody, document)
    check_imports(readable(stored_at(admin.table, flag_key(key)), key))
    wanted = Import(body.id, body.kind, body.mode, 0, int(admin.clock()), reason=body.reason)
    return answered(admin.imports.open(key, wanted, call))


def show_import(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/flags/{key}/imports/{import}: get an import's progress."""
    return shown(_find(admin, request).document)


def stage_members(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/imports/{import}/members: stage ids, which take effect on commit."""
    key = key_in(request)
    document, call, answer = _call(admin, request)
    if answer is not None:
        return answer
    body = read_body(ImportMembersBody, document)
    if len(body.ids) > limits.MAX_MEMBERS_A_CALL:
        raise Refusal(Slug.TOO_LARGE, f"send at most {limits.MAX_MEMBERS_A_CALL} ids per call")
    if len(set(body.ids)) != len(body.ids):
        refuse("ids", "must not repeat an id")
    found = _find(admin, request)
    if found.kind == "user" and found.mode == "add" and not admin.email_ids:
        check_no_emails(body.ids)
    ids = [StagedId((found.kind, name), found.mode == "add", name) for name in body.ids]
    return answered(admin.imports.stage(key, found.id, body.at, ids, call))


def commit_import(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/flags/{key}/imports/{import}/commit: commit an import: all staged ids take effect at once."""
    document = read_document(request)

    def plan(current: Current) -> Change:
        return _commit(admin, request, document, current)

    try:
        return admin.commit(flag_key(key_in(request)), plan, request, document)
    except Committed as before:
        call = call_of(request, document, idempotency_key(request))
        return answered(admin.record.remember(call, before.answer))


def _commit(admin: Admin, request: Request, document: Json, current: Current) -> Change:
    body = read_body(CommitBody, document)
    key, found = key_in(request), _find(admin, request)
    if found.state is ImportState.ABANDONED:
        raise Refusal(Slug.IMPORT_CLOSED, "the import was abandoned; open a new one")
    if (body.count, body.digest) != (found.staged, found.digest):
        raise Refusal(Slug.IMPORT_DIFFERS, f"count and digest do not match the {found.staged} staged ids",
                      members={"staged": found.staged})  # fmt: skip
    if found.revision is not None:
        raise Committed(_committed(admin, found, found.revision))
    flag = readable(current.stored, key)
    check_imports(flag)
    held = events_of(histories(admin.table, key, inline(flag.allow)))
    switched = switch_on(flag, found, held, current.stamp.revision)
    return update(current, flag, switched.flag, "flag.import", allow_shrink=body.allow_shrink,
                  counts=_counts(switched.done), also=(imports.import_update(key, found, switched.done),))  # fmt: skip


def _counts(done: Import) -> dict[str, int]:
    return {"added": done.tally.added, "removed": done.tally.removed}


def _committed(admin: Admin, done: Import, revision: int) -> Answer:
    """Rebuild the answer to a commit from the audit entry that it wrote."""
    entry = next(entries(admin, revision - 1, revision + 1))
    return Answer(200, {**entry["after"], **_counts(done)}, entry["after"]["version"])


def abandon_import(admin: Admin, request: Request) -> Response:
    """DELETE /admin/v1/flags/{key}/imports/{import}: abandon an import: its staged ids never take effect."""
    document, call, answer = _call(admin, request)
    if answer is not None:
        return answer
    read_body(ReasonBody, document)
    return answered(admin.imports.abandon(key_in(request), _find(admin, request).id, call))
