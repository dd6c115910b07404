"""Sessions: admitted long-lived work, identified by subject and session id. Which are live, and until when.

A session lives while its newest token lives, and can be renewed up to its maximum life. An ended session stays ended.
Its id may be used to start a new session, by a live decision like any other start.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from headgate.core.documents import canonical, unix
from headgate.core.model import Json, Reach, Subject, nothing

SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SESSION_TOKEN_LIFE = 3_600
"""Seconds that a session token lives: long enough to survive an outage of the gate, short enough to count live
sessions."""
MAX_LIFE = 86_400
"""Seconds from a session's start to the end of its last renewal. Longer work is admitted again once a day."""
RENEWAL_GRACE = 60
"""Seconds that a superseded token may still renew: its holder may have lost the answer to its own renewal."""
RENEWALS_KEPT = 16
"""Renewals whose times a record keeps. More within `RENEWAL_GRACE` share a generation."""
MAX_PER_SUBJECT = 50
"""Live sessions of one subject. More are a leak or an attack, and up to this many are listed with one query."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session's record. Times are Unix seconds. Flag decisions read `admin`; route class `admin` never does.

    `generation` counts renewals from 1; the newest token carries it. `renewed_at` has the times of those within
    `RENEWAL_GRACE`, oldest first. `reused` says that the use of a superseded token ended the session.
    """

    subject: str
    session_id: str
    started_at: int
    expires_at: int
    orgs: tuple[str, ...] = ()
    admin: bool = False
    attributes: Mapping[str, Json] = field(default_factory=nothing)
    client_id: str = ""
    orgs_cut: bool = False
    ended: bool = False
    generation: int = 1
    renewed_at: tuple[int, ...] = ()
    reused: bool = False

    @property
    def ends_at(self) -> int:
        """The second that no renewal can exceed."""
        return self.started_at + MAX_LIFE

    def is_live(self, now: float) -> bool:
        """Whether the session may be used and renewed."""
        return not self.ended and now < self.expires_at

    def may_renew(self, generation: int, now: int) -> bool:
        """Whether a token of this generation may renew. If not, a token was used twice (RFC 9700 §4.14.2)."""
        behind = self.generation - generation
        if behind <= 0:
            return True
        return behind <= len(self.renewed_at) and now - self.renewed_at[-behind] <= RENEWAL_GRACE

    def renewed(self, now: int, until: int | None = None) -> "Session":
        """Return the session as its next token has it: at most `until` while sessions are being drained."""
        expires_at = min(now + SESSION_TOKEN_LIFE, self.ends_at, until or self.ends_at)
        recent = tuple(at for at in self.renewed_at if now - at <= RENEWAL_GRACE)
        if len(recent) == RENEWALS_KEPT:
            return replace(self, expires_at=expires_at)
        return replace(self, expires_at=expires_at, generation=self.generation + 1, renewed_at=(*recent, now))

    def lowered(self, subject: Subject) -> "Session":
        """Return the session with only what `subject` still has. An attribute that changed is dropped.

        Nothing is added. Fewer orgs count as cut, so that a percentage by org does not fall back to the user.
        """
        orgs = tuple(org for org in self.orgs if org in subject.orgs)
        kept = {n: v for n, v in self.attributes.items() if n in subject.attributes and _same(v, subject.attributes[n])}
        return replace(
            self, admin=self.admin and subject.admin, orgs=orgs, attributes=kept,
            orgs_cut=self.orgs_cut or subject.orgs_cut or len(orgs) < len(self.orgs),
        )  # fmt: skip


def start(*, subject: str, session_id: str, now: int, orgs: tuple[str, ...], admin: bool,
          attributes: Mapping[str, Json], client_id: str, orgs_cut: bool = False) -> Session:  # fmt: skip
    """Return a new session that starts now."""
    return Session(subject, session_id, now, now + SESSION_TOKEN_LIFE, orgs, admin, attributes, client_id, orgs_cut)


def _same(left: Json, right: Json) -> bool:
    """JSON equality, by type as well: `true` is not 1."""
    return canonical(left) == canonical(right)


def subject_hash(subject: str) -> str:
    """128 bits of SHA-256: the part of the record id that all sessions of a subject share."""
    return sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def record_id(subject: str, session_id: str) -> str:
    """The record's id: computed here, URL-safe, and revealing nothing about the subject."""
    return subject_hash(subject) + sha256(session_id.encode()).hexdigest()[:32]


def cut_off(reach: str, drain_until: str | None) -> float | None:
    """When a kill of the access flag ends all sessions (Unix seconds): 0 with reach `sever`, None if it ends none."""
    if reach == Reach.GATE:
        return None
    return unix(drain_until) if drain_until else 0
