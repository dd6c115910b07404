"""Who is inside, and with which keys: sessions, revocations, signing keys."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from pydantic import ConfigDict, model_validator

from headgate.core.deny import Denial, DenyKind
from headgate.core.keyring import (
    TOKEN_LIFE,
    CannotRotate,
    Keyring,
    in_use,
    keyring_document,
    revoked,
    rotated,
)  # fmt: skip
from headgate.core.model import Json
from headgate.core.reading import refuse, rfc3339, unix
from headgate.core.session import MAX_LIFE, Session
from headgate.core.snapshot import read_keyring
from headgate.edge.admin.bodies import Body, Member, Reason, read_body
from headgate.edge.admin.call import Admin, Refused, limit_of, read_document, shown
from headgate.edge.admin.paging import read_cursor, write_cursor
from headgate.edge.http import Request, Response
from headgate.store.items import KEYS, deny_key
from headgate.store.port import Put
from headgate.store.record import Answer, Change, Current, Refusal, Slug
from headgate.store.sessions import ending, is_record_id


class ReasonBody(Body):
    """Why."""

    reason: Reason


ONE_OF: Any = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("subject", "jti")]


class RevocationBody(Body):
    """A subject's tokens issued until now, or one token by its `jti`: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": ONE_OF})

    reason: Reason
    subject: Member | None = None
    jti: Member | None = None

    @model_validator(mode="after")
    def _one(self) -> "RevocationBody":
        if (self.subject is None) == (self.jti is None):
            raise ValueError("name either a subject or a jti")
        return self


class KeyBody(Body):
    """Which key, and why."""

    reason: Reason
    kid: str


def revoke(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/revocations: what was issued up to this second is refused; a later exchange works."""
    kind, value = _named(read_document(request))

    def plan(document: Json, current: Current) -> Change | Refusal:
        read_body(RevocationBody, document)
        now = int(unix(current.stamp.at))
        # nothing that was issued until now can be renewed for longer than a session lives
        denial = Denial(kind, value, now, now + MAX_LIFE + TOKEN_LIFE)
        return _denied("deny.revoke", denial, current, status=201)

    return admin.change(deny_key(kind, value), plan, request)


def _named(document: Json) -> tuple[DenyKind, str]:
    """What the record will hang on; whether the body may say so is judged later, by the plan."""
    members = document if isinstance(document, dict) else {}
    kind = DenyKind.JTI if isinstance(members.get("jti"), str) else DenyKind.SUBJECT
    value = members.get(kind.value)
    return kind, value if isinstance(value, str) else ""


def _denied(action: str, denial: Denial, current: Current, *, status: int, also: tuple[Put, ...] = ()) -> Change:
    version = 1 + (0 if current.stored is None else current.stored.version)
    before = None if current.stored is None else current.stored.document
    told: dict[str, Any] = {"kind": denial.kind.value, "at": rfc3339(denial.at), "revision": current.stamp.revision}
    answer = Answer(status, told if status == 201 else None)
    return Change(action, version, before, denial.document, answer, expires=denial.expires, also=also)


def list_sessions(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/sessions: those that are live; how many there are, and when the last must leave."""
    limit, now = limit_of(request), admin.clock()
    after = ""
    if "cursor" in request.query:
        (after,) = read_cursor(request.query["cursor"], "sessions", str)
        if not is_record_id(after):
            raise Refused("invalid-cursor")
    live = (pair for pair in admin.sessions.every(after) if pair[1].is_live(now))
    found = list(islice(live, limit + 1))
    following = write_cursor("sessions", found[limit - 1][0]) if len(found) > limit else None
    count, last = admin.sessions.inside() or (None, None)
    counts = {"inside": count, "last_leaves_at": None if last is None else rfc3339(last)}
    return shown({"sessions": [_session(*pair) for pair in found[:limit]], "counts": counts, "next": following})


def _session(record: str, session: Session) -> dict[str, Any]:
    return {
        "id": record,
        "subject": session.subject,
        "session_id": session.session_id,
        "started_at": rfc3339(session.started_at),
        "expires_at": rfc3339(session.expires_at),
    }


def end_session(admin: Admin, request: Request) -> Response:
    """DELETE /admin/v1/sessions/{id}: its token is refused within 5 s, and it is never renewed."""
    record = request.path.get("id", "")
    if not is_record_id(record):
        raise Refused("not-found")

    def plan(document: Json, current: Current) -> Change | Refusal:
        read_body(ReasonBody, document)
        session = admin.sessions.by_record(record)
        if session is None or session.ended:
            raise Refused("not-found")
        denial = Denial(DenyKind.SESSION, record, int(unix(current.stamp.at)), session.expires_at + TOKEN_LIFE)
        return _denied("deny.session", denial, current, status=204, also=(ending(session),))

    return admin.change(deny_key(DenyKind.SESSION, record), plan, request)


def list_keys(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/keys: the signing keys in use, and since when."""
    snapshot = admin.current().snapshot
    return shown({"keys": shown_keys(admin, snapshot.keyring), "revision": snapshot.revision})


def shown_keys(admin: Admin, ring: Keyring) -> list[dict[str, Any]]:
    """The keys in use; a state's age is null for a key that was never moved."""
    now = int(admin.clock())
    return [
        {"kid": key.kid, "state": key.state.value, "since": rfc3339(key.since) if key.since else None,
         "age_seconds": now - key.since if key.since else None}
        for key in in_use(ring, admin.pool)
    ]  # fmt: skip


def _moved(action: str, admin: Admin, current: Current, move: Callable[[Keyring, int], Keyring]) -> Change | Refusal:
    stored = current.stored
    ring = () if stored is None else read_keyring(stored.document)
    try:
        after = move(ring, int(unix(current.stamp.at)))
    except CannotRotate as reason:
        return Refusal(Slug.CANNOT_ROTATE, str(reason))
    version = 1 + (0 if stored is None else stored.version)
    document = {"keys": keyring_document(after), "version": version, "revision": current.stamp.revision}
    answer = Answer(200, {"keys": shown_keys(admin, after), "revision": current.stamp.revision}, version)
    return Change(action, version, None if stored is None else stored.document, document, answer)


def rotate_keys(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/keys/rotate: next signs from now on."""

    def plan(document: Json, current: Current) -> Change | Refusal:
        read_body(ReasonBody, document)
        return _moved("keys.rotate", admin, current, lambda ring, now: rotated(ring, admin.pool, now))

    return admin.change(KEYS, plan, request)


def revoke_key(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/keys/revoke: no token of this key is taken any more."""

    def plan(document: Json, current: Current) -> Change | Refusal:
        body = read_body(KeyBody, document)
        if body.kid not in admin.pool:
            refuse("kid", "is not a key of the pool")
        return _moved("keys.revoke", admin, current, lambda ring, now: revoked(ring, admin.pool, body.kid, now))

    return admin.change(KEYS, plan, request)
