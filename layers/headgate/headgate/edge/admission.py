"""Sessions at the token endpoint: work that is admitted once and then renews its own token.

A subject renews its live session with the session token, an access token, or an identity token. No flag is decided on
renewal, so a kill does not stop running work. Only an access token starts a session, after a live decision. A kill with
reach `drain` or `sever` also ends renewals.

Each renewal supersedes the token before it. A superseded token renews for one minute more, since an answer may be
lost. Used after that, it shows that two hold the session, one of them perhaps a thief: the session ends (RFC 9700
§4.14.2).

The session and the rules are read together, as of this request. A renewal under older rules would give a revoked
subject a token issued after its revocation, which the revocation would not refuse.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from headgate.core.changes.refusal import Refusal
from headgate.core.decision import decide
from headgate.core.deny import DenyKind
from headgate.core.model import Subject
from headgate.core.session import Session, record_id, start
from headgate.core.snapshot import Snapshot, named_attributes
from headgate.edge import telemetry
from headgate.edge.http import Request
from headgate.edge.oauth import access_denied, invalid_request, temporarily_unavailable
from headgate.store.denials import session_end
from headgate.store.items import deny_key
from headgate.store.port import Contended, Throttled, Unavailable
from headgate.store.record import Actor, Call, Record
from headgate.store.sessions import Capped, Sessions, session_in, session_key
from headgate.store.snapshots import Snapshots, Standing, View
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.refusals import RefusalCode, TokenRefused


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who requests a token. `own` is the Headgate token they sent, or None for an identity token.

    `issued_at` is the sent token's `iat` (Unix seconds).
    """

    user: str = field(repr=False)
    subject: Subject = field(repr=False)
    client_id: str = field(repr=False)
    issued_at: int
    own: Credential | None = field(default=None, repr=False)


class Admission:
    """Starts and renews sessions."""

    def __init__(
        self, snapshots: Snapshots, sessions: Sessions, record: Record, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._snapshots, self._sessions, self._record, self._clock = snapshots, sessions, record, clock

    def admit(self, applicant: Applicant, session_id: str, view: View, request: Request) -> dict[str, Any]:
        """Return the session token's grant. `view` is live and holds the session's record if there is one.

        Raises `OAuthError`, or `TokenRefused` if the token was superseded.
        """
        own = applicant.own
        if own is not None and own.sid not in (None, session_id):
            raise invalid_request("subject_token belongs to another session")
        now = int(self._clock())
        snapshot = view.snapshot
        if view.standing is Standing.EXPIRED or (view.standing is not Standing.FRESH and not view.items):
            raise temporarily_unavailable("the session store is not available")
        held = session_in(view.items, session_key(applicant.user, session_id))
        try:
            if held is not None and held.is_live(now) and not _is_revoked(held, snapshot):
                return self._renew(held, applicant, snapshot, now, request)
            if own is None or own.kind is not Kind.ACCESS:
                raise access_denied(snapshot.revision)
            return self._start(applicant, view, session_id, now)
        except (Unavailable, Throttled, Contended):
            raise temporarily_unavailable("the session store is not available") from None

    def _renew(
        self, held: Session, applicant: Applicant, snapshot: Snapshot, now: int, request: Request
    ) -> dict[str, Any]:
        own = applicant.own
        generation = own.gen if own is not None and own.kind is Kind.SESSION else None
        end = snapshot.sessions_end
        until = None if end is None else int(end)
        if until is not None and until <= now:
            raise access_denied(snapshot.revision)
        for _attempt in range(3):
            if generation is not None and not held.may_renew(generation, now):
                self._end(held, request)
                raise TokenRefused(RefusalCode.REUSED)
            renewed = held.renewed(now, until)
            if generation is None:
                renewed = renewed.lowered(applicant.subject)
            if self._sessions.renew(held, renewed):
                return _grant(renewed, snapshot, now)
            changed = self._sessions.find(held.subject, held.session_id)
            if changed is None or not changed.is_live(now):
                raise access_denied(snapshot.revision)
            held = changed  # a concurrent renewal won
        raise temporarily_unavailable("other requests are renewing this session")

    def _end(self, held: Session, request: Request) -> None:
        """End a session whose superseded token was used again, with an audit entry. Its end must not be lost."""
        telemetry.count("SessionTokenReused", function="token")
        record = record_id(held.subject, held.session_id)
        actor = Actor("headgate:token", "", "")  # not the address of a person, which the log would keep for good
        attempt = f"{held.generation}.{held.started_at}"
        call = Call(actor, "a superseded session token was used again", request.request_id, record, attempt, attempt)
        try:
            self._record.change(
                deny_key(DenyKind.SESSION, record),
                lambda current: session_end(self._sessions, record, current, reused=True),
                call,
            )
        except Refusal:  # another request has ended it, or the table is busy
            ended = self._sessions.by_record(record)
            if ended is not None and not ended.ended:
                raise temporarily_unavailable("the session store is busy") from None

    def _start(self, applicant: Applicant, view: View, session_id: str, now: int) -> dict[str, Any]:
        snapshot = view.snapshot
        if view.standing is Standing.EXPIRED and not applicant.subject.admin:
            raise temporarily_unavailable("the rules are not available")
        access = snapshot.profile.access or ""
        listing = self._snapshots.with_lists(view, applicant.subject, (access,))
        if listing.unsure(snapshot.rules, (access,)):
            raise temporarily_unavailable("an allowlist is not available")
        if not decide(snapshot.rules, access, listing.subject, gate=True).value:
            raise access_denied(snapshot.revision)
        subject = applicant.subject
        session = start(subject=applicant.user, session_id=session_id, now=now, orgs=subject.orgs,
                        admin=subject.admin, attributes=subject.attributes, client_id=applicant.client_id,
                        orgs_cut=subject.orgs_cut)  # fmt: skip
        if _is_ended(session, snapshot):  # within a second: the new token would be refused, too
            raise temporarily_unavailable("the session with this id has just ended")
        try:
            self._sessions.start(session)
        except Capped:
            raise access_denied(snapshot.revision) from None
        return _grant(session, snapshot, now)


def _is_revoked(held: Session, snapshot: Snapshot) -> bool:
    """Whether its subject was revoked after it started. Such a session is over, and a new one may be started."""
    return snapshot.denied.refuses(subject=held.subject, jti="", issued_at=held.started_at, session=None)


def _is_ended(session: Session, snapshot: Snapshot) -> bool:
    record = record_id(session.subject, session.session_id)
    return snapshot.denied.refuses(subject=session.subject, jti="", issued_at=session.started_at, session=record)


def _grant(session: Session, snapshot: Snapshot, now: int) -> dict[str, Any]:
    named = named_attributes(snapshot)
    return {
        "kind": Kind.SESSION,
        "subject": session.subject,
        "client_id": session.client_id,
        "lifetime": session.expires_at - now,
        "orgs": session.orgs,
        "attributes": {name: value for name, value in session.attributes.items() if name in named},
        "orgs_cut": session.orgs_cut,
        "sid": session.session_id,
        "gen": session.generation,
    }
