"""Templates whose emergency kill is wrong in one small thing, by the rule that finds it."""

from template_checks import emergency
from template_checks.deployment import Check
from template_checks.edits import Edit, append, copy_of, drop, put

_VARIABLES = "Resources.{}Function.Properties.Environment.Variables.{}"
_STATEMENTS = "Resources.EmergencyPolicy.Properties.PolicyDocument.Statement"

BROKEN: dict[Check, dict[str, Edit]] = {
    emergency.the_gate_follows_deployments: {
        "stands on a version": put("Resources.GateAlias.Properties.FunctionVersion", "1"),
        "another function": put("Resources.GateAlias.Properties.FunctionName", {"Ref": "WorkerFunction"}),
        "one more": copy_of("GateAlias"),
        "published": put("Resources.TokenFunction.Properties.AutoPublishAlias", "live"),
    },
    emergency.the_kill_reaches_its_functions: {
        "not the exchange": drop(_VARIABLES.format("Token", emergency.KILL)),
        "always": put(_VARIABLES.format("Evaluate", emergency.KILL), "*"),
        "the admin too": put(_VARIABLES.format("Admin", emergency.KILL), {"Ref": "EmergencyKill"}),
        "routes for the exchange": put(_VARIABLES.format("Token", emergency.ROUTES), ""),
        "no routes": drop(_VARIABLES.format("Authorizer", emergency.ROUTES)),
    },
    emergency.the_parameter_takes_keys: {
        "by default": put("Parameters.EmergencyKill.Default", "*"),
        "anything": drop("Parameters.EmergencyKill.AllowedPattern"),
        "one key only": put("Parameters.EmergencyKill.AllowedPattern", "^([*]|[a-z]+)?$"),
    },
    emergency.the_role_may_do_exactly_this: {
        "code": append(f"{_STATEMENTS}.1.Resource", {"Fn::GetAtt": ["WorkerFunction", "Arn"]}),
        "every function": put(f"{_STATEMENTS}.1.Resource", "*"),
        "more actions": put(f"{_STATEMENTS}.2.Action", "lambda:*"),
        "less": drop(f"{_STATEMENTS}.0"),
        "conditions": put(f"{_STATEMENTS}.1.Condition", {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        "none": drop("Resources.EmergencyPolicy"),
    },
}
