"""Attacks that only the deployment can answer: floods, a second way in, calls past the gateway. Named by their rows."""

import copy
from typing import Any

import pytest
from template_checks.api import only_the_api_calls_functions, throttles_stand
from template_checks.deployment import Deployment
from template_checks.edits import at, put, with_one_route
from template_checks.expected import IAM, KILL, ROUTES

KMS_A_SECOND = 1_000
"""ECC signatures that KMS makes for an account and Region (AWS KMS quotas)."""


def throttles(d: Deployment) -> dict[str, dict[str, Any]]:
    """The figures of each route that has its own, parameters by default."""
    settings = d.of("AWS::ApiGatewayV2::Stage")["HttpApiApiGatewayDefaultStage"]["RouteSettings"]
    parameters = d.source["Parameters"]
    return {
        route: {
            name: parameters[figure["Ref"]]["Default"] if isinstance(figure, dict) else figure
            for name, figure in figures.items()
        }
        for route, figures in settings.items()
    }


def test_t27_a_flood_of_exchanges_is_429_at_its_own_route_and_leaves_the_admin_api_alone(
    deployment: Deployment,
) -> None:
    """API Gateway throttles a route by its own bucket: 10 times the exchanges leave every other bucket full.

    Each exchange costs a signature, so that the bucket stays far below what KMS gives, by default and at its most.
    """
    assert list(throttles_stand(deployment)) == []
    own = throttles(deployment)
    assert own["POST /v1/token"]["ThrottlingRateLimit"] <= KMS_A_SECOND / 10
    for name in ("TokenRate", "TokenBurst"):
        assert deployment.source["Parameters"][name]["MaxValue"] < KMS_A_SECOND
    signed = {route for route, (auth, _) in ROUTES.items() if auth == IAM}
    assert signed <= own.keys()
    assert own[KILL]["ThrottlingRateLimit"] >= 5


def test_t27_no_flood_takes_the_concurrency_of_the_kill(deployment: Deployment) -> None:
    """Whatever floods Lambda itself: the kill has a function of its own, with room that can be reserved for it."""
    assert [route for route, (_, function) in ROUTES.items() if function == "KillFunction"] == [KILL]
    assert "ReservedConcurrentExecutions" in deployment.of("AWS::Lambda::Function")["KillFunction"]


@pytest.mark.parametrize("route", ["POST /v1/token", KILL])
def test_t27_a_route_without_its_bucket_is_found(route: str, deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    del at(source, "Resources.HttpApi.Properties.RouteSettings")[route]
    assert list(throttles_stand(Deployment(source)))


def test_p58_the_first_host_name_can_be_shut(deployment: Deployment) -> None:
    """What stands in front of a domain is walked round while the API answers elsewhere. By default there is none."""
    (server,) = deployment.of("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]["servers"]
    endpoint = server["x-amazon-apigateway-endpoint-configuration"]
    assert endpoint == {"disableExecuteApiEndpoint": {"Fn::If": ["OnlyItsOwnDomain", True, False]}}
    assert deployment.template["Conditions"]["OnlyItsOwnDomain"] == {"Fn::Equals": [{"Ref": "OwnDomainOnly"}, "yes"]}
    assert deployment.source["Parameters"]["OwnDomainOnly"]["Default"] == "no"


def test_p59_nobody_but_the_api_may_call_a_function(deployment: Deployment) -> None:
    """A forged event would have to come from API Gateway, for this API and that very route."""
    assert list(only_the_api_calls_functions(deployment)) == []


def test_p59_a_permission_for_others_is_found(deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    with_one_route(source)
    permission = {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "WorkerFunction"}, "Principal": "*"}
    put("Resources.More", {"Type": "AWS::Lambda::Permission", "Properties": permission})(source)
    assert "More lets others than this API call" in set(only_the_api_calls_functions(Deployment(source)))
