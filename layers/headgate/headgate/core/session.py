"""Sessions: admitted long-lived work, identified by subject and session id. Which are live, and until when.

A session lives while its newest token lives, and can be renewed up to its maximum life. An ended session stays ended.
Its id may be used to start a new session, by a live decision like any other start.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from headgate.core.model import Json, nothing

SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SESSION_TOKEN_LIFE = 3_600
"""Seconds that a session token lives: long enough to survive an outage of the gate, short enough to count live
sessions."""
MAX_LIFE = 86_400
"""Seconds from a session's start to the end of its last renewal. Longer work is admitted again once a day."""
MAX_PER_SUBJECT = 50
"""Live sessions of one subject. More are a leak or an attack, and up to this many are listed with one query."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session's record. Times are Unix seconds. Flag decisions read `admin`; route class `admin` never does."""

    subject: str
    session_id: str
    started_at: int
    expires_at: int
    orgs: tuple[str, ...] = ()
    admin: bool = False
    attributes: Mapping[str, Json] = field(default_factory=nothing)
    client_id: str = ""
    ended: bool = False
    orgs_cut: bool = False

    @property
    def ends_at(self) -> int:
        """The second that no renewal can exceed."""
        return self.started_at + MAX_LIFE

    def is_live(self, now: float) -> bool:
        """Whether the session may be used and renewed."""
        return not self.ended and now < self.expires_at

    def renewed(self, now: int, until: int | None = None) -> "Session":
        """Return the session with its next token's expiry, at most `until` while sessions are being drained."""
        return replace(self, expires_at=min(now + SESSION_TOKEN_LIFE, self.ends_at, until or self.ends_at))


def start(*, subject: str, session_id: str, now: int, orgs: tuple[str, ...], admin: bool,
          attributes: Mapping[str, Json], client_id: str, orgs_cut: bool = False) -> Session:  # fmt: skip
    """Return a new session that starts now."""
    return Session(subject, session_id, now, now + SESSION_TOKEN_LIFE, orgs, admin, attributes, client_id,
                   orgs_cut=orgs_cut)  # fmt: skip


def subject_hash(subject: str) -> str:
    """128 bits of SHA-256: the part of the record id that all sessions of a subject share."""
    return sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def record_id(subject: str, session_id: str) -> str:
    """The record's id: computed here, URL-safe, and revealing nothing about the subject."""
    return subject_hash(subject) + sha256(session_id.encode()).hexdigest()[:32]
