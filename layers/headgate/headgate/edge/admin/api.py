"""The admin API: one table from route key to call, and one way from every failure to a problem.

API Gateway has matched the route and verified the signature; matching the path again would be a second router that
could disagree with the first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from headgate.core.reading import Invalid
from headgate.edge import telemetry
from headgate.edge.admin import access, allow, described, flags, history, imports, kill, preview, proof, rules
from headgate.edge.admin import audit as stream
from headgate.edge.admin.bodies import (
    AllowBody,
    Body,
    Change,
    ExplainBody,
    KillBody,
    PreviewBody,
    RestoreBody,
    StageBody,
)  # fmt: skip
from headgate.edge.admin.call import Admin, Refused
from headgate.edge.http import Event, Request, Response, read_request
from headgate.edge.problems import problem
from headgate.edge.strict_json import Malformed, TooLarge
from headgate.store.port import Throttled, Unavailable


@dataclass(frozen=True, slots=True)
class Route:
    """One call: who answers it, and what docs/openapi.json says of it. Its words are the handler's docstring.

    `answers`: each status of success and its model's name in `edge.openapi`, or None for no body. `body`: the model
    that the handler reads the body by, or the name in `edge.openapi.schemas` of one that the core reads. `takes`:
    query parameters and headers, as `edge.openapi.parameters` has them. `refuses`: the problems that do not follow
    from all this by themselves.
    """

    handler: Callable[[Admin, Request], Response]
    answers: Mapping[int, str | None]
    body: type[Body] | str | None = None
    takes: str = ""
    refuses: str = ""


PAGE, ONCE, UPDATE = "limit cursor", "Idempotency-Key", "If-Match Idempotency-Key"

ROUTES: Mapping[str, Route] = {
    "GET /admin/v1/flags": Route(flags.list_flags, {200: "FlagPage"}, takes=PAGE),
    "GET /admin/v1/flags/{key}": Route(flags.show_flag, {200: "Flag"}, refuses="unknown-flag"),
    "PUT /admin/v1/flags/{key}": Route(
        flags.put_flag, {200: "Flag", 201: "Flag"}, "FlagBody", takes=f"{UPDATE} If-None-Match",
        refuses="unknown-flag exists key-retired would-shrink"),
    "DELETE /admin/v1/flags/{key}": Route(
        flags.delete_flag, {204: None}, Change, takes=UPDATE, refuses="unknown-flag would-shrink"),
    "POST /admin/v1/flags/{key}/stage": Route(
        flags.set_stage, {200: "Flag"}, StageBody, takes=UPDATE, refuses="unknown-flag would-shrink"),
    "GET /admin/v1/flags/{key}/allow": Route(
        allow.list_members, {200: "MemberPage"}, takes=f"kind {PAGE}", refuses="unknown-flag"),
    "POST /admin/v1/flags/{key}/allow": Route(
        allow.set_members, {200: "ListedFlag"}, AllowBody, takes=UPDATE,
        refuses="unknown-flag import-open imports-spent would-shrink"),
    "POST /admin/v1/flags/{key}/imports": Route(
        imports.open_import, {200: "Import", 201: "Import"}, imports.ImportBody, takes=ONCE,
        refuses="unknown-flag import-open import-differs imports-spent"),
    "GET /admin/v1/flags/{key}/imports/{import}": Route(
        imports.show_import, {200: "Import"}, refuses="unknown-import"),
    "POST /admin/v1/flags/{key}/imports/{import}/members": Route(
        imports.stage_members, {200: "Import"}, imports.ImportMembersBody, takes=ONCE,
        refuses="unknown-flag unknown-import import-closed import-differs"),
    "POST /admin/v1/flags/{key}/imports/{import}/commit": Route(
        imports.commit_import, {200: "ListedFlag"}, imports.CommitBody, takes=ONCE,
        refuses="unknown-flag unknown-import import-closed import-differs imports-spent would-shrink"),
    "DELETE /admin/v1/flags/{key}/imports/{import}": Route(
        imports.abandon_import, {204: None}, imports.AbandonBody, takes=ONCE,
        refuses="unknown-import import-closed"),
    "POST /admin/v1/flags/{key}/kill": Route(kill.kill, {200: "KilledFlag"}, KillBody, refuses="unknown-flag busy"),
    "POST /admin/v1/flags/{key}/restore": Route(
        kill.restore, {200: "Flag"}, RestoreBody, takes=ONCE, refuses="unknown-flag"),
    "GET /admin/v1/routes": Route(rules.show_routes, {200: "Routes"}),
    "PUT /admin/v1/routes": Route(
        rules.put_routes, {200: "Routes"}, "RoutesBody", takes=UPDATE, refuses="would-shrink"),
    "GET /admin/v1/manifest": Route(rules.export, {200: "Manifest"}, takes="as_of", refuses="chain-broken too-large"),
    "POST /admin/v1/manifest": Route(
        rules.apply, {200: "Applied"}, "ApplyBody", takes=ONCE, refuses="key-retired precondition-failed would-shrink"),
    "POST /admin/v1/manifest/plan": Route(rules.plan, {200: "Plan"}, "PlanBody"),
    "POST /admin/v1/explain": Route(
        history.explain, {200: "Explanation"}, ExplainBody, refuses="chain-broken"),
    "POST /admin/v1/preview": Route(
        preview.preview, {200: "Preview"}, PreviewBody, refuses="unknown-flag key-retired"),
    "GET /admin/v1/audit": Route(
        stream.list_audit, {200: "AuditPage"}, takes=f"flag actor action after before since until {PAGE}"),
    "POST /admin/v1/audit/checkpoints": Route(
        proof.make_checkpoint, {201: "Checkpoint"}, proof.CheckpointBody, refuses="chain-broken"),
    "GET /admin/v1/audit/key": Route(proof.show_audit_key, {200: "AuditKey"}),
    "GET /admin/v1/audit/reconcile": Route(proof.reconcile, {200: "Reconciliation"}, refuses="too-large"),
    "POST /admin/v1/revocations": Route(access.revoke, {201: "Revoked"}, access.RevocationBody, takes=ONCE),
    "GET /admin/v1/sessions": Route(access.list_sessions, {200: "SessionPage"}, takes=PAGE),
    "DELETE /admin/v1/sessions/{id}": Route(
        access.end_session, {204: None}, access.ReasonBody, takes=ONCE, refuses="not-found"),
    "GET /admin/v1/keys": Route(access.list_keys, {200: "Keys"}),
    "POST /admin/v1/keys/rotate": Route(
        access.rotate_keys, {200: "Keys"}, access.ReasonBody, takes=ONCE, refuses="cannot-rotate"),
    "POST /admin/v1/keys/revoke": Route(
        access.revoke_key, {200: "Keys"}, access.KeyBody, takes=ONCE, refuses="cannot-rotate"),
    "GET /admin/v1/health": Route(history.health, {200: "Health"}),
    "GET /admin/v1/openapi.json": Route(described.describe, {200: "Document"}),
}  # fmt: skip


def handle(admin: Admin, event: Event) -> Response:
    """Answer one request."""
    request = read_request(event)
    try:
        response = ROUTES[request.route_key].handler(admin, request)
    except Refused as refused:
        response = refused.response()
    except Invalid as invalid:
        response = problem("invalid-body", "see errors", faults=invalid.faults)
    except Malformed as fault:
        response = problem("invalid-json", str(fault))
    except TooLarge as fault:
        response = problem("too-large", str(fault))
    except (Unavailable, Throttled) as failure:
        telemetry.count("StoreUnavailable", function="admin")
        telemetry.log("unavailable", function="admin", error=str(failure), request_id=request.request_id)
        response = problem("unavailable", "whether the change was made is not known; repeat it with its key")
    telemetry.log("answered", function="admin", route=request.route_key, status=response["statusCode"],
                  request_id=request.request_id)  # fmt: skip
    return response
