"""Checkpoints: the head of the audit stream, signed by the audit key, and that key's public key.

Key-handling code is imported on first use, because the kill function runs the same code and must start fast.
"""

from headgate.core.audit import is_sealed
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import rfc3339
from headgate.edge import telemetry
from headgate.edge.admin.bodies import Body, read_body
from headgate.edge.admin.call import Admin, read_document, shown
from headgate.edge.http import Request, Response
from headgate.store.items import AUDIT, Head, audit_sk, head_of, read_entry
from headgate.store.port import Unavailable


class CheckpointBody(Body):
    """An empty object, or no body."""


def make_checkpoint(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/audit/checkpoints: sign the newest entry's revision and digest with the audit key.

    Nothing is changed and no entry is written, so no reason is needed. Each call signs the current head.
    """
    from headgate.tokens.checkpoint import Checkpoint, sign_checkpoint
    from headgate.tokens.keys import NotP256

    read_body(CheckpointBody, read_document(request) if request.body else {})
    head = _verified_head(admin)
    checkpoint = Checkpoint(
        issuer=admin.issuer or request.origin,
        revision=head.revision,
        digest=head.digest,
        at=rfc3339(admin.clock()),
    )
    try:
        key = admin.audit_key()
        signature = sign_checkpoint(key, checkpoint)
    except (Unavailable, NotP256):
        raise Refusal(Slug.UNAVAILABLE, "the audit key is not available; no checkpoint was made, try again") from None
    telemetry.log("checkpoint", {"Checkpoints": 1}, function=admin.function, revision=checkpoint.revision,
                  request_id=request.request_id)  # fmt: skip
    return shown(
        {"revision": checkpoint.revision, "digest": checkpoint.digest, "at": checkpoint.at,
         "issuer": checkpoint.issuer, "kid": key.kid, "signature": signature},
        status=201,
    )  # fmt: skip


def _verified_head(admin: Admin) -> Head:
    """Return the head if its entry exists and matches. Raises `Refusal`: a false head must not be signed."""
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
        raise Refusal(Slug.CHAIN_BROKEN, f"the head does not match audit entry {head.revision}")
    return head


def show_audit_key(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/audit/key: get the public key that verifies checkpoints.

    Pin it: whoever can forge this answer can forge checkpoints.
    """
    from headgate.tokens.checkpoint import thumbprint
    from headgate.tokens.keys import NotP256, PublicKey

    try:
        key = admin.audit_key()
        public = PublicKey.from_der(key.kid, key.public_key())
    except (Unavailable, NotP256):
        raise Refusal(Slug.UNAVAILABLE, "the audit key is not available, try again") from None
    return shown({"key": public.jwk(), "thumbprint": thumbprint(public)})
