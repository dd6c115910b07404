"""`headgate doctor`: parameters in a file, stacks on moto: CloudFormation, API Gateway, CloudWatch, KMS, and SNS."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from identity_site import Provider
from typer.testing import CliRunner, Result

from headgate_cli.doctor.account import clock, concurrency
from headgate_cli.doctor.keys import check_key
from headgate_cli.emergency.variables import KILL
from headgate_cli.local.intrinsics import read_template
from headgate_cli.local.template import load_template
from headgate_cli.main import app

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
REGION, ACCOUNT = "eu-central-1", "123456789012"
SOURCE = read_template(TEMPLATE)
DECLARED = {route.key: route.auth for route in load_template(TEMPLATE, {}).routes}
OPTIONAL = {"LegacySecretUnavailableAlarm"}
ALARMS = {n for n, one in SOURCE["Resources"].items() if one["Type"] == "AWS::CloudWatch::Alarm"} - OPTIONAL
URI = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/gate/invocations"
ALARM = {"MetricName": "x", "Namespace": "x", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1, "Statistic": "Sum",
         "ComparisonOperator": "GreaterThanThreshold"}  # fmt: skip


def key_policy(role: str, **changes: Any) -> dict[str, Any]:
    """The policy of a key as the template writes it, for the function that may sign."""
    owner = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    deny = {"Effect": "Deny", "Principal": "*", "Action": "kms:Sign", "Resource": "*",
            "Condition": {"ArnNotLike": {"aws:PrincipalArn": role}}}  # fmt: skip
    return {"Version": "2012-10-17", "Statement": [owner, {**deny, **changes}]}


SESSION = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name=REGION)
APIS: dict[str, dict[str, str]] = {}
"""By the address of moto and the routes, the id of an API."""


@cache
def client(moto: str, service: str) -> Any:
    """A client of moto at an address."""
    return SESSION.client(service, endpoint_url=moto)


@dataclass
class Desk:
    """Deploys stacks, and runs the command. The site is the API and the identity provider in one."""

    moto: str
    environment: dict[str, str]
    site: Provider
    name: str = field(default_factory=lambda: f"stack-{uuid.uuid4().hex[:8]}")

    def client(self, service: str) -> Any:
        """A client of moto."""
        return client(self.moto, service)

    def role(self, function: str) -> str:
        """The pattern of a function's role in the stack."""
        return f"arn:aws:iam::{ACCOUNT}:role/headgate/{self.name}/{function}/*"

    def key(self, function: str, **changes: Any) -> str:
        """A new signing key: its ARN."""
        policy = json.dumps(key_policy(self.role(function), **changes))
        kms = self.client("kms")
        return kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Policy=policy)["KeyMetadata"]["Arn"]

    def topic(self, *addresses: str) -> str:
        """A new topic with these subscribers: its ARN."""
        sns = self.client("sns")
        arn = sns.create_topic(Name=f"alarms-{uuid.uuid4().hex}")["TopicArn"]
        for address in addresses:
            sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{address}")
        return str(arn)

    def api(self, live: dict[str, str]) -> str:
        """An API with these routes: its id. One serves all stacks, since it takes moto a second to make."""
        made = APIS.setdefault(self.moto, {})
        key = json.dumps(live)
        if key not in made:
            made[key] = self._new_api(live)
        return made[key]

    def _new_api(self, live: dict[str, str]) -> str:
        api = self.client("apigatewayv2")
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
        return str(api_id)

    def deploy(self, *, live: dict[str, str] = DECLARED, alarms: dict[str, Any] | None = None, own: Any = (),
               outputs: dict[str, Any] | None = None, **parameters: str) -> None:  # fmt: skip
        """Deploy a stack with these routes, alarms, keys of its own, and parameters."""
        given = {name: str(spec.get("Default", "")) for name, spec in SOURCE["Parameters"].items()}
        given |= {
            "ExistingTable": "restored",
            "ExistingKeys": ",".join(self.key("token") for _ in range(3)),
            "ExistingAuditKey": self.key("admin"),
            "AlarmTopic": self.topic("on-call"),
            "IdentityIssuers": json.dumps([{"issuer": self.site.base, "audience": ["web"]}]),
            **parameters,
        }
        named = dict.fromkeys(ALARMS, ALARM) if alarms is None else alarms
        for name, one in named.items():  # moto's CloudFormation knows no alarms
            self.client("cloudwatch").put_metric_alarm(
                AlarmName=f"{self.name}-{name}-{uuid.uuid4().hex[:12].upper()}", **one
            )
        resources = {
            name: {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": json.dumps(key_policy(self.role("token")))}}
            for name in own
        }
        role = self.client("iam").create_role(RoleName=self.name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        shape = {"Runtime": "python3.13", "Role": role, "Handler": "app.handler", "Code": {"ZipFile": "pass"}}
        variables = {"Environment": {"Variables": {KILL: ""}}}
        resources["AuthorizerFunction"] = {"Type": "AWS::Lambda::Function", "Properties": {**shape, **variables}}
        body = {
            "Parameters": {name: {"Type": "String"} for name in given},
            "Resources": {"Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {}}, **resources},
            "Outputs": {"ApiId": {"Value": self.api(live)}} if outputs is None else outputs,
        }
        self.client("cloudformation").create_stack(
            StackName=self.name, TemplateBody=json.dumps(body),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        )  # fmt: skip
        self.client("lambda").create_alias(FunctionName=self.gate, Name="live", FunctionVersion="$LATEST")

    @property
    def gate(self) -> str:
        """The authorizer's name."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId="AuthorizerFunction"
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def serve(self, version: str, **shares: float) -> None:
        """Move the alias."""
        routing = {"AdditionalVersionWeights": {name.removeprefix("v"): share for name, share in shares.items()}}
        self.client("lambda").update_alias(
            FunctionName=self.gate, Name="live", FunctionVersion=version, RoutingConfig=routing
        )

    def publish(self, kill: str = "") -> str:
        """A version with this kill, after which another one is deployed: its number."""
        api = self.client("lambda")
        api.update_function_configuration(FunctionName=self.gate, Environment={"Variables": {KILL: kill}})
        version = api.publish_version(FunctionName=self.gate)["Version"]
        api.update_function_configuration(FunctionName=self.gate, Environment={"Variables": {KILL: "", "NEW": "1"}})
        return str(version)

    def run(self, *args: str) -> Result:
        """Run the command on this machine's `AWS`."""
        given: dict[str, str | None] = {**self.environment, "AWS_ENDPOINT_URL": self.moto, "AWS_REGION": REGION}
        return CliRunner().invoke(app, ["doctor", "--template", str(TEMPLATE), *args], env=given)

    def failed(self, *args: str) -> list[str]:
        """What fails on the stack."""
        done = self.run("--stack", self.name, "--api", self.site.base, "--json", *args)
        found = json.loads(done.stdout)["findings"]
        assert done.exit_code == (1 if any(one["failed"] for one in found) else 0), done.output
        return [one["told"] for one in found if one["failed"]]


@pytest.fixture
def desk(environment: dict[str, str], moto: str) -> Iterator[Desk]:
    """A desk whose site answers as the gate's API, too."""
    site = Provider()
    site.documents["/.well-known/oauth-authorization-server"] = {"issuer": site.base}
    site.documents["/.well-known/jwks.json"] = {"keys": [{"kid": "one"}]}
    yield Desk(moto, environment, site)
    site.close()


def test_a_stack_like_its_template_passes(desk: Desk) -> None:
    desk.deploy()
    done = desk.run("--stack", desk.name, "--api", desk.site.base)
    assert done.exit_code == 0, done.output
    for told in (
        "clock agrees", "do not contradict", f"all {len(DECLARED)} routes and their authorizers are as in the template",
        f"all {len(ALARMS)} alarms exist", "has subscribers", "signing key 3 is enabled",
        "audit key is enabled", f"{desk.site.base} answers", f"the API answers as {desk.site.base}",
        "version $LATEST serves the newest deployment",
        "not checked",  # moto does not know GetAccountSettings
    ):  # fmt: skip
        assert told in done.stdout


def test_each_difference_of_routes_is_named(desk: Desk) -> None:
    live = {**DECLARED, "GET /more": "NONE", "GET /whoami": "NONE", "GET /admin/v1/flags": "Gate"}
    del live["GET /decision"]
    desk.deploy(live=live)
    assert desk.failed() == [
        "GET /decision is in the template and not live",
        "GET /more is live and not in the template",
        "GET /admin/v1/flags has the authorizer Gate, and AWS_IAM in the template",
        "GET /whoami has the authorizer NONE, and Gate in the template",
    ]


def test_alarms_that_are_missing_or_silent_or_heard_by_nobody_fail(desk: Desk) -> None:
    alarms = {name: ALARM for name in ALARMS if name != "KillUsedAlarm"}
    alarms["StalenessAlarm"] = {**ALARM, "ActionsEnabled": False}
    desk.deploy(alarms=alarms, AlarmTopic=desk.topic())
    missing, silent, unheard = desk.failed()
    assert missing == "KillUsedAlarm does not exist: deploy again"
    assert silent == "StalenessAlarm has its actions disabled: enable them"
    assert "has no confirmed subscription" in unheard


def test_an_alarm_that_is_on_is_shown_and_no_failure(desk: Desk) -> None:
    desk.deploy(AlarmTopic="")
    prefix = f"{desk.name}-KillUsedAlarm-"
    (name,) = (
        a["AlarmName"] for a in desk.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    )
    desk.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    done = desk.run("--stack", desk.name, "--api", desk.site.base)
    assert done.exit_code == 0, done.output
    assert "KillUsedAlarm is in alarm" in done.stdout
    assert "notify nobody: deploy with AlarmTopic" in done.stdout


def test_keys_that_are_disabled_or_another_kind_or_open_fail(desk: Desk) -> None:
    keys = [desk.key("token"), desk.key("token", Action="kms:Decrypt"), desk.key("admin")]
    desk.client("kms").disable_key(KeyId=keys[0].rpartition("/")[2])
    desk.deploy(ExistingKeys=",".join(keys), ExistingAuditKey="", own=["AuditKey"])
    lacks = f"its policy does not deny kms:Sign to everyone but {desk.role('token')}"
    assert desk.failed() == [
        "signing key 1: its KeyState is Disabled, not Enabled",
        f"signing key 2: {lacks}",
        f"signing key 3: {lacks}",
        "audit key: its KeySpec is SYMMETRIC_DEFAULT, not ECC_NIST_P256",
        "audit key: its KeyUsage is ENCRYPT_DECRYPT, not SIGN_VERIFY",
        f"audit key: its policy does not deny kms:Sign to everyone but {desk.role('admin')}",
    ]


@pytest.mark.parametrize("changes", [
    {"Effect": "Allow"}, {"Resource": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/other"},
    {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}, {"Action": "kms:Verify"},
    {"Condition": {}}, {"Condition": {"ArnNotLike": {"aws:PrincipalArn": ["{role}", "*"]}}},
    {"Condition": {"ArnLike": {"aws:PrincipalArn": "{role}"}}},
    {"Condition": {"ArnNotLike": {"aws:PrincipalArn": "{role}"}, "Bool": {"aws:SecureTransport": "false"}}},
])  # fmt: skip
def test_a_policy_that_does_not_deny_all_others_fails(desk: Desk, changes: dict[str, Any]) -> None:
    role = desk.role("token")
    key = desk.key("token", **json.loads(json.dumps(changes).replace("{role}", role)))
    assert any(finding.failed for finding in check_key(desk.client("kms"), "key", key, role))
    assert not any(finding.failed for finding in check_key(desk.client("kms"), "key", desk.key("token"), role))


def test_a_gate_that_does_not_serve_what_was_deployed_fails(desk: Desk) -> None:
    desk.deploy()
    old, newer = desk.publish(), desk.publish("")
    desk.serve(old)
    assert desk.failed() == [f"version {old} serves, not the newest deployment: run headgate release"]
    desk.serve(old, **{f"v{newer}": 0.5})
    assert desk.failed() == ["a release is in progress, or was interrupted: run headgate release"]
    desk.serve(desk.publish("*"))
    assert desk.failed() == ["an emergency kill is in force: lift it when the table answers (docs/operate.md)"]
    desk.serve("$LATEST")
    assert desk.failed() == []


def test_providers_and_an_api_that_do_not_answer_fail(desk: Desk) -> None:
    desk.deploy()
    desk.site.documents["/jwks"] = {"keys": []}
    desk.site.documents["/.well-known/oauth-authorization-server"] = {"issuer": "https://other.example.com"}
    assert desk.failed() == [
        f"the API calls itself https://other.example.com, not {desk.site.base}",
        f"{desk.site.base} publishes no usable key for RS256, ES256",
    ]
    desk.site.documents.clear()
    assert desk.failed() == [
        f"the API at {desk.site.base} does not answer: status 403",
        f"the keys of {desk.site.base} cannot be fetched: status 403",
    ]


def test_what_cannot_be_read_is_a_failure(desk: Desk) -> None:
    desk.deploy(outputs={})
    for args, code in (
        (["--stack", desk.name], 2), (["--stack", "none"], 7), (["--stack", "none", "--template", __file__], 2),
        ([], 2), (["--stack", desk.name, "--parameters", __file__], 2),
    ):  # fmt: skip
        assert desk.run(*args).exit_code == code, args


GOOD = {"issuer": "https://login.example.com", "audience": ["web"]}
LONG_AGO = "2000-01-01T00:00:00Z"
LEGACY = {"algorithm": "HS256", "version": 3, "accept_until": LONG_AGO, "issued_before": LONG_AGO,
          "claims": {"user": "u", "access": "a", "admin": "i"}}  # fmt: skip
KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{number}" for number in "1234"]


@pytest.mark.parametrize(("given", "told"), [
    ({}, None),
    ({"IdentityIssuers": json.dumps([GOOD]), "KillReservedConcurrency": 5, "OwnDomainOnly": "yes"}, None),
    ({"LegacyIssuer": json.dumps(LEGACY), "LegacySecret": "old-a1B2c3", "IdentityIssuers": json.dumps([GOOD])}, None),
    ({"ExistingTable": "restored", "ExistingKeys": ",".join(KEYS[:3]), "ExistingAuditKey": KEYS[3]}, None),
    ({"Audiance": "x"}, "the template has no parameter Audiance"),
    ({"Issuer": "http://example.com"}, "Issuer must be an https URL without a trailing slash, or empty"),
    ({"IdentityIssuers": "[" + " " * 2048 + "]"}, "IdentityIssuers must be a JSON list of at most 2,048 characters"),
    ({"OwnDomainOnly": "maybe"}, "OwnDomainOnly must be one of no, yes"),
    ({"DefaultRate": "fast"}, "DefaultRate must be a number"),
    ({"KillReservedConcurrency": 101}, "KillReservedConcurrency must be at least 0 and at most 100"),
    ({"DefaultRate": 0}, "DefaultRate must be at least 1 and at most any"),
    ({"LegacySecret": "old-a1B2c3"}, "LegacyIssuer and LegacySecret must be set together"),
    ({"CorsRequestHeaders": "x-a"}, "have no effect without CorsOrigins"),
    ({"ExistingKeys": ",".join(KEYS[:3]), "ExistingAuditKey": KEYS[0]}, "must name different keys"),
    ({"ExistingKeys": ",".join(KEYS[:3])}, "need ExistingTable"),
    ({"LogKey": "arn:aws:kms:eu-west-1:123456789012:key/1"}, f"LogKey is in eu-west-1, but the stack is in {REGION}"),
    ({"AlarmTopic": "my-topic"}, "AlarmTopic must be the ARN of a standard SNS topic"),
    ({"TracingLayer": "arn:aws:lambda:eu-west-1:123456789012:layer:otel:1", "Tracing": "Active"}, "TracingLayer is in"),
    ({"IdentityIssuers": '[{"issuer": "https://x.example.com"}]'}, "IdentityIssuers: issuers[0].audience must"),
    ({"IdentityIssuers": json.dumps([GOOD]), "LegacySecret": "old-a1B2c3",
      "LegacyIssuer": json.dumps({**LEGACY, "issuer": "https://other.example.com"})},
     "LegacyIssuer: issuer must name one of the identity issuers"),
])  # fmt: skip
def test_parameters_that_contradict_each_other_fail_before_a_deployment(
    given: dict[str, Any], told: str | None, desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "production.yaml"
    file.write_text(json.dumps(given))
    done = desk.run("--parameters", str(file), "--json")
    found = json.loads(done.stdout)["findings"]
    failed = [one["told"] for one in found if one["failed"]]
    assert done.exit_code == (0 if told is None else 1), done.output
    assert (failed == []) if told is None else any(told in one for one in failed), failed
    empty = json.loads(given.get("IdentityIssuers", "[]")) == []
    assert ("IdentityIssuers is empty: nobody can exchange a token" in done.stdout) is empty


@pytest.mark.parametrize(("ahead", "told"), [
    (0, "agrees"), (30, "agrees"), (-30, "agrees"), (31, "31 s ahead of AWS's"), (-400, "400 s behind AWS's"),
])  # fmt: skip
def test_a_clock_that_is_off_fails(ahead: int, told: str) -> None:
    finding = clock("Sat, 01 Jan 2000 00:00:00 GMT", 946_684_800 + ahead)
    assert told in finding.told
    assert finding.failed is ("agrees" not in told)


@pytest.mark.parametrize(("unreserved", "reserved", "told"), [
    (1_000, 5, "5 is reserved"), (1_000, 0, "KillReservedConcurrency=5"), (105, 0, "KillReservedConcurrency=5"),
    (104, 0, "none can be reserved"), (10, 0, "none can be reserved"),
])  # fmt: skip
def test_concurrency_is_recommended_only_if_the_account_has_it(unreserved: int, reserved: int, told: str) -> None:
    finding = concurrency(unreserved, reserved)
    assert told in finding.told
    assert not finding.failed, "a first deployment into a new account must pass"
