"""The example's stack: its own API behind the gate's authorizer, using only that and the layer of the gate."""

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from template_checks import api, rights
from template_checks.api import function_policy_sizes
from template_checks.data import TABLE
from template_checks.deployment import Deployment, listed
from template_checks.edits import Edit, append, broken_by, drop, put

ROUTES = """
POST /api/users/{user}/towns
POST /api/orgs/{org}/towns
GET /api/towns
GET /api/towns/{town}
GET /api/towns/{town}/status
POST /api/towns/{town}/rigs
POST /api/towns/{town}/convoys
POST /api/towns/{town}/agents/{agent}/convoys
PATCH /api/towns/{town}/config
POST /api/towns/{town}/molecules
POST /api/towns/{town}/container
DELETE /api/towns/{town}/container
DELETE /api/towns/{town}
POST /api/towns/{town}/agents/{agent}/heartbeat
POST /api/towns/{town}/agents/{agent}/mail
POST /api/towns/{town}/agents/{agent}/done
GET /trpc/{procedures}
POST /trpc/{procedures}
""".split("\n")[1:-1]

FUNCTION, STORE = "GastownFunction", "GastownTable"
ACTIONS = "GetItem Query PutItem UpdateItem DeleteItem ConditionCheckItem".split()


def gate_of(d: Deployment, name: str) -> dict[str, Any]:
    """The authorizer as API Gateway gets it."""
    scheme = d.of("AWS::ApiGatewayV2::Api")[name]["Body"]["components"]["securitySchemes"]["Gate"]
    found: dict[str, Any] = scheme["x-amazon-apigateway-authorizer"]
    return found


def routes_match_and_use_the_gate(d: Deployment) -> Iterator[str]:
    found = Counter(f"{method} {path}" for method, path, _ in d.operations())
    yield from (f"{route} is there {found[route]} times" for route in found.keys() | ROUTES if found[route] != 1)
    yield from (f"{route} is not expected" for route in found.keys() - {*ROUTES})
    for method, path, operation in d.operations():
        if operation.get("security") != [{"Gate": []}]:
            yield f"{method} {path} is {operation.get('security')}"
        integration = operation["x-amazon-apigateway-integration"]
        if f"<{FUNCTION}>" not in d.text(integration["uri"]) or integration.get("payloadFormatVersion") != "2.0":
            yield f"{method} {path} goes to another function"


def only_the_api_may_call(d: Deployment) -> Iterator[str]:
    permissions = d.of("AWS::Lambda::Permission").values()
    for permission in permissions:
        if permission["Principal"] != "apigateway.amazonaws.com" or ":<Api>/" not in d.text(permission["SourceArn"]):
            yield f"{permission} allows callers other than this API"
    called = Counter(d.text(permission["FunctionName"]) for permission in permissions)
    if called != {f"<{FUNCTION}>": len(ROUTES), "<GateArn>": 1}:
        yield f"the permissions are {called}"


def permissions_are_exact(d: Deployment) -> Iterator[str]:
    allowed = {
        (action, d.text(resource))
        for s in d.statements(FUNCTION)
        if s["Effect"] == "Allow"
        for action in listed(s.get("Action", ["*"]))
        for resource in listed(s.get("Resource", "*"))
    }
    if allowed != {(f"dynamodb:{name}", f"<{STORE}>") for name in ACTIONS}:
        yield f"the function may do {allowed}"


def table_is_protected_and_retained(d: Deployment) -> Iterator[str]:
    if d.of("AWS::DynamoDB::Table").keys() != {STORE}:
        yield "the tables differ"
        return
    table = d.resources[STORE]
    yield from (f"{k} is {table['Properties'].get(k)}" for k, v in TABLE.items() if table["Properties"].get(k) != v)
    yield from (f"{k} is {table.get(k)}" for k in ("DeletionPolicy", "UpdateReplacePolicy") if table.get(k) != "Retain")


def settings_match_the_gates(d: Deployment) -> Iterator[str]:
    function = d.of("AWS::Lambda::Function")[FUNCTION]
    wanted = {
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "app.handler",
        "Layers": [{"Ref": "LayerArn"}],
        "Environment": {"Variables": {"GASTOWN_TABLE": {"Ref": STORE}}},
    }
    yield from (f"{k} is {function.get(k)}" for k, v in wanted.items() if function.get(k) != v)


