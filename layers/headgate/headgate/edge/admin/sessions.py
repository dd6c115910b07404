"""Sessions: list and end them."""

from typing import Any

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.deny import DenyKind
from headgate.core.documents import rfc3339
from headgate.core.session import Session
from headgate.edge.admin.bodies import ReasonBody, read_body
from headgate.edge.admin.call import Admin, limit_of, read_document, shown
from headgate.edge.admin.paging import AnswerLimit, read_cursor, write_cursor
from headgate.edge.http import Request, Response
from headgate.store.denials import session_end
from headgate.store.items import deny_key
from headgate.store.record import Change, Current
from headgate.store.sessions import is_record_id

COUNT_BUDGET = 3.0
"""Seconds that counting may take here: nobody waits for a list as for a kill."""
RECORDS_READ = 5_000
"""Records that one page reads before it answers with what it has: records of ended sessions are among them."""


def list_sessions(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/sessions: list live sessions, their count, and when the last one must end."""
    room, now = AnswerLimit(limit_of(request)), admin.clock()
    after = ""
    if "cursor" in request.query:
        (after,) = read_cursor(request.query["cursor"], "sessions", str)
        if not is_record_id(after):
            raise Refusal(Slug.INVALID_CURSOR)
    cut = admin.current().snapshot.sessions_end
    found: list[dict[str, Any]] = []
    following = None
    for number, (record, session) in enumerate(admin.sessions.every(after)):
        is_live = session.is_live(now) and (cut is None or now < cut)
        document = _session(record, session, cut)
        if number == RECORDS_READ or (is_live and not room.takes(document)):
            following = write_cursor("sessions", after)
            break
        after = record
        if is_live:
            found.append(document)
    count, last = admin.sessions.inside(cut, COUNT_BUDGET) or (None, None)
    counts = {"inside": count, "last_leaves_at": None if last is None else rfc3339(last)}
    return shown({"sessions": found, "counts": counts, "next": following})


def _session(record: str, session: Session, cut: float | None) -> dict[str, Any]:
    return {
        "id": record,
        "subject": session.subject,
        "session_id": session.session_id,
        "started_at": rfc3339(session.started_at),
        "expires_at": rfc3339(min(session.expires_at, cut or session.expires_at)),
    }


def end_session(admin: Admin, request: Request) -> Response:
    """DELETE /admin/v1/sessions/{id}: end a session, so that its token is refused within 5 s and cannot be renewed."""
    record = request.path.get("id", "")
    if not is_record_id(record):
        raise Refusal(Slug.NOT_FOUND)
    document = read_document(request)

    def plan(current: Current) -> Change:
        read_body(ReasonBody, document)
        return session_end(admin.sessions, record, current)

    return admin.commit(deny_key(DenyKind.SESSION, record), plan, request, document)
