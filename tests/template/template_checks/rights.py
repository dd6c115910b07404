"""Rules for the functions: permissions, settings, logs, and variables.

Each check takes a deployment and yields its faults as text. A valid deployment yields none.
"""

import json
from collections.abc import Iterator

from template_checks.deployment import Deployment, listed
from template_checks.expected import (
    ALLOWED,
    CHECKPOINTS_KEPT,
    DENIED,
    GATE_ENVIRONMENT,
    KEYS,
    LEADING_KEYS,
    OWN_ENVIRONMENT,
    SIGNERS,
    TIMEOUTS,
    TRACING,
)

LOG_WRITES = {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}
INLINE_LIMIT = 10_240
"""Characters of all inline policies of a role, without white space (IAM quotas)."""
_FUNCTION = "AWS::Lambda::Function"
TRACING_LAYER = {"Fn::If": ["Traces", {"Ref": "TracingLayer"}, {"Ref": "AWS::NoValue"}]}


def functions_match_expected(d: Deployment) -> Iterator[str]:
    for name in sorted(d.of(_FUNCTION).keys() ^ ALLOWED.keys()):
        yield f"{name} is missing or not expected"


def function_permissions_are_exact(d: Deployment) -> Iterator[str]:
    for function, wanted in ALLOWED.items():
        got: set[tuple[str, str]] = set()
        for statement in d.statements(function):
            if statement["Effect"] == "Allow":
                got |= {
                    (a, d.text(r))
                    for a in listed(statement.get("Action", []))
                    for r in listed(statement.get("Resource", []))
                }
                if {"NotAction", "NotResource"} & statement.keys():
                    yield f"{function} has an allow by exclusion"
        exact = {(action, resource if resource[:4] == "arn:" else f"<{resource}>") for action, resource in wanted}
        yield from (f"{function} may not {a} {r}" for a, r in sorted(exact - got))
        yield from (f"{function} may {a} {r}" for a, r in sorted(got - exact))


def no_permission_has_a_wildcard(d: Deployment) -> Iterator[str]:
    for function in ALLOWED:
        for statement in d.statements(function):
            for member in ("Action", "Resource", "NotResource"):
                for value in listed(statement.get(member, [])):
                    if "*" in d.text(value) and d.text(value) != CHECKPOINTS_KEPT:
                        yield f"{function}: {member} {d.text(value)}"


def roles_have_only_their_own_policies(d: Deployment) -> Iterator[str]:
    """No managed policy but that for logs (see `functions_write_only_their_own_log`). Only Lambda assumes the role."""
    logs = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    for function in ALLOWED:
        role = d.resources[f"{function}Role"]["Properties"]
        if role.get("ManagedPolicyArns") != [logs]:
            yield f"{function} has the managed policies {role.get('ManagedPolicyArns')}"
        trust = role["AssumeRolePolicyDocument"]["Statement"]
        if len(trust) != 1 or trust[0]["Principal"] != {"Service": ["lambda.amazonaws.com"]}:
            yield f"{function}'s role may be assumed by others"
        size = len(json.dumps(role.get("Policies", []), separators=(",", ":")))
        if size > INLINE_LIMIT:
            yield f"{function}'s policies take {size} characters"


def required_denials_exist(d: Deployment) -> Iterator[str]:
    for function, wanted in DENIED.items():
        got: set[str] = set()
        for statement in d.statements(function):
            whole = statement["Effect"] == "Deny" and "Condition" not in statement
            if whole and listed(statement.get("Resource", [])) == [{"Fn::GetAtt": ["Table", "Arn"]}]:
                got |= set(listed(statement["Action"]))
        yield from (f"{function} is not denied {action}" for action in sorted(wanted - got))


def audit_is_append_only(d: Deployment) -> Iterator[str]:
    """Whoever writes entries is denied changing or deleting one, whatever else is allowed."""
    for function in ("AdminFunction", "KillFunction"):
        found = [
            statement
            for statement in d.statements(function)
            if statement["Effect"] == "Deny"
            and {"dynamodb:UpdateItem", "dynamodb:DeleteItem"} <= set(listed(statement["Action"]))
            and statement.get("Condition") == {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["audit"]}}
            and statement.get("Resource") == {"Fn::GetAtt": ["Table", "Arn"]}
        ]
        if not found:
            yield f"{function} may rewrite audit entries"


def partition_keys_are_bounded(d: Deployment) -> Iterator[str]:
    """`ForAllValues` is true without any key, so the key must also be required."""
    for (function, action), wanted in LEADING_KEYS.items():
        for statement in d.statements(function):
            if statement["Effect"] != "Allow" or action not in listed(statement["Action"]):
                continue
            condition = statement.get("Condition", {})
            got = condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
            if set(got) != wanted or condition.get("Null") != {"dynamodb:LeadingKeys": "false"} or len(condition) != 2:
                yield f"{function} may {action} beyond {sorted(wanted)}"


def only_es256_over_messages_is_allowed(d: Deployment) -> Iterator[str]:
    """ES256 over the message itself: a role that may sign digests can be made to sign what it has not seen."""
    wanted = {"StringEquals": {"kms:SigningAlgorithm": "ECDSA_SHA_256", "kms:MessageType": "RAW"}}
    for function in ALLOWED:
        for statement in d.statements(function):
            if "kms:Sign" in listed(statement["Action"]) and statement.get("Condition") != wanted:
                yield f"{function}: kms:Sign is conditioned by {statement.get('Condition')}"


