"""Reconcile: compare what is stored with the audit stream."""

from dataclasses import asdict

from headgate.core.changes.refusal import Refusal, Slug
from headgate.edge.admin.call import Admin, shown
from headgate.edge.http import Request, Response
from headgate.store.reconcile import Reconciler, TooLong

RECONCILE_BUDGET = 24.0
"""Seconds. API Gateway's limit is 30."""
MOST_FINDINGS = 1_000


def reconcile(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/audit/reconcile: compare what is stored with the audit stream.

    Use it after a point-in-time restore, which may restore half of a transaction. It reads the whole stream.
    """
    try:
        found = Reconciler(admin.table, budget=RECONCILE_BUDGET, clock=admin.clock).run()
    except TooLong:
        detail = "the audit stream is too long for one call; run headgate audit reconcile --table"
        raise Refusal(Slug.TOO_LARGE, detail) from None
    return shown({
        "consistent": not found.findings,
        "findings": [asdict(finding) for finding in found.findings[:MOST_FINDINGS]],
        "total": len(found.findings),
        "head": {"revision": found.head.revision, "digest": found.head.digest},
    })  # fmt: skip
