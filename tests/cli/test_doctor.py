"""`headgate doctor` against moto's CloudFormation and API Gateway, on a socket."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from typer.testing import CliRunner, Result

from headgate_cli.doctor.findings import concurrency
from headgate_cli.local.template import load_template
from headgate_cli.main import app

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
REGION = "eu-central-1"
DECLARED = {route.key: route.auth for route in load_template(TEMPLATE, {}).routes}
Run = Callable[..., Result]
URI = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/gate/invocations"


@pytest.fixture
def doctor(environment: dict[str, str], moto: str) -> Run:
    """Deploy an API with these routes, and run the command."""
    session = botocore.session.get_session()
    session.set_credentials("a", "b")
    api, stacks = (
        session.create_client(name, region_name=REGION, endpoint_url=moto)
        for name in ("apigatewayv2", "cloudformation")
    )

    def run(live: dict[str, str], *args: str, outputs: dict[str, Any] | None = None) -> Result:
        api_id = api.create_api(Name="gate", ProtocolType="HTTP")["ApiId"]
        authorizers = {
            name: api.create_authorizer(
                ApiId=api_id, Name=name, AuthorizerType="REQUEST", AuthorizerUri=URI, IdentitySource=[],
                AuthorizerPayloadFormatVersion="2.0",
            )["AuthorizerId"]
            for name in {*live.values()} - {"NONE", "AWS_IAM"}
        }  # fmt: skip
        for route, auth in live.items():
            how = {"AuthorizationType": "CUSTOM", "AuthorizerId": authorizers[auth]} if auth in authorizers else {}
            api.create_route(ApiId=api_id, RouteKey=route, **{"AuthorizationType": auth, **how})
        body = {
            "Parameters": {"KillReservedConcurrency": {"Type": "String", "Default": "0"}},
            "Resources": {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {}}},
            "Outputs": {"ApiId": {"Value": api_id}} if outputs is None else outputs,
        }
        stack = f"stack-{uuid.uuid4().hex[:8]}"
        stacks.create_stack(StackName=stack, TemplateBody=json.dumps(body))
        given: dict[str, str | None] = {**environment, "AWS_ENDPOINT_URL": moto, "AWS_REGION": REGION}
        return CliRunner().invoke(app, ["doctor", "--stack", stack, "--template", str(TEMPLATE), *args], env=given)

    return run


def test_a_stack_like_its_template_passes(doctor: Run) -> None:
    done = doctor(DECLARED)
    assert done.exit_code == 0, done.output
    assert f"all {len(DECLARED)} routes and their authorizers are as in the template" in done.stdout
    assert "not checked" in done.stdout, "moto does not know GetAccountSettings"


def test_each_difference_is_named_and_fails(doctor: Run) -> None:
    live = {**DECLARED, "GET /more": "NONE", "GET /whoami": "NONE", "GET /admin/v1/flags": "Gate"}
    del live["GET /decision"]
    done = doctor(live, "--json")
    assert done.exit_code == 1
    failed = [one["told"] for one in json.loads(done.stdout)["findings"] if one["failed"]]
    assert failed == [
        "GET /decision is in the template and not live",
        "GET /more is live and not in the template",
        "GET /admin/v1/flags has the authorizer Gate, and AWS_IAM in the template",
        "GET /whoami has the authorizer NONE, and Gate in the template",
    ]


def test_what_cannot_be_read_is_a_failure(doctor: Run, environment: dict[str, str], moto: str) -> None:
    assert doctor(DECLARED, outputs={}).exit_code == 2
    given: dict[str, str | None] = {**environment, "AWS_ENDPOINT_URL": moto, "AWS_REGION": REGION}
    for args, code in ((["--stack", "none"], 7), (["--stack", "none", "--template", __file__], 2)):
        assert CliRunner().invoke(app, ["doctor", *args], env=given).exit_code == code


@pytest.mark.parametrize(("unreserved", "reserved", "told"), [
    (1_000, 5, "5 is reserved"), (1_000, 0, "KillReservedConcurrency=5"), (105, 0, "KillReservedConcurrency=5"),
    (104, 0, "none can be reserved"), (10, 0, "none can be reserved"),
])  # fmt: skip
def test_concurrency_is_recommended_only_if_the_account_has_it(unreserved: int, reserved: int, told: str) -> None:
    finding = concurrency(unreserved, reserved)
    assert told in finding.told
    assert not finding.failed, "a first deployment into a new account must pass"
