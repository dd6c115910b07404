"""What proves the record to others: its head signed by the audit key, that key's public half, and whether it is one
with what is stored.

The code that handles keys is loaded when a checkpoint is asked for: a kill runs on this function's code too.
"""

from dataclasses import asdict

from headgate.core.audit import is_sealed
from headgate.core.reading import rfc3339
from headgate.edge.admin.bodies import Body, read_body
from headgate.edge.admin.call import Admin, Refused, read_document, shown
from headgate.edge.http import Request, Response
from headgate.store.items import AUDIT, Head, audit_sk, head_of, read_entry
from headgate.store.port import Unavailable
from headgate.store.reconcile import Reconciler, TooLong

RECONCILE_BUDGET = 24.0
"""Seconds: API Gateway gives a call 30."""
MOST_FINDINGS = 1_000


class CheckpointBody(Body):
    """Nothing: an empty object, or no body at all."""


def make_checkpoint(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/audit/checkpoints: the newest entry's revision and digest, signed by the audit key.

    It changes nothing: it takes no reason, leaves no entry, and a repeated call signs what is the head by then.
    """
    from headgate.tokens.checkpoint import Checkpoint, sign_checkpoint
    from headgate.tokens.keys import NotP256

    read_body(CheckpointBody, read_document(request) if request.body else {})
    head = _standing_head(admin)
    checkpoint = Checkpoint(
        issuer=admin.issuer or f"https://{request.host}",
        revision=head.revision,
        digest=head.digest,
        at=rfc3339(admin.clock()),
    )
    try:
        key = admin.audit_key()
        signature = sign_checkpoint(key, checkpoint)
    except (Unavailable, NotP256):
        raise Refused("unavailable", "the audit key gives no signature; no checkpoint was made") from None
    return shown(
        {"revision": checkpoint.revision, "digest": checkpoint.digest, "at": checkpoint.at,
         "issuer": checkpoint.issuer, "kid": key.kid, "signature": signature},
        status=201,
    )  # fmt: skip


def _standing_head(admin: Admin) -> Head:
    """The head, where its entry is there and is what it says. Raises `Refused`: a false head is not to be signed."""
    head = head_of(admin.table)
    if head.revision == 0:
        return head
    place = AUDIT, audit_sk(head.revision)
    item = admin.table.get((place,)).get(place)
    try:
        entry = {} if item is None else read_entry(item)
    except (ValueError, KeyError, RecursionError):
        entry = {}
    if entry.get("digest") != head.digest or not is_sealed(entry):
        raise Refused("chain-broken", f"the head says revision {head.revision}, and its entry does not agree")
    return head


def show_audit_key(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/audit/key: what checkpoints are verified with. Pin it: who can forge this answer can sign, too."""
    from headgate.tokens.checkpoint import thumbprint
    from headgate.tokens.keys import NotP256, PublicKey

    try:
        key = admin.audit_key()
        public = PublicKey.from_der(key.kid, key.public_key())
    except (Unavailable, NotP256):
        raise Refused("unavailable", "the audit key cannot be read") from None
    return shown({"key": public.jwk(), "thumbprint": thumbprint(public)})


def reconcile(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/audit/reconcile: whether what is stored is what the audit stream says.

    After a restore to a point in time, which may bring back half of a transaction. It reads the whole stream.
    """
    try:
        found = Reconciler(admin.table, budget=RECONCILE_BUDGET, clock=admin.clock).run()
    except TooLong:
        detail = "the stream is longer than one call can read; headgate audit reconcile --table reads it by itself"
        raise Refused("too-large", detail) from None
    return shown({
        "consistent": not found.findings,
        "findings": [asdict(finding) for finding in found.findings[:MOST_FINDINGS]],
        "total": len(found.findings),
        "head": {"revision": found.head.revision, "digest": found.head.digest},
    })  # fmt: skip
