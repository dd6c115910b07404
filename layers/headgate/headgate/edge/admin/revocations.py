"""Revocations: refuse a subject's tokens issued so far, or one token."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

from pydantic import ConfigDict, model_validator

from headgate.core.deny import Denial, DenyKind
from headgate.core.documents import unix
from headgate.core.keyring import LONGEST_TOKEN_LIFE
from headgate.core.model import Json
from headgate.core.session import MAX_LIFE
from headgate.edge.admin.bodies import Body, MemberId, ReasonText, read_body
from headgate.edge.admin.call import Admin, idempotency_key, read_document
from headgate.edge.http import Request, Response
from headgate.store.denials import denial_change
from headgate.store.items import deny_key
from headgate.store.port import Key
from headgate.store.record import Change, Current

ONE_OF: Any = [{"required": [name], "properties": {name: {"type": "string"}}} for name in ("subject", "jti")]


AGAIN = 3
"""Further attempts at a revocation whose write took longer than a denial covers."""


class RevocationBody(Body):
    """What to revoke: either a subject's tokens issued so far, or one token by its `jti`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": ONE_OF})

    reason: ReasonText
    subject: MemberId | None = None
    jti: MemberId | None = None

    @model_validator(mode="after")
    def _one(self) -> "RevocationBody":
        if (self.subject is None) == (self.jti is None):
            raise ValueError("must have either subject or jti")
        return self


def revoke(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/revocations: revoke a subject's tokens issued up to this second, or one token."""
    document = read_document(request)
    kind, value = _named(document)

    def plan(current: Current, now: int) -> Change:
        read_body(RevocationBody, document)
        # no token issued so far can be renewed for longer than a session lives
        denial = Denial(kind, value, now, now + MAX_LIFE + LONGEST_TOKEN_LIFE)
        return denial_change("deny.revoke", denial, current, status=201)

    return deny(admin, deny_key(kind, value), plan, request, document, again=0 if kind is DenyKind.JTI else AGAIN)


def deny(
    admin: Admin, target: Key, plan: Callable[[Current, int], Change], request: Request, document: Json, *,
    again: int = AGAIN, above: int = 0,
) -> Response:  # fmt: skip
    """Commit a denial and answer. `plan` gets the second of its stamp.

    A denial covers the second after its stamp. If the table took longer than that to commit, it is made again.
    """
    stamps: list[int] = []

    def stamped(current: Current) -> Change:
        now = int(unix(current.stamp.at))
        change = plan(current, now)
        stamps.append(now)
        return change

    answer = admin.commit(target, stamped, request, document, above=above)
    key = idempotency_key(request)
    for attempt in range(1, again + 1):
        if not stamps or admin.clock() < stamps[-1] + 2:
            break
        stamps.clear()
        headers = {**request.headers, "idempotency-key": sha256(f"{key}.{attempt}".encode()).hexdigest()}
        answer = admin.commit(target, stamped, replace(request, headers=headers), document)
    return answer


def _named(document: Json) -> tuple[DenyKind, str]:
    """Return the record's kind and value. The plan validates the body later."""
    members = document if isinstance(document, dict) else {}
    kind = DenyKind.JTI if isinstance(members.get("jti"), str) else DenyKind.SUBJECT
    value = members.get(kind.value)
    return kind, value if isinstance(value, str) else ""
