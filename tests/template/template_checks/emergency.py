"""Rules for the emergency kill: how the authorizer is called, which variables carry it, who may set them.

Each check takes a deployment and yields its faults as text. A valid deployment yields none.
"""

import re
from collections.abc import Iterator

from template_checks.deployment import Deployment, listed

KILL, ROUTES = "HEADGATE_EMERGENCY_KILL", "HEADGATE_EMERGENCY_ROUTES"
KILLED = ("AuthorizerFunction", "TokenFunction", "EvaluateFunction")
POLICY = "EmergencyPolicy"
_OF_ALL = {name for function in KILLED for name in (f"<{function}>", f"<{function}>:*")}
_OF_THE_GATE = {"<AuthorizerFunction>", "<AuthorizerFunction>:*"}
MAY = {
    "cloudformation:DescribeStackResource": {
        "arn:aws:cloudformation:ap-southeast-2:123456789012:stack/headgate-production/*"
    },
    "lambda:UpdateFunctionConfiguration": {f"<{function}>" for function in KILLED},
    "lambda:GetFunctionConfiguration": _OF_ALL,
    "lambda:GetAlias": _OF_ALL,
    "lambda:PublishVersion": _OF_THE_GATE,
    "lambda:UpdateAlias": _OF_THE_GATE,
}
"""Exactly what the emergency role may do, by action."""


def alias_follows_deployments(d: Deployment) -> Iterator[str]:
    """The alias points to $LATEST: a version would keep old parameters in effect, such as a removed issuer."""
    aliases = d.of("AWS::Lambda::Alias")
    wanted = {"Name": "live", "FunctionName": {"Ref": "AuthorizerFunction"}, "FunctionVersion": "$LATEST"}
    if aliases != {"GateAlias": wanted}:
        yield f"the aliases are {aliases}"
    yield from (f"{name} is published by the template" for name in d.of("AWS::Lambda::Version"))


def kill_variable_is_on_its_functions(d: Deployment) -> Iterator[str]:
    for name, function in d.of("AWS::Lambda::Function").items():
        variables = function.get("Environment", {}).get("Variables", {})
        if (variables.get(KILL) == {"Ref": "EmergencyKill"}) != (name in KILLED):
            yield f"{name}: {KILL} is {variables.get(KILL)}"
        if (variables.get(ROUTES) == "") != (name == "AuthorizerFunction"):
            yield f"{name}: {ROUTES} is {variables.get(ROUTES)}"


def kill_parameter_accepts_flag_keys(d: Deployment) -> Iterator[str]:
    spec = d.source["Parameters"].get("EmergencyKill", {})
    taken = re.compile(spec.get("AllowedPattern", ".*"))
    if spec.get("Default") != "":
        yield "a deployment kills by default"
    yield from (f"{text!r} is refused" for text in ("", "*", "a", "a,b.c-d_e") if not taken.fullmatch(text))
    yield from (f"{text!r} is accepted" for text in ("A", "a,", "*,a", "a b", "true;") if taken.fullmatch(text))


def emergency_permissions_are_exact(d: Deployment) -> Iterator[str]:
    got: dict[str, set[str]] = {}
    for statement in listed(
        d.of("AWS::IAM::ManagedPolicy").get(POLICY, {}).get("PolicyDocument", {}).get("Statement", [])
    ):
        if statement.keys() - {"Sid"} != {"Effect", "Action", "Resource"} or statement["Effect"] != "Allow":
            yield f"{statement.get('Sid')} is more than an allow"
        for action in listed(statement.get("Action", [])):
            got.setdefault(action, set()).update(map(d.text, listed(statement["Resource"])))
    yield from (
        f"{action} on {got.get(action)}" for action in sorted(got.keys() | MAY) if got.get(action) != MAY.get(action)
    )


CHECKS = (
    alias_follows_deployments, kill_variable_is_on_its_functions, kill_parameter_accepts_flag_keys,
    emergency_permissions_are_exact,
)  # fmt: skip
