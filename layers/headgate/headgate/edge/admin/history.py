"""What an operator asks: why a decision came out as it did, now and at any past revision, and what needs a look."""

from headgate.core.audit import GENESIS
from headgate.core.decision import decide, trace
from headgate.core.keyring import KeyState
from headgate.core.model import Stage
from headgate.core.reading import unix
from headgate.core.snapshot import missing_flags
from headgate.edge.admin.access import shown_keys
from headgate.edge.admin.as_of import as_of
from headgate.edge.admin.bodies import ExplainBody, read_body
from headgate.edge.admin.call import Admin, Refused, read_document, shown
from headgate.edge.http import Request, Response
from headgate.store.items import HEAD, read_head

OLD_AFTER = 90 * 86_400
"""Seconds after which a flag at GA that nobody touched is worth removing from the code."""


def explain(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/explain: the decision with each step, now or as of a revision or time."""
    body = read_body(ExplainBody, read_document(request))
    view = admin.current() if body.as_of is None else admin.snapshots.beside(as_of(admin, body.as_of))
    listing = admin.snapshots.with_lists(view, body.subject.subject(), (body.flag,))
    if listing.unread:
        raise Refused("unavailable", "the allowlist cannot be read")
    snapshot, subject = view.snapshot, listing.subject
    decision = decide(snapshot.rules, body.flag, subject, gate=True)
    steps = [
        {"flag": flag, "step": step, "outcome": "passed on" if made is None else "on" if made.value else "off",
         "reason": None if made is None else made.reason.value}
        for flag, step, made in trace(snapshot.rules, body.flag, subject)
    ]  # fmt: skip
    return shown({"flag": body.flag, "value": decision.value, "reason": decision.reason.value,
                  "revision": decision.revision, "steps": steps})  # fmt: skip


def health(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/health: what an operator should look at."""
    view = admin.current()
    head = read_head(view.items.get(HEAD))
    flags = view.snapshot.rules.flags.values()
    missing, quarantined = missing_flags(view.snapshot), view.snapshot.quarantined
    old = [
        f.key for f in flags if f.stage is Stage.GA and f.updated_at and admin.clock() - unix(f.updated_at) > OLD_AFTER
    ]
    keys = shown_keys(admin, view.snapshot.keyring)
    signs = any(key["state"] == KeyState.ACTIVE for key in keys)
    return shown({
        "status": "degraded" if missing or quarantined or not signs else "ok",
        "missing_flags": list(missing),
        "quarantined_flags": list(quarantined),
        "stale_flags": sorted(old),
        "keys": keys,
        "killed_flags": dict(head.killed),
        "head": {"revision": head.revision, "digest": head.digest or GENESIS},
        "revision": view.snapshot.revision,
    })  # fmt: skip
