"""Attacks that the deployment must stop: floods, other ways in, calls that bypass the gateway. Named by their rows."""

import copy
from typing import Any

import pytest
from template_checks.api import only_the_api_may_call_functions, throttles_are_set
from template_checks.deployment import Deployment
from template_checks.edits import at, put, with_one_route
from template_checks.expected import KILL, ROUTES

ACCOUNT_A_SECOND, ACCOUNT_BURST = 10_000, 5_000
"""Requests that API Gateway serves an account in a Region (API Gateway quotas)."""


def throttles(d: Deployment) -> dict[str, dict[str, Any]]:
    """The throttle of each route that has its own, with default parameters."""
    settings = d.of("AWS::ApiGatewayV2::Stage")["HttpApiApiGatewayDefaultStage"]["RouteSettings"]
    parameters = d.source["Parameters"]
    return {
        route: {
            name: parameters[figure["Ref"]]["Default"] if isinstance(figure, dict) else figure
            for name, figure in figures.items()
        }
        for route, figures in settings.items()
    }


def test_t27_flood_of_exchanges_is_throttled_at_its_own_route(
    deployment: Deployment,
) -> None:
    """API Gateway throttles these routes with a bucket each: a flood of exchanges leaves the kill's full.

    The kill's bucket is the account's own quota, so that no smaller flood of unsigned kills can use it up.
    """
    assert list(throttles_are_set(deployment)) == []
    assert throttles(deployment)[KILL] == {
        "ThrottlingRateLimit": ACCOUNT_A_SECOND,
        "ThrottlingBurstLimit": ACCOUNT_BURST,
    }


def test_t27_flood_cannot_use_the_kills_concurrency(deployment: Deployment) -> None:
    """Against a flood of Lambda itself: the kill has its own function, whose concurrency can be reserved."""
    assert [route for route, (_, function) in ROUTES.items() if function == "KillFunction"] == [KILL]
    assert "ReservedConcurrentExecutions" in deployment.of("AWS::Lambda::Function")["KillFunction"]


@pytest.mark.parametrize("route", ["POST /v1/token", KILL])
def test_t27_route_without_its_throttle_is_found(route: str, deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    del at(source, "Resources.HttpApi.Properties.RouteSettings")[route]
    assert list(throttles_are_set(Deployment(source)))


def test_p58_default_host_name_can_be_disabled(deployment: Deployment) -> None:
    """Whatever is in front of a custom domain is bypassed while the default host answers. By default there is none."""
    (server,) = deployment.of("AWS::ApiGatewayV2::Api")["HttpApi"]["Body"]["servers"]
    endpoint = server["x-amazon-apigateway-endpoint-configuration"]
    assert endpoint == {"disableExecuteApiEndpoint": {"Fn::If": ["OnlyItsOwnDomain", True, False]}}
    assert deployment.template["Conditions"]["OnlyItsOwnDomain"] == {"Fn::Equals": [{"Ref": "OwnDomainOnly"}, "yes"]}
    assert deployment.source["Parameters"]["OwnDomainOnly"]["Default"] == "no"


def test_p59_only_the_api_may_call_a_function(deployment: Deployment) -> None:
    """A forged event would have to come from API Gateway, for this API and exactly that route."""
    assert list(only_the_api_may_call_functions(deployment)) == []


def test_p59_permission_for_another_caller_is_found(deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    with_one_route(source)
    permission = {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "WorkerFunction"}, "Principal": "*"}
    put("Resources.More", {"Type": "AWS::Lambda::Permission", "Properties": permission})(source)
    assert "More allows callers other than this API" in set(only_the_api_may_call_functions(Deployment(source)))
