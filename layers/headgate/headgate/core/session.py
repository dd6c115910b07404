"""Sessions: admitted long-lived work, keyed by subject and session id. What is live, and until when.

A session lives while its newest token lives, renewed at most to its maximum life. Ended is for good: the same id may
then be started anew, by a live decision like any other start.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256

from headgate.core.model import Json, nothing

SESSION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SESSION_TOKEN_LIFE = 3_600
"""Seconds a session token lives: long enough to survive an outage of the gate, short enough to count who is inside."""
MAX_LIFE = 86_400
"""Seconds from start to the end of the last renewal: work that runs longer is admitted anew once a day."""
MAX_PER_SUBJECT = 50
"""Live sessions of one subject: more is a leak or an attack, and listing them stays one query."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session's record. Times are Unix seconds; `admin` is read by flag decisions, never by route class `admin`."""

    subject: str
    session_id: str
    started_at: int
    expires_at: int
    orgs: tuple[str, ...] = ()
    admin: bool = False
    attributes: Mapping[str, Json] = field(default_factory=nothing)
    client_id: str = ""
    ended: bool = False

    @property
    def ends_at(self) -> int:
        """The second after which no renewal reaches."""
        return self.started_at + MAX_LIFE

    def is_live(self, now: float) -> bool:
        """Whether the session may be used and renewed."""
        return not self.ended and now < self.expires_at

    def renewed(self, now: int, until: int | None = None) -> "Session":
        """The session with its next token's end, at most `until` where sessions are being drained."""
        return replace(self, expires_at=min(now + SESSION_TOKEN_LIFE, self.ends_at, until or self.ends_at))


def start(*, subject: str, session_id: str, now: int, orgs: tuple[str, ...], admin: bool,
          attributes: Mapping[str, Json], client_id: str) -> Session:  # fmt: skip
    """A new session from now on."""
    return Session(subject, session_id, now, now + SESSION_TOKEN_LIFE, orgs, admin, attributes, client_id)


def subject_hash(subject: str) -> str:
    """128 bits of SHA-256: the part of the record's id that all sessions of a subject share."""
    return sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def record_id(subject: str, session_id: str) -> str:
    """The record's id: made here, URL-safe, telling nothing of the subject."""
    return subject_hash(subject) + sha256(session_id.encode()).hexdigest()[:32]
