"""Rules for the API: its routes, who may call each, and their throttles and logs.

Each check takes a deployment and yields its faults as text. A valid deployment yields none.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator

from template_checks.deployment import Deployment, Raw, listed
from template_checks.expected import EMERGENCY, GATE, IAM, OPEN, OPEN_ROUTES, ROLES, ROUTES, RULES, THROTTLED

FUNCTION_POLICY_LIMIT = 20_480
"""Bytes of a function's resource-based policy (AWS Lambda quotas)."""
MANAGED_POLICY_LIMIT = 6_144
"""Characters of a managed policy, without white space (IAM quotas)."""
LOGGABLE = {
    "requestTime", "requestId", "routeKey", "status", "responseLatency", "responseLength", "integrationLatency",
    "integrationStatus", "integrationErrorMessage", "authorizer.error", "error.responseType",
    "authorizer.reason", "authorizer.revision",
}  # fmt: skip
"""Context variables of HTTP APIs that reveal nothing about a person: no path, query, address, or token content.

Source: API Gateway Developer Guide, "Customize HTTP API access logs".
"""


def _auth(operation: dict) -> str:
    schemes = [name for requirement in operation.get("security", []) for name in requirement]
    return schemes[0] if len(schemes) == 1 else OPEN if not schemes else "+".join(schemes)


def one_http_api(d: Deployment) -> Iterator[str]:
    """Another API or a function URL would bypass the gate."""
    if list(d.of("AWS::ApiGatewayV2::Api")) != ["HttpApi"]:
        yield "there must be one API, HttpApi"
    for kind in ("AWS::Lambda::Url", "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Route"):
        for name in d.of(kind):
            yield f"{name} is an entry point that is not a function's event"


def routes_match_expected(d: Deployment) -> Iterator[str]:
    found = Counter(f"{method} {path}" for method, path, _ in d.operations())
    yield from (f"{route} is missing" for route in sorted(ROUTES.keys() - found.keys()))
    yield from (f"{route} is not expected" for route in sorted(found.keys() - ROUTES.keys()))


def no_route_is_greedy(d: Deployment) -> Iterator[str]:
    for method, path, _ in d.operations():
        if method == "X-AMAZON-APIGATEWAY-ANY-METHOD" or "$default" in path or "+}" in path or "*" in path:
            yield f"{method} {path} matches more than one route"


def each_route_has_its_auth(d: Deployment) -> Iterator[str]:
    for method, path, operation in d.operations():
        wanted = ROUTES.get(f"{method} {path}", (GATE, ""))[0]
        if _auth(operation) != wanted:
            yield f"{method} {path} is {_auth(operation)}, not {wanted}"


def open_routes_are_declared_none(d: Deployment) -> Iterator[str]:
    """Every open route says `Authorizer: NONE` in the source, and no other route does."""
    for name, resource in d.source["Resources"].items():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            properties = event["Properties"]
            route = f"{properties['Method']} {properties['Path']}"
            named = properties.get("Auth", {}).get("Authorizer")
            if (named == OPEN) != (OPEN_ROUTES.get(route) == name):
                yield f"{route} says {named}"
            if route.split()[1].startswith("/admin/") and named != IAM:
                yield f"{route} must say AWS_IAM"


def routes_reach_their_function(d: Deployment) -> Iterator[str]:
    for method, path, operation in d.operations():
        integration = operation["x-amazon-apigateway-integration"]
        function = ROUTES.get(f"{method} {path}", ("", "?"))[1]
        if f"<{function}>" not in d.text(integration["uri"]) or integration["type"] != "aws_proxy":
            yield f"{method} {path} does not go to {function}"
        if integration.get("payloadFormatVersion") != "2.0":
            yield f"{method} {path} is not of payload format 2.0"


