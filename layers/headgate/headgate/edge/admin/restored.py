"""A restored table: closed to all but admins until an operator confirms it, since it has forgotten newer refusals.

Confirming is one transaction: it revokes every token issued so far, goes on above the highest revision ever seen, and
opens the table for this stack. Without `confirm`, the table stays closed, so that lost kills can be made again first.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from headgate.core.deny import EVERYONE, Denial, DenyKind
from headgate.core.documents import refuse
from headgate.core.keyring import LONGEST_TOKEN_LIFE
from headgate.core.model import Json
from headgate.core.session import MAX_LIFE
from headgate.edge.admin.bodies import Body, ReasonText, read_body
from headgate.edge.admin.call import Admin, read_document
from headgate.edge.admin.revocations import deny
from headgate.edge.http import Request, Response
from headgate.store.denials import denial_change
from headgate.store.items import deny_key, head_of
from headgate.store.record import Change, Current

MOST_SKIPPED = 1_000_000
"""Revisions that one call may skip: no table changes so often within its recovery period."""


class RestoredBody(Body):
    """`highest` is the highest revision ever seen, such as that of the last exported entry or checkpoint."""

    reason: ReasonText
    highest: Annotated[int, Field(ge=0)]
    confirm: bool


def confirm_restored(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/restored: revoke every token issued so far, and open a restored table to all if `confirm` is true.

    The change's revision is above `highest`. It may be repeated.
    """
    document = read_document(request)
    seen = head_of(admin.table).revision

    def plan(current: Current, now: int) -> Change:
        body = read_body(RestoredBody, document)
        if body.highest > seen + MOST_SKIPPED:
            refuse("highest", f"must be at most {MOST_SKIPPED} above the table's own revision, {seen}")
        denial = Denial(DenyKind.ALL, EVERYONE, now, now + MAX_LIFE + LONGEST_TOKEN_LIFE)
        action = "restore.confirm" if body.confirm else "restore.begin"
        change = denial_change(action, denial, current, status=201)
        answer: dict[str, Any] = {**change.answer.body, "restored_revision": seen, "confirmed": body.confirm}
        answer.pop("kind")
        return replace(change, answer=replace(change.answer, body=answer), confirms=body.confirm)

    return deny(admin, deny_key(DenyKind.ALL, EVERYONE), plan, request, document, above=_highest(document))


def _highest(document: Json) -> int:
    """Return the revision to go on above. The plan validates the body later."""
    highest = document.get("highest") if isinstance(document, dict) else None
    return highest if type(highest) is int else 0
