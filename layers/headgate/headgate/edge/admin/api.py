"""The admin API's routes: for each, its handler, what it accepts, and how it can fail.

`call.handle` looks up the route key that API Gateway matched. Matching the path again could disagree with the gateway.
"""

from collections.abc import Mapping

from headgate.edge.admin import (
    allow,
    audit,
    checkpoints,
    explain,
    flags,
    health,
    imports,
    keys,
    kill,
    kills,
    manifest,
    preview,
    reconcile,
    restored,
    revocations,
    routes,
    sessions,
)
from headgate.edge.admin.bodies import (
    AllowBody,
    ChangeBody,
    ExplainBody,
    KillBody,
    PreviewBody,
    ReasonBody,
    StageBody,
)
from headgate.edge.admin.call import Route

PAGE, ONCE, UPDATE = "limit cursor", "Idempotency-Key", "If-Match Idempotency-Key"

ROUTES: Mapping[str, Route] = {
    "GET /admin/v1/flags": Route(flags.list_flags, {200: "FlagPage"}, takes=PAGE),
    "GET /admin/v1/flags/{key}": Route(flags.show_flag, {200: "Flag"}, refuses="unknown-flag"),
    "PUT /admin/v1/flags/{key}": Route(
        flags.put_flag, {200: "Flag", 201: "Flag"}, "FlagBody", takes=f"{UPDATE} If-None-Match",
        refuses="unknown-flag exists key-retired would-shrink"),
    "DELETE /admin/v1/flags/{key}": Route(
        flags.delete_flag, {204: None}, ChangeBody, takes=UPDATE, refuses="unknown-flag would-shrink access-killed"),
    "POST /admin/v1/flags/{key}/stage": Route(
        flags.set_stage, {200: "Flag"}, StageBody, takes=UPDATE, refuses="unknown-flag would-shrink"),
    "GET /admin/v1/flags/{key}/allow": Route(
        allow.list_members, {200: "MemberPage"}, takes=f"kind id {PAGE}", refuses="unknown-flag"),
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
        imports.abandon_import, {204: None}, ReasonBody, takes=ONCE,
        refuses="unknown-import import-closed"),
    "POST /admin/v1/flags/{key}/kill": Route(kill.kill, {200: "KilledFlag"}, KillBody, refuses="unknown-flag busy"),
    "GET /admin/v1/kills": Route(kills.list_kills, {200: "KillPage"}, takes=PAGE),
    "POST /admin/v1/flags/{key}/restore": Route(
        kill.restore, {200: "Flag"}, ReasonBody, takes=ONCE, refuses="unknown-flag"),
    "GET /admin/v1/routes": Route(routes.show_routes, {200: "Routes"}),
    "PUT /admin/v1/routes": Route(
        routes.put_routes, {200: "Routes"}, "RoutesBody", takes=UPDATE, refuses="would-shrink would-open"),
    "GET /admin/v1/manifest": Route(
        manifest.export, {200: "Manifest"}, takes="as_of cursor", refuses="chain-broken too-large"),
    "POST /admin/v1/manifest": Route(
        manifest.apply, {200: "Applied"}, "ApplyBody", takes=ONCE,
        refuses="key-retired precondition-failed would-shrink would-open access-killed"),
    "POST /admin/v1/manifest/plan": Route(manifest.plan, {200: "Plan"}, "PlanBody", refuses="access-killed"),
    "POST /admin/v1/explain": Route(
        explain.explain, {200: "Explanation"}, ExplainBody, refuses="chain-broken"),
    "POST /admin/v1/preview": Route(
        preview.preview, {200: "Preview"}, PreviewBody, refuses="unknown-flag key-retired access-killed"),
    "GET /admin/v1/audit": Route(
        audit.list_audit, {200: "AuditPage"}, takes=f"flag actor action after before since until {PAGE}"),
    "POST /admin/v1/audit/checkpoints": Route(
        checkpoints.make_checkpoint, {201: "Checkpoint"}, checkpoints.CheckpointBody, refuses="chain-broken"),
    "GET /admin/v1/audit/key": Route(checkpoints.show_audit_key, {200: "AuditKey"}),
    "GET /admin/v1/audit/reconcile": Route(reconcile.reconcile, {200: "Reconciliation"}, refuses="too-large"),
    "POST /admin/v1/revocations": Route(revocations.revoke, {201: "Revoked"}, revocations.RevocationBody, takes=ONCE),
    "POST /admin/v1/restored": Route(
        restored.confirm_restored, {201: "Restored"}, restored.RestoredBody, takes=ONCE),
    "GET /admin/v1/sessions": Route(sessions.list_sessions, {200: "SessionPage"}, takes=PAGE),
    "DELETE /admin/v1/sessions/{id}": Route(
        sessions.end_session, {204: None}, ReasonBody, takes=ONCE, refuses="not-found"),
    "GET /admin/v1/keys": Route(keys.list_keys, {200: "Keys"}),
    "POST /admin/v1/keys/rotate": Route(
        keys.rotate_keys, {200: "Keys"}, ReasonBody, takes=ONCE, refuses="cannot-rotate"),
    "POST /admin/v1/keys/revoke": Route(
        keys.revoke_key, {200: "Keys"}, keys.KeyBody, takes=ONCE, refuses="cannot-rotate"),
    "GET /admin/v1/health": Route(health.health, {200: "Health"}),
}  # fmt: skip