_API = "Resources.Api.Properties"
_STATEMENT = f"Resources.{FUNCTION}.Properties.Policies.0.Statement"
_EVENTS = f"Resources.{FUNCTION}.Properties.Events"
_ANYONE = {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": FUNCTION}, "Principal": "*", "SourceArn": "*"}

BROKEN: dict[Any, dict[str, Edit]] = {
    routes_match_and_use_the_gate: {
        "open": put(f"{_EVENTS}.ListTowns.Properties.Auth", {"Authorizer": "NONE"}),
        "one route fewer": drop(f"{_EVENTS}.DeleteTown"),
        "no default": drop(f"{_API}.Auth.DefaultAuthorizer"),
    },
    only_the_api_may_call: {
        "anyone": put("Resources.More", {"Type": "AWS::Lambda::Permission", "Properties": _ANYONE}),
        "the authorizer may not be called": drop(f"{_API}.Auth.Authorizers.Gate.EnableFunctionDefaultPermissions"),
    },
    permissions_are_exact: {
        "every table": put(f"{_STATEMENT}.0.Resource", "*"),
        "scans": append(f"{_STATEMENT}.0.Action", "dynamodb:Scan"),
    },
    table_is_protected_and_retained: {
        "deletable": put(f"Resources.{STORE}.Properties.DeletionProtectionEnabled", False),
        "deleted with the stack": put(f"Resources.{STORE}.DeletionPolicy", "Delete"),
    },
    settings_match_the_gates: {
        "no layer": drop(f"Resources.{FUNCTION}.Properties.Layers"),
        "knows the gate's table": put(f"Resources.{FUNCTION}.Properties.Environment.Variables.HEADGATE_TABLE", "t"),
    },
    rights.functions_write_only_their_own_log: {"every log": drop(f"{_STATEMENT}.1")},
    api.no_route_is_greedy: {"any method": put(f"{_EVENTS}.ListTowns.Properties.Method", "ANY")},
}


@pytest.mark.parametrize("check", BROKEN, ids=lambda check: check.__name__)
def test_example_satisfies(check: Any, example: Deployment) -> None:
    assert list(check(example)) == []


@pytest.mark.parametrize(
    ("check", "edit"),
    broken_by(BROKEN),
)
def test_broken_example_is_found_by(check: Any, edit: Edit, example: Deployment) -> None:
    source = copy.deepcopy(example.source)
    edit(source)
    assert list(check(Deployment(source)))


def test_authorizer_matches_the_gates(example: Deployment, deployment: Deployment) -> None:
    own, gates = dict(gate_of(example, "Api")), dict(gate_of(deployment, "HttpApi"))
    assert "<GateArn>" in example.text(own.pop("authorizerUri"))
    assert "<GateAlias>" in deployment.text(gates.pop("authorizerUri"))
    assert own == gates


def test_parameters_are_outputs_of_the_gate(example: Deployment, deployment: Deployment) -> None:
    needed = {name for name, spec in example.source["Parameters"].items() if "Default" not in spec}
    assert needed == {"GateArn", "LayerArn"}
    outputs = {name: deployment.source["Outputs"][name]["Value"] for name in needed}
    assert outputs == {"GateArn": {"Ref": "GateAlias"}, "LayerArn": {"Ref": "HeadgateLayer"}}


def test_permissions_fit_a_function_policy(example: Deployment) -> None:
    assert function_policy_sizes(example)[FUNCTION] < api.FUNCTION_POLICY_LIMIT / 2


def test_access_log_format_matches_the_gates(example: Deployment, deployment: Deployment) -> None:
    own = example.of("AWS::ApiGatewayV2::Stage")["ApiApiGatewayDefaultStage"]["AccessLogSettings"]
    gates = deployment.of("AWS::ApiGatewayV2::Stage")["HttpApiApiGatewayDefaultStage"]["AccessLogSettings"]
    assert own["Format"] == gates["Format"]
