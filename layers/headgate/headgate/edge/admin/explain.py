"""Explain why a decision has its result, now or at a past revision."""

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.decision import decide, trace
from headgate.edge.admin.as_of import as_of
from headgate.edge.admin.bodies import ExplainBody, read_body
from headgate.edge.admin.call import Admin, read_document, shown
from headgate.edge.http import Request, Response


def explain(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/explain: explain a decision step by step, now or as of a revision or a time."""
    body = read_body(ExplainBody, read_document(request))
    view = admin.current() if body.as_of is None else admin.snapshots.beside(as_of(admin, body.as_of))
    listing = admin.snapshots.with_lists(view, body.subject.subject(), (body.flag,))
    if listing.unread:
        raise Refusal(Slug.UNAVAILABLE, "the allowlist cannot be read, try again")
    snapshot, subject = view.snapshot, listing.subject
    decision = decide(snapshot.rules, body.flag, subject, gate=True)
    steps = [
        {"flag": flag, "step": step, "outcome": "passed on" if made is None else "on" if made.value else "off",
         "reason": None if made is None else made.reason.value}
        for flag, step, made in trace(snapshot.rules, body.flag, subject)
    ]  # fmt: skip
    return shown({"flag": body.flag, "value": decision.value, "reason": decision.reason.value,
                  "revision": decision.revision, "steps": steps})  # fmt: skip
