"""Checkpoints on request, and the public key of the audit key.

Key-handling code is imported on first use, because the kill function runs the same code and must start fast.
"""

from headgate.core.changes.refusal import Refusal, Slug
from headgate.edge import telemetry
from headgate.edge.admin.bodies import Body, read_body
from headgate.edge.admin.call import Admin, read_document, shown
from headgate.edge.checkpoint import signed_head
from headgate.edge.http import Request, Response
from headgate.store.port import Unavailable


class CheckpointBody(Body):
    """An empty object, or no body."""


def make_checkpoint(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/audit/checkpoints: sign the newest entry's revision and digest with the audit key.

    Nothing is changed and no entry is written, so no reason is needed. Each call signs the current head.
    """
    read_body(CheckpointBody, read_document(request) if request.body else {})
    made = signed_head(admin.table, admin.audit_key, admin.issuer or request.origin, admin.clock())
    telemetry.log("checkpoint", {"Checkpoints": 1}, function=admin.function, revision=made["revision"],
                  request_id=request.request_id)  # fmt: skip
    return shown(made, status=201)


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
