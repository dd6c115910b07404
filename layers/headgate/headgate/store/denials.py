"""The changes that deny: a revocation, and the end of a session."""

from typing import Any

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.deny import Denial, DenyKind
from headgate.core.documents import rfc3339, unix
from headgate.core.keyring import LONGEST_TOKEN_LIFE
from headgate.store.port import Put
from headgate.store.record import Answer, Change, Current
from headgate.store.sessions import Sessions, ending


def denial_change(action: str, denial: Denial, current: Current, *, status: int, also: tuple[Put, ...] = ()) -> Change:
    """Return the change that records a denial. `also` are added to the transaction's writes."""
    body: dict[str, Any] = {"kind": denial.kind.value, "at": rfc3339(denial.at), "revision": current.stamp.revision}
    answer = Answer(status, body if status == 201 else None)
    return Change(
        action, current.version + 1, current.document, denial.document, answer, expires=denial.expires, also=also
    )


def session_end(sessions: Sessions, record: str, current: Current, *, reused: bool = False) -> Change:
    """Return the change that ends a session and denies its tokens. Raises `Refusal` if there is no such session."""
    session = sessions.by_record(record)
    if session is None or session.ended:
        raise Refusal(Slug.NOT_FOUND)
    denial = Denial(DenyKind.SESSION, record, int(unix(current.stamp.at)), session.expires_at + LONGEST_TOKEN_LIFE)
    return denial_change("deny.session", denial, current, status=204, also=(ending(session, reused=reused),))
