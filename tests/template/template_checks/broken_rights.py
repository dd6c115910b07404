"""Templates with one small fault in functions, tables, or keys, by the rule that finds it."""

from template_checks import data, rights
from template_checks.deployment import Check
from template_checks.edits import TABLE, Edit, also, append, copy_of, drop, put, statement, without

_FUNCTION = "Resources.{}Function.Properties.{}"
_KEY_POLICY = "Resources.SigningKey2.Properties.KeyPolicy.Statement"
_AUDIT_KEY_POLICY = "Resources.AuditKey.Properties.KeyPolicy.Statement"
_KEY = {"Fn::GetAtt": ["SigningKey1", "Arn"]}
_AUDIT_KEY = {"Fn::GetAtt": ["AuditKey", "Arn"]}


def _leading(*keys: str) -> dict[str, object]:
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}}


_KEYED = {"Null": {"dynamodb:LeadingKeys": "false"}}

BROKEN: dict[Check, dict[str, Edit]] = {
    rights.functions_match_expected: {
        "one more": copy_of("AuthorizerFunction"),
    },
    rights.function_permissions_are_exact: {
        "authorizer writes": statement("Authorizer", "ReadGate", Action=["dynamodb:PutItem"]),
        "evaluation signs": also("Evaluate", Action="kms:Sign", Resource=_KEY),
        "worker at the gate's table": also("Worker", Action="dynamodb:GetItem", Resource=TABLE),
        "exchange without keys": without("Token", "ReadPublicKeys"),
        "kill signs checkpoints": also("Kill", Action="kms:Sign", Resource=_AUDIT_KEY),
        "admin signs tokens": statement("Admin", "SignCheckpoints", Resource=[_AUDIT_KEY, _KEY]),
        "admin signs no checkpoints": without("Admin", "SignCheckpoints"),
        "by exclusion": also("Admin", NotAction="iam:PassRole", Resource=TABLE),
    },
    rights.no_permission_has_a_wildcard: {
        "every action": also("Admin", Action="dynamodb:*", Resource=TABLE),
        "every resource": statement("Token", "ReadGate", Resource="*"),
    },
    rights.roles_have_only_their_own_policies: {
        "ready policy": append(
            _FUNCTION.format("Worker", "Policies"), "arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess"
        ),
        "tracing": put(_FUNCTION.format("Admin", "Tracing"), "Active"),
        "assumed by others": put(
            _FUNCTION.format("Worker", "AssumeRolePolicyDocument"),
            {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]},
        ),
    },
    rights.required_denials_exist: {
        "evaluation": without("Evaluate", "NeverWrite"),
        "authorizer denied less": statement("Authorizer", "NeverWrite", Action=["dynamodb:PutItem"]),
        "admin scans": without("Admin", "NeverInBulk"),
    },
    rights.audit_is_append_only: {
        "admin": without("Admin", "NeverRewriteTheAudit"),
        "kill deletes": statement("Kill", "NeverRewriteTheAudit", Action=["dynamodb:UpdateItem"]),
    },
    rights.partition_keys_are_bounded: {
        "exchange writes flags": statement("Token", "WriteSessionsAndTheirEnds", Condition=None),
        "no key at all": statement(
            "Token",
            "WriteSessionsAndTheirEnds",
            Condition=_leading("head", "denials", "audit", "idem#*", "sessions#*"),
        ),
        "kill writes sessions": statement(
            "Kill", "WriteTheKill", Condition=_leading("head", "rules", "audit", "idem#*", "sessions#*") | _KEYED
        ),
        "kill reads all": statement("Kill", "ReadGateAndSessions", Condition=None),
    },
    rights.only_es256_over_messages_is_allowed: {
        "any": statement("Token", "SignTokens", Condition=None),
        "any checkpoint": statement("Admin", "SignCheckpoints", Condition=None),
        "digests": statement(
            "Admin",
            "SignCheckpoints",
            Condition={"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "DIGEST"}},
        ),
    },
    rights.signer_role_paths_match_the_key_policies: {
        "unknown signer": drop(_FUNCTION.format("Token", "RolePath")),
        "unknown checkpoint signer": drop(_FUNCTION.format("Admin", "RolePath")),
        "worker at the signer's path": put(
            _FUNCTION.format("Worker", "RolePath"), {"Fn::Sub": "/headgate/${AWS::StackName}/token/"}
        ),
        "kill at the checkpoint signer's path": put(
            _FUNCTION.format("Kill", "RolePath"), {"Fn::Sub": "/headgate/${AWS::StackName}/admin/"}
        ),
    },
    rights.functions_write_only_their_own_log: {
        "all logs": without("Worker", "OwnLogsOnly"),
        "another's": put(_FUNCTION.format("Worker", "LoggingConfig"), {"LogGroup": {"Ref": "TokenLogs"}}),
        "no group": drop(_FUNCTION.format("Kill", "LoggingConfig")),
    },
    rights.logs_expire: {
        "never": drop("Resources.TokenLogs.Properties.RetentionInDays"),
        "no access log": drop("Resources.AccessLogs"),
    },
    rights.functions_have_common_settings: {
        "old runtime": put("Globals.Function.Runtime", "python3.12"),
        "another processor": put("Globals.Function.Architectures", ["x86_64"]),
        "another handler": put(_FUNCTION.format("Kill", "Handler"), "app.kill"),
        "slow authorizer": put(_FUNCTION.format("Authorizer", "Timeout"), 29),
        "no layer": drop("Globals.Function.Layers"),
        "starved": put("Globals.Function.MemorySize", 128),
    },
    rights.every_role_has_the_boundary: {
        "no function's": drop("Globals.Function.PermissionsBoundary"),
        "not the schedule's": drop("Resources.HealthScheduleRole.Properties.PermissionsBoundary"),
    },
    rights.kill_concurrency_can_be_reserved: {
        "none": drop(_FUNCTION.format("Kill", "ReservedConcurrentExecutions")),
        "zero": put(_FUNCTION.format("Kill", "ReservedConcurrentExecutions"), {"Ref": "KillReservedConcurrency"}),
        "another's condition": put("Conditions.ReserveKill", {"Condition": "ReserveAdmin"}),
    },
    rights.environment_variables_match_expected: {
        "issuers for the worker": put(
            _FUNCTION.format("Worker", "Environment"), {"Variables": {"HEADGATE_IDENTITY_ISSUERS": "[]"}}
        ),
        "a smaller pool": put("Globals.Function.Environment.Variables.HEADGATE_SIGNING_KEYS", {"Ref": "SigningKey1"}),
    },
    data.tables_are_protected: {
        "deletable": put("Resources.Table.Properties.DeletionProtectionEnabled", False),
        "no point-in-time recovery": drop("Resources.Table.Properties.PointInTimeRecoverySpecification"),
        "no stream": drop("Resources.Table.Properties.StreamSpecification"),
        "other TTL": put("Resources.Table.Properties.TimeToLiveSpecification.AttributeName", "ttl"),
    },
    data.stored_data_is_retained: {
        "deleted with the stack": put("Resources.Table.DeletionPolicy", "Delete"),
        "deleted when replaced": drop("Resources.Table.UpdateReplacePolicy"),
        "a key is deleted": drop("Resources.SigningKey3.DeletionPolicy"),
        "unused keys are paid for": put("Resources.SigningKey3.DeletionPolicy", "Retain"),
        "checkpoints outlive their key": drop("Resources.AuditKey.UpdateReplacePolicy"),
    },
    data.keys_match_expected: {
        "another curve": put("Resources.SigningKey1.Properties.KeySpec", "ECC_NIST_P384"),
        "one more": copy_of("SigningKey3"),
        "deleted in a week": put("Resources.SigningKey3.Properties.PendingWindowInDays", 7),
    },
    data.each_key_has_one_signer: {
        "open to all": put(f"{_KEY_POLICY}.0.Principal", {"AWS": "*"}),
        "anyone in the account signs": drop(f"{_KEY_POLICY}.1"),
        "anyone signs checkpoints": drop(f"{_AUDIT_KEY_POLICY}.1"),
        "the token function signs checkpoints": put(
            f"{_AUDIT_KEY_POLICY}.1.Condition.ArnNotLike.aws:PrincipalArn",
            {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/headgate/${AWS::StackName}/token/*"},
        ),
        "open audit key": put(f"{_AUDIT_KEY_POLICY}.0.Principal", {"AWS": "*"}),
        "any role signs": put(
            f"{_KEY_POLICY}.1.Condition.ArnNotLike", {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}
        ),
    },
}
