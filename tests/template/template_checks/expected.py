"""The expected deployment, as tables: each route's authorization and function, each permission, each role."""

GATE, IAM, OPEN = "Gate", "AWS_IAM", "NONE"

_ADMIN = """
GET /admin/v1/flags
GET /admin/v1/flags/{key}
PUT /admin/v1/flags/{key}
DELETE /admin/v1/flags/{key}
POST /admin/v1/flags/{key}/stage
POST /admin/v1/flags/{key}/allow
GET /admin/v1/flags/{key}/allow
POST /admin/v1/flags/{key}/imports
GET /admin/v1/flags/{key}/imports/{import}
GET /admin/v1/kills
POST /admin/v1/flags/{key}/imports/{import}/members
POST /admin/v1/flags/{key}/imports/{import}/commit
DELETE /admin/v1/flags/{key}/imports/{import}
POST /admin/v1/flags/{key}/restore
GET /admin/v1/routes
PUT /admin/v1/routes
GET /admin/v1/manifest
POST /admin/v1/manifest
POST /admin/v1/manifest/plan
POST /admin/v1/explain
POST /admin/v1/preview
GET /admin/v1/audit
POST /admin/v1/audit/checkpoints
GET /admin/v1/audit/key
GET /admin/v1/audit/reconcile
POST /admin/v1/restored
GET /admin/v1/sessions
DELETE /admin/v1/sessions/{id}
POST /admin/v1/revocations
GET /admin/v1/keys
POST /admin/v1/keys/rotate
POST /admin/v1/keys/revoke
GET /admin/v1/health
GET /admin/v1/openapi.json
""".split("\n")[1:-1]

_WORKER = ("GET /whoami", "GET /decision")

KILL, KILLS = "POST /admin/v1/flags/{key}/kill", "GET /admin/v1/kills"
SERVICE = "POST /v1/service-token"

OPEN_ROUTES = {
    "POST /v1/token": "TokenFunction",
    "GET /.well-known/jwks.json": "TokenFunction",
    "GET /.well-known/oauth-authorization-server": "TokenFunction",
    "POST /ofrep/v1/evaluate/flags": "EvaluateFunction",
    "POST /ofrep/v1/evaluate/flags/{key}": "EvaluateFunction",
}

ROUTES: dict[str, tuple[str, str]] = {
    **{route: (OPEN, function) for route, function in OPEN_ROUTES.items()},
    SERVICE: (IAM, "TokenFunction"),
    **dict.fromkeys(_ADMIN, (IAM, "AdminFunction")),
    KILL: (IAM, "KillFunction"),
    **dict.fromkeys(_WORKER, (GATE, "WorkerFunction")),
}
"""Route key to its authorization and its function."""

THROTTLED = {"POST /v1/token": 200, SERVICE: 200, KILL: 5_000}
"""The routes with a bucket of their own, and the least that it holds. Every version of the template has them."""

READS = {route for route in _ADMIN if route.startswith("GET ")}
ASKS = {"POST /admin/v1/explain", "POST /admin/v1/preview", "POST /admin/v1/manifest/plan"}
"""POST routes that change nothing."""
ALL_ADMIN = {*_ADMIN, KILL}
RIGHTS_ROUTES = {f"POST /admin/v1/{name}" for name in ("revocations", "keys/rotate", "keys/revoke", "restored")}
"""Only the admin role may revoke tokens, rotate keys, and confirm a restored table."""

CHECKPOINTS = {"POST /admin/v1/audit/checkpoints"}
"""Only auditors may request checkpoints: whoever changes flags does not certify the record of it."""

ROLES = {
    "ViewerPolicy": READS | ASKS,
    "AuditorPolicy": READS | CHECKPOINTS,
    "EditorPolicy": ALL_ADMIN - RIGHTS_ROUTES - CHECKPOINTS,
    "KillOperatorPolicy": {KILL, KILLS},
    "AdminPolicy": ALL_ADMIN,
    "ServicePolicy": {SERVICE},
}
EMERGENCY = "EmergencyPolicy"
"""The one managed policy that is not about routes (`emergency`)."""

KEYS = {"SigningKey1", "SigningKey2", "SigningKey3"}
AUDIT_KEY = "AuditKey"
SIGNERS = {**dict.fromkeys(KEYS, "token"), AUDIT_KEY: "admin"}
"""Each key, and the last part of the path above each role that signs with it."""
_READ_TABLE = {("dynamodb:GetItem", "Table"), ("dynamodb:BatchGetItem", "Table"), ("dynamodb:Query", "Table")}
_CHANGE_TABLE = {("dynamodb:PutItem", "Table")}
WEBHOOK_SECRET = "arn:aws:secretsmanager:ap-southeast-2:123456789012:secret:${WebhookSecret}"
CHECKPOINTS_KEPT = "arn:aws:s3:::${CheckpointBucket}/headgate-production/*"
_PUBLIC_KEYS = {("kms:GetPublicKey", key) for key in KEYS}