def authorizer_caches_nothing(d: Deployment) -> Iterator[str]:
    """No result is cached, and both identity sources are required: the token and the route."""
    api = d.source["Resources"]["HttpApi"]["Properties"]["Auth"]
    if api.get("DefaultAuthorizer") != GATE or api.get("EnableIamAuthorizer") is not True:
        yield "the gate is not the default authorizer, or IAM is not enabled"
    if api.get("Authorizers", {}).get(GATE, {}).get("Identity", {}).get("ReauthorizeEvery") != 0:
        yield "ReauthorizeEvery: 0 is missing"
    schemes = d.of("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]["components"]["securitySchemes"]
    gate = schemes.get(GATE, {}).get("x-amazon-apigateway-authorizer", {})
    wanted = {
        "type": "request",
        "authorizerResultTtlInSeconds": 0,
        "authorizerPayloadFormatVersion": "2.0",
        "enableSimpleResponses": True,
        "identitySource": ["$request.header.Authorization", "$context.routeKey"],
    }
    yield from (f"the gate's {k} is {gate.get(k)!r}, not {v!r}" for k, v in wanted.items() if gate.get(k) != v)
    if "<GateAlias>" not in d.text(gate.get("authorizerUri", "")):
        yield "the authorizer is not called through its alias"


def api_gateway_may_call_the_authorizer(d: Deployment) -> Iterator[str]:
    """Without this permission API Gateway answers 500 on every guarded route."""
    sources = [
        d.text(p.get("SourceArn", ""))
        for p in d.of("AWS::Lambda::Permission").values()
        if d.text(p["FunctionName"]) == "<GateAlias>"
    ]
    if len(sources) != 1 or not sources[0].endswith(":<HttpApi>/authorizers/*"):
        yield f"the authorizer may be called by {sources}"


def only_the_api_may_call_functions(d: Deployment) -> Iterator[str]:
    """One permission per route, each for API Gateway only and for that method and path of this API.

    EventBridge's rules may call the functions that no route has.
    """
    found: Counter[tuple[str, str]] = Counter()
    for name, permission in d.of("AWS::Lambda::Permission").items():
        source = d.text(permission.get("SourceArn", ""))
        function = d.text(permission["FunctionName"])[1:-1]
        if (permission["Principal"], source) == ("events.amazonaws.com", f"<{RULES.get(function)}>"):
            continue
        if permission["Principal"] != "apigateway.amazonaws.com" or ":<HttpApi>/" not in source:
            yield f"{name} allows callers other than this API"
        found[d.text(permission["FunctionName"]), source.partition(":<HttpApi>/")[2]] += 1
    wanted = Counter(
        (f"<{function}>", "*/" + _invoked(route)) for route, (_, function) in ROUTES.items()
    ) + Counter({("<GateAlias>", "authorizers/*"): 1})  # fmt: skip
    yield from (f"{f} may not be called for {s}" for f, s in (wanted - found))
    yield from (f"{f} may be called for {s}" for f, s in (found - wanted))


def function_policies_fit_their_limit(d: Deployment) -> Iterator[str]:
    yield from (
        f"{name}'s policy takes {size} bytes"
        for name, size in function_policy_sizes(d).items()
        if size > FUNCTION_POLICY_LIMIT
    )


def function_policy_sizes(d: Deployment) -> dict[str, int]:
    """Bytes of each function's resource-based policy as Lambda stores it, at the maximum length of names."""
    sizes: dict[str, int] = {}
    lambdas = "arn:aws:lambda:ap-southeast-2:123456789012:function"
    for name, permission in d.of("AWS::Lambda::Permission").items():
        function = d.text(permission["FunctionName"])[1:-1]
        statement = {
            "Sid": f"headgate-production-{name}-A1B2C3D4E5F6",
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "lambda:InvokeFunction",
            "Resource": f"{lambdas}:headgate-production-{function}-A1B2C3D4E5F6",
            "Condition": {
                "ArnLike": {"AWS:SourceArn": d.text(permission["SourceArn"]).replace("<HttpApi>", "a1b2c3d4e5")}
            },
        }
        sizes[function] = sizes.get(function, 50) + len(json.dumps(statement, separators=(",", ":"))) + 1
    return sizes


def throttles_are_set(d: Deployment) -> Iterator[str]:
    """A default for every route, and a bucket of its own for those that a flood elsewhere must not starve.

    Requests without a token or a signature count, so a limit that one caller can reach stops everyone else's calls.
    """
    stage = d.of("AWS::ApiGatewayV2::Stage")["HttpApiApiGatewayDefaultStage"]
    members = {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    if stage.get("DefaultRouteSettings", {}).keys() != members:
        yield "the API has no default throttle"
    defaults, settings = d.source["Parameters"], stage.get("RouteSettings", {})
    yield from (f"{route} has no throttle of its own" for route in sorted(THROTTLED.keys() - settings.keys()))
    for route, figures in settings.items():
        for member in members:
            figure = figures.get(member)
            figure = defaults[figure["Ref"]]["Default"] if isinstance(figure, dict) else figure
            if not isinstance(figure, int) or figure < THROTTLED.get(route, 100):
                yield f"{route}: {member} is {figure}"


def access_logs_expire_and_reveal_nobody(d: Deployment) -> Iterator[str]:
    settings = d.of("AWS::ApiGatewayV2::Stage")["HttpApiApiGatewayDefaultStage"].get("AccessLogSettings", {})
    if settings.get("DestinationArn") != {"Fn::GetAtt": ["AccessLogs", "Arn"]}:
        yield "access is not logged"
        return
    values = json.loads(settings["Format"]).values()
    yield from (f"the access log holds {v}" for v in values if str(v).removeprefix("$context.") not in LOGGABLE)


def _and_more(always: str, parameter: str) -> Raw:
    more = {"Fn::Join": [",", [always, ""]]}  # the translator inserts the parameter's default
    return {"Fn::Split": [",", {"Fn::If": [f"Has{parameter}", more, always]}]}


def cors_is_narrow(d: Deployment) -> Iterator[str]:
    cors = d.of("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"].get("x-amazon-apigateway-cors", {}).get("Fn::If", [None])
    if cors[0] != "HasCors" or cors[2] != {"Ref": "AWS::NoValue"}:
        yield "CORS is set without a configured origin"
        return
    wanted = {
        "allowOrigins": {"Fn::Split": [",", ""]},  # the translator inserts the parameter's default
        "allowMethods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
        "allowHeaders": _and_more("authorization,content-type,if-none-match", "CorsRequestHeaders"),
        "exposeHeaders": _and_more("ETag,x-headgate-revision,retry-after", "CorsResponseHeaders"),
    }
    yield from (f"CORS {k} is {cors[1].get(k)}" for k, v in wanted.items() if cors[1].get(k) != v)
    for name in ("CorsOrigins", "CorsRequestHeaders", "CorsResponseHeaders"):
        if re.fullmatch(d.source["Parameters"][name].get("AllowedPattern", ".*"), "*"):
            yield f"{name} may be a wildcard"
    if cors[1].get("allowCredentials"):
        yield "CORS allows credentials; tokens are sent in a header"


def managed_policies_allow_exact_routes(d: Deployment) -> Iterator[str]:
    """Each managed policy names exact routes of the one stage, and no other action."""
    found = d.of("AWS::IAM::ManagedPolicy")
    yield from (f"{name} is not expected" for name in sorted(found.keys() - ROLES.keys() - {EMERGENCY}))
    for name, routes in ROLES.items():
        if name not in found:
            yield f"{name} is missing"
            continue
        got: set[str] = set()
        for statement in listed(found[name]["PolicyDocument"]["Statement"]):
            if statement.keys() - {"Sid"} != {"Effect", "Action", "Resource"} or statement["Effect"] != "Allow":
                yield f"{name} contains more than an allow of routes"
            if statement.get("Action") != "execute-api:Invoke":
                yield f"{name} allows {statement.get('Action')}"
            got |= {d.text(resource) for resource in listed(statement.get("Resource", []))}
        prefix = "arn:aws:execute-api:ap-southeast-2:123456789012:<HttpApi>/$default/"
        wanted = {prefix + _invoked(route) for route in routes}
        yield from (f"{name} lacks {arn}" for arn in sorted(wanted - got))
        yield from (f"{name} has {arn}" for arn in sorted(got - wanted))
    yield from (
        f"{n} takes {size} characters" for n, size in managed_policy_sizes(d).items() if size > MANAGED_POLICY_LIMIT
    )


def managed_policy_sizes(d: Deployment) -> dict[str, int]:
    """Characters of each managed policy, without white space."""
    sizes = {}
    for name, policy in d.of("AWS::IAM::ManagedPolicy").items():
        document = json.loads(json.dumps(policy["PolicyDocument"]))
        for statement in listed(document["Statement"]):
            statement["Resource"] = [
                d.text(r).replace("<HttpApi>", "a1b2c3d4e5") for r in listed(statement["Resource"])
            ]
        sizes[name] = len(json.dumps(document, separators=(",", ":")))
    return sizes


def _invoked(route: str) -> str:
    """A route as the last part of an execute-api ARN: `POST/admin/v1/flags/*/kill`."""
    method, _, path = route.partition(" ")
    return method + "/".join("*" if part.startswith("{") else part for part in path.split("/"))


CHECKS = (
    one_http_api, routes_match_expected, no_route_is_greedy, each_route_has_its_auth, open_routes_are_declared_none,
    routes_reach_their_function, authorizer_caches_nothing, api_gateway_may_call_the_authorizer,
    only_the_api_may_call_functions, function_policies_fit_their_limit, throttles_are_set,
    access_logs_expire_and_reveal_nobody, cors_is_narrow, managed_policies_allow_exact_routes,
)  # fmt: skip
