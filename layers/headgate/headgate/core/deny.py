"""The deny set: revoked subjects, revoked tokens, ended sessions, and after a restore every token issued before it.

All of these are refused although their signature is valid.

It is part of the rules and reaches every environment with them: at once where a decision is live, within 5 s elsewhere.
Its keys are `sub`, `jti`, and session, never a token's text: ECDSA is malleable, so one token can have two texts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headgate.core.documents import Reader
from headgate.core.model import Json


class DenyKind(StrEnum):
    """What a denial applies to."""

    SUBJECT = "subject"
    JTI = "jti"
    SESSION = "session"
    ALL = "all"


EVERYONE = "*"
"""The value of a denial of kind `all`."""


@dataclass(frozen=True, slots=True)
class Denial:
    """Refuses what was issued up to the second after `at`. Not needed after `expires` (both Unix seconds).

    The second after it covers a token whose rules were read while the denial was being written.
    """

    kind: DenyKind
    value: str
    at: int
    expires: int

    @property
    def document(self) -> dict[str, Any]:
        """The denial as stored and recorded."""
        return {"kind": self.kind.value, "value": self.value, "at": self.at, "expires": self.expires}


@dataclass(frozen=True, slots=True)
class DenySet:
    """All denials in force: by kind and value, the Unix second of the denial."""

    held: Mapping[tuple[DenyKind, str], int] = field(default_factory=dict)

    def with_denials(self, denials: Iterable[Denial]) -> "DenySet":
        """Return the set with more denials. If two apply to the same thing, the later `at` counts."""
        held = dict(self.held)
        for denial in denials:
            place = denial.kind, denial.value
            held[place] = max(denial.at, held.get(place, 0))
        return DenySet(held)

    def refuses(self, *, subject: str, jti: str, issued_at: int, session: str | None) -> bool:
        """Whether a verified token is refused. `session` is the record id of its session, if it has one."""
        held = self.held
        if not held:
            return False
        before = issued_at - 1
        return (
            before <= held.get((DenyKind.SUBJECT, subject), -2)
            or before <= held.get((DenyKind.ALL, EVERYONE), -2)
            or (DenyKind.JTI, jti) in held
            or (session is not None and before <= held.get((DenyKind.SESSION, session), -2))
        )


def parse_denial(document: Json) -> Denial:
    """Read a stored denial. Raises `Invalid`."""
    read = Reader(document, known=("kind", "value", "at", "expires", "version", "revision"))
    denial = Denial(
        read.choice("kind", DenyKind),
        read.text("value", limit=1_024, blank=False),
        read.whole("at", 0, 0, 2**40),
        read.whole("expires", 0, 0, 2**40),
    )
    read.check()
    return denial