def signer_role_paths_match_the_key_policies(d: Deployment) -> Iterator[str]:
    """A key names its signer by the role's path, which no other role may share."""
    paths = {f"{name.capitalize()}Function": name for name in SIGNERS.values()} | {
        "CheckpointFunction": "admin/checkpoint"
    }
    for function in ALLOWED:
        path = d.resources[f"{function}Role"]["Properties"].get("Path", "")
        wanted = f"/headgate/headgate-production/{paths[function]}/" if function in paths else ""
        if d.text(path) != wanted:
            yield f"{function}'s role is at {path!r}, not at {wanted!r}"


def functions_write_only_their_own_log(d: Deployment) -> Iterator[str]:
    groups = d.of("AWS::Logs::LogGroup")
    for function, properties in d.of(_FUNCTION).items():
        group = properties.get("LoggingConfig", {}).get("LogGroup", {}).get("Ref")
        if group not in groups:
            yield f"{function} has no log group of its own"
            continue
        own = {f"<{group}>", f"arn:aws:logs:ap-southeast-2:123456789012:log-group:<{group}>"}
        narrowed = [
            s
            for s in d.statements(function)
            if s["Effect"] == "Deny"
            and set(listed(s["Action"])) == LOG_WRITES
            and {d.text(r) for r in listed(s.get("NotResource", []))} == own
        ]
        if not narrowed:
            yield f"{function} may write other logs than {group}"


def logs_expire(d: Deployment) -> Iterator[str]:
    groups = d.of("AWS::Logs::LogGroup")
    if len(groups) != len(ALLOWED) + 1:
        yield f"{len(groups)} log groups for {len(ALLOWED)} functions and the API"
    for name, group in groups.items():
        if group.get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name} keeps logs forever"


def functions_have_common_settings(d: Deployment) -> Iterator[str]:
    for name, f in d.of(_FUNCTION).items():
        version = str(f.get("Runtime", "")).removeprefix("python").split(".")
        if len(version) != 2 or not all(v.isdigit() for v in version) or tuple(map(int, version)) < (3, 13):
            yield f"{name} runs on {f.get('Runtime')}"
        if f.get("Architectures") != ["arm64"] or f.get("Handler") != "app.handler":
            yield f"{name} runs {f.get('Handler')} on {f.get('Architectures')}"
        if f.get("Timeout") != TIMEOUTS.get(name, 10):
            yield f"{name} has {f.get('Timeout')} s"
        if not 512 <= f.get("MemorySize", 128) <= 2048:
            yield f"{name} has {f.get('MemorySize')} MB"
        layer, *others = f.get("Layers", [{"Ref": "none"}])
        if not str(layer.get("Ref")).startswith("HeadgateLayer"):
            yield f"{name} does not use the layer"
        if others != ([TRACING_LAYER] if OWN_ENVIRONMENT.get(name, set()) >= TRACING else []):
            yield f"{name} has other layers: {others}"


def every_role_has_the_boundary(d: Deployment) -> Iterator[str]:
    boundary = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    for name, role in d.of("AWS::IAM::Role").items():
        if role.get("PermissionsBoundary") != boundary:
            yield f"{name} has the boundary {role.get('PermissionsBoundary')}"


def kill_concurrency_can_be_reserved(d: Deployment) -> Iterator[str]:
    """Zero would disable the function, so that no reservation means that the member is absent."""
    for name, parameter in (("KillFunction", "KillReservedConcurrency"), ("AdminFunction", "AdminReservedConcurrency")):
        reserved = d.resources[name]["Properties"].get("ReservedConcurrentExecutions", {}).get("Fn::If", [None] * 3)
        if reserved[1:] != [{"Ref": parameter}, {"Ref": "AWS::NoValue"}]:
            yield f"{name} reserves {reserved}"
        elif d.template["Conditions"].get(reserved[0]) != {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, "0"]}]}:
            yield f"{name} reserves under another condition than {parameter}"


def environment_variables_match_expected(d: Deployment) -> Iterator[str]:
    for name, f in d.of(_FUNCTION).items():
        got = set(f.get("Environment", {}).get("Variables", {}))
        wanted = GATE_ENVIRONMENT | OWN_ENVIRONMENT.get(name, set())
        yield from (f"{name}: {variable} is missing or not expected" for variable in sorted(got ^ wanted))
    keys = d.of(_FUNCTION)["TokenFunction"]["Environment"]["Variables"].get("HEADGATE_SIGNING_KEYS", "")
    if set(d.text(keys).split(",")) != {f"<{key}>" for key in KEYS}:
        yield f"the pool of keys is {d.text(keys)}"


CHECKS = (
    functions_match_expected, function_permissions_are_exact, no_permission_has_a_wildcard,
    roles_have_only_their_own_policies, required_denials_exist, audit_is_append_only, partition_keys_are_bounded,
    only_es256_over_messages_is_allowed, signer_role_paths_match_the_key_policies, functions_write_only_their_own_log,
    logs_expire, functions_have_common_settings, every_role_has_the_boundary,
    kill_concurrency_can_be_reserved,
    environment_variables_match_expected,
)  # fmt: skip