ALLOWED = {
    "TokenFunction": _READ_TABLE | _CHANGE_TABLE | _PUBLIC_KEYS | {("kms:Sign", key) for key in KEYS},
    "EvaluateFunction": _READ_TABLE | _PUBLIC_KEYS,
    "AuthorizerFunction": _READ_TABLE | _PUBLIC_KEYS,
    "AdminFunction": _READ_TABLE | _CHANGE_TABLE | {("kms:Sign", AUDIT_KEY), ("kms:GetPublicKey", AUDIT_KEY)},
    "KillFunction": _READ_TABLE | _CHANGE_TABLE,
    "WorkerFunction": set(),
    "PublishFunction": set(),
    "WebhookFunction": {("secretsmanager:GetSecretValue", WEBHOOK_SECRET), ("sqs:SendMessage", "Undelivered")},
    "CheckpointFunction": {
        ("dynamodb:GetItem", "Table"),
        ("kms:Sign", AUDIT_KEY),
        ("s3:PutObject", CHECKPOINTS_KEPT),
        ("sqs:SendMessage", "Undelivered"),
    },
}
"""Exactly what each function may do: action and resource, by logical id or ARN."""

OFF_BY_DEFAULT = {"AcceptsOldTokens", "RecordLeaves", "SendsWebhooks", "TellsSlack", "KeepsCheckpoints", "RotatesKeys"}
"""The conditions that do not hold with default parameters."""

RULES = {"WebhookFunction": "WebhookRule", "CheckpointFunction": "CheckpointRule"}
"""The functions that EventBridge calls, and the one rule that may call each."""

DENIED = {
    "EvaluateFunction": {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"},
    "AuthorizerFunction": {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem"},
    "AdminFunction": {"dynamodb:Scan", "dynamodb:BatchWriteItem", "dynamodb:DeleteTable", "dynamodb:UpdateTable"},
}
"""What is denied on the gate's table, whatever another statement allows."""

LEADING_KEYS = {
    ("TokenFunction", "dynamodb:PutItem"): {"head", "denials", "audit", "idem#*", "sessions#*"},
    ("KillFunction", "dynamodb:GetItem"): {"head", "rules", "denials", "audit", "idem#*", "sessions#*"},
    ("KillFunction", "dynamodb:BatchGetItem"): {"head", "rules", "denials", "audit", "idem#*", "sessions#*"},
    ("KillFunction", "dynamodb:Query"): {"head", "rules", "denials", "audit", "idem#*", "sessions#*"},
    ("KillFunction", "dynamodb:PutItem"): {"head", "rules", "audit", "idem#*"},
    ("CheckpointFunction", "dynamodb:GetItem"): {"head", "audit"},
}
"""Partition keys (store/items.py) that limit an allowed action."""

GATE_ENVIRONMENT = {
    "HEADGATE_TABLE",
    "HEADGATE_HOME",
    "HEADGATE_SIGNING_KEYS",
    "HEADGATE_ISSUER",
    "HEADGATE_AUDIENCE",
    "HEADGATE_STACK",
}
TRACING = {"HEADGATE_TRACING", "AWS_LAMBDA_EXEC_WRAPPER"}
OWN_ENVIRONMENT = {
    "TokenFunction": {"HEADGATE_IDENTITY_ISSUERS", "HEADGATE_EMERGENCY_KILL", "HEADGATE_ORIGIN_DIGESTS", *TRACING},
    "EvaluateFunction": {"HEADGATE_EMERGENCY_KILL", "HEADGATE_ORIGIN_DIGESTS", *TRACING},
    "AuthorizerFunction": {
        *TRACING,
        "HEADGATE_EMERGENCY_KILL",
        "HEADGATE_EMERGENCY_ROUTES",
        "HEADGATE_ORIGIN_DIGESTS",
        "HEADGATE_IDENTITY_ISSUERS",
        "HEADGATE_LEGACY_ISSUER",
        "HEADGATE_LEGACY_SECRET_ARN",
    },
    "AdminFunction": {"HEADGATE_EMAIL_IDS", "HEADGATE_AUDIT_KEY"},
    "KillFunction": {"HEADGATE_ONLY_ROUTE"},
    "WebhookFunction": {"HEADGATE_WEBHOOK_URL", "HEADGATE_WEBHOOK_SECRET_ARN"},
    "CheckpointFunction": {"HEADGATE_AUDIT_KEY", "HEADGATE_CHECKPOINT_BUCKET"},
}
TIMEOUTS = {"AuthorizerFunction": 5, "AdminFunction": 29}
"""Seconds, if not 10. API Gateway allows an integration 30 and an authorizer 10."""
