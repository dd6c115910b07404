"""Templates with one small fault in the API, by the rule that finds it."""

from template_checks import api
from template_checks.deployment import Check, Raw
from template_checks.edits import Edit, append, at, copy_of, drop, event, logged, may_invoke, put, route

_API = "Resources.HttpApi.Properties"
_GATE = f"{_API}.Auth.Authorizers.Gate"
_CORS = f"{_API}.CorsConfiguration.Fn::If.1"


def _sixty_routes(source: Raw) -> None:
    for number in range(60):
        route("Worker", "GET", f"/api/more/{number}", name=f"More{number}")(source)


def _second_api(source: Raw) -> None:
    second = {"Type": "AWS::Serverless::HttpApi", "Properties": {}}
    put("Resources.Second", second)(source)
    put(event("Worker", "WhoAmI", "ApiId"), {"Ref": "Second"})(source)


def _kill_by_the_admin_function(source: Raw) -> None:
    drop("Resources.KillFunction.Properties.Events.Kill")(source)
    route("Admin", "POST", "/admin/v1/flags/{key}/kill", "AWS_IAM")(source)


def _loose_kill(source: Raw) -> None:
    del at(source, f"{_API}.RouteSettings")["POST /admin/v1/flags/{key}/kill"]


def _tight_kill(source: Raw) -> None:
    at(source, f"{_API}.RouteSettings")["POST /admin/v1/flags/{key}/kill"]["ThrottlingRateLimit"] = 10


_ANYONE = {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "WorkerFunction"}, "Principal": "*"}
_OPEN = {"Authorizer": "NONE"}

BROKEN: dict[Check, dict[str, Edit]] = {
    api.authorizer_caches_nothing: {
        "kept for 5 minutes": put(f"{_GATE}.Identity.ReauthorizeEvery", 300),
        "missing": drop(f"{_GATE}.Identity.ReauthorizeEvery"),
        "no route": drop(f"{_GATE}.Identity.Context"),
        "no token": drop(f"{_GATE}.Identity.Headers"),
        "payload 1.0": put(f"{_GATE}.AuthorizerPayloadFormatVersion", "1.0"),
        "policy responses": put(f"{_GATE}.EnableSimpleResponses", False),
        "another function": put(f"{_GATE}.FunctionArn", {"Fn::GetAtt": ["WorkerFunction", "Arn"]}),
    },
    api.api_gateway_may_call_the_authorizer: {
        "no permission": drop(f"{_GATE}.EnableFunctionDefaultPermissions"),
    },
    api.each_route_has_its_auth: {
        "open worker route": put(event("Worker", "Decision", "Auth"), _OPEN),
        "admin route behind the gate": drop(event("Admin", "SetStage", "Auth")),
        "open service token": put(event("Token", "MintService", "Auth"), _OPEN),
        "guarded exchange": drop(event("Token", "Mint", "Auth")),
    },
    api.open_routes_are_declared_none: {
        "open worker route": put(event("Worker", "WhoAmI", "Auth"), _OPEN),
        "open admin route": put(event("Admin", "GetFlag", "Auth"), _OPEN),
        "silent evaluation": drop(event("Evaluate", "EvaluateFlags", "Auth")),
    },
    api.no_route_is_greedy: {
        "any method": put(event("Worker", "WhoAmI", "Method"), "ANY"),
        "proxy": route("Worker", "GET", "/api/{proxy+}"),
        "default route": route("Worker", "ANY", "$default"),
    },
    api.routes_match_expected: {
        "one more": route("Worker", "GET", "/api/secrets"),
        "one route fewer": drop("Resources.AdminFunction.Properties.Events.Restore"),
    },
    api.routes_reach_their_function: {
        "kill by the admin function": _kill_by_the_admin_function,
        "payload 1.0": put(event("Evaluate", "EvaluateFlags", "PayloadFormatVersion"), "1.0"),
    },
    api.one_http_api: {
        "function URL": put("Resources.WorkerFunction.Properties.FunctionUrlConfig", {"AuthType": "NONE"}),
        "second API": _second_api,
    },
    api.only_the_api_may_call_functions: {
        "anyone": put("Resources.More", {"Type": "AWS::Lambda::Permission", "Properties": _ANYONE}),
        "one more": route("Worker", "GET", "/api/secrets"),
    },
    api.function_policies_fit_their_limit: {
        "60 more routes": _sixty_routes,
    },
    api.throttles_are_set: {
        "no default": drop(f"{_API}.DefaultRouteSettings"),
        "no bucket for the exchange": drop(f"{_API}.RouteSettings.POST /v1/token"),
        "no bucket for the kill": _loose_kill,
        "20 requests a second stop every login": put("Parameters.TokenRate.Default", 20),
        "5 requests a second stop every backend": put(
            f"{_API}.RouteSettings.POST /v1/service-token", {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 10}
        ),
        "10 requests a second stop the kill": _tight_kill,
    },
    api.access_logs_expire_and_reveal_nobody: {
        "none": drop(f"{_API}.AccessLogSettings"),
        "paths": logged("routeKey", "path"),
        "subjects": logged("authorizer.error", "authorizer.subject"),
        "what only REST APIs have": logged("authorizer.error", "authorizer.status"),
        "addresses": logged("responseLength", "identity.sourceIp"),
    },
    api.cors_is_narrow: {
        "credentials": put(f"{_CORS}.AllowCredentials", True),
        "every origin": put(f"{_CORS}.AllowOrigins", ["*"]),
        "every origin, by default": put(f"{_API}.CorsConfiguration", True),
        "every header": put(f"{_CORS}.AllowHeaders", ["*"]),
        "hidden ETag": put(f"{_CORS}.ExposeHeaders", ["x-headgate-revision"]),
        "origins as one string": put(f"{_CORS}.AllowOrigins", {"Ref": "CorsOrigins"}),
        "any text as an origin": drop("Parameters.CorsOrigins.AllowedPattern"),
        "any text as a header": drop("Parameters.CorsRequestHeaders.AllowedPattern"),
    },
    api.managed_policies_allow_exact_routes: {
        "viewer writes": may_invoke("ViewerPolicy", "$default/PUT/admin/v1/flags/*"),
        "kill operator restores": may_invoke("KillOperatorPolicy", "$default/POST/admin/v1/flags/*/restore"),
        "kill operator does all": may_invoke("KillOperatorPolicy", "*"),
        "another stage": may_invoke("EditorPolicy", "*/GET/admin/v1/flags"),
        "service explains": may_invoke("ServicePolicy", "$default/POST/admin/v1/explain"),
        "auditor manages": put("Resources.AuditorPolicy.Properties.PolicyDocument.Statement.0.Action", "execute-api:*"),
        "one more statement": append(
            "Resources.ViewerPolicy.Properties.PolicyDocument.Statement",
            {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"},
        ),
        "no viewer": drop("Resources.ViewerPolicy"),
        "one more role": copy_of("AdminPolicy"),
    },
}
