"""A deployment, rehearsed without AWS: a first one, one that fails, a release, its rollback (`make rehearse`).

`releases` is a model of CloudFormation's order. moto makes the resources that it knows, from what SAM's own translator
writes. What neither can show is listed in docs/deploy.md.
"""

import copy
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from template_checks import releases
from template_checks.broken_releases import BROKEN
from template_checks.deployment import Check, Deployment, Raw, listed
from template_checks.edits import drop, route, takes
from template_checks.expected import ALLOWED, OFF_BY_DEFAULT, SIGNERS
from template_checks.expected import KEYS as SIGNER_KEYS
from template_checks.releases import failed_first_deployment_leaves_nothing_to_pay as failed
from template_checks.releases import import_warnings, moved, version

from headgate.edge.settings import key_ids
from headgate_cli.doctor.parameters import check_parameters

STACK, REGION = "headgate-production", "us-east-1"
NOT_BY_MOTO = {
    "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::CloudWatch::Alarm", "AWS::Lambda::Alias",
    "AWS::Logs::MetricFilter", "AWS::Scheduler::Schedule",
}  # fmt: skip
"""What moto's CloudFormation cannot make. It also takes any reference, any policy, and any setting as valid."""
DASHBOARD = "AWS::CloudWatch::Dashboard"
"""It names the alarms by their ARNs."""
API_ID = "a1b2c3d4e5"

FAULTS = {
    (releases.first_import_succeeds, "fails on warnings"): (
        'the first deployment fails: FailOnWarnings, and HttpApi warns servers.0: "url" is a required property'
    ),
    (failed, "keys are kept"): (
        "a failed first deployment leaves SigningKey1, a AWS::KMS::Key, which costs money"
    ),
    (releases.releases_may_remove_and_add_routes, "settings for each admin route"): (
        "a version without GET /admin/v1/flags cannot be deployed, or rolled back to: "
        "Unable to find Route by key GET /admin/v1/flags within the provided RouteSettings"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("broken", "message"), FAULTS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_template_that_was_once_released_fails(broken: tuple[Check, str], message: str, deployment: Deployment) -> None:
    check, name = broken
    source = copy.deepcopy(deployment.source)
    BROKEN[check][name](source)
    assert message in list(check(Deployment(source)))
    others = [fault for other in releases.CHECKS if other is not check for fault in other(Deployment(source))]
    assert others == []


@pytest.mark.parametrize("check", releases.CHECKS, ids=lambda check: check.__name__)
def test_example_can_be_deployed_and_released(check: Check, example: Deployment) -> None:
    assert list(check(example)) == []


def test_import_warns_of_nothing_but_the_missing_url(deployment: Deployment, example: Deployment) -> None:
    """SAM writes it for `DisableExecuteApiEndpoint`. Any other warning would be a route that is not made."""
    (gate,), (service,) = (d.of("AWS::ApiGatewayV2::Api").values() for d in (deployment, example))
    assert list(import_warnings(gate["Body"])) == ['servers.0: "url" is a required property']
    assert list(import_warnings(service["Body"])) == []


@pytest.mark.parametrize("fault", [
    {"paths": {"/a/{b}": {"get": {"responses": {}}}}},
    {"paths": {"a": {}}},
    {"openapi": "4"},
    {"components": {"securitySchemes": {"Gate": {"type": "magic"}}}},
])  # fmt: skip
def test_import_warning_is_found(fault: Raw, deployment: Deployment) -> None:
    (api,) = deployment.of("AWS::ApiGatewayV2::Api").values()
    assert len(list(import_warnings(api["Body"] | fault))) > 1


@pytest.fixture(scope="module")
def release(deployment: Deployment) -> Deployment:
    """The next version, with one route more in each function that operators call, and one fewer."""
    source = copy.deepcopy(deployment.source)
    route("Admin", "GET", "/admin/v1/more", "AWS_IAM")(source)
    route("Worker", "GET", "/more")(source)
    drop("Resources.AdminFunction.Properties.Events.Preview")(source)
    drop("Resources.WorkerFunction.Properties.Events.Decision")(source)
    return Deployment(source)


def test_a_release_that_moves_routes_can_be_deployed_and_rolled_back(
    deployment: Deployment, release: Deployment
) -> None:
    old, new = version(deployment), version(release)
    assert old.routes ^ new.routes == {
        "GET /admin/v1/more", "GET /more", "POST /admin/v1/preview", "GET /decision"}  # fmt: skip
    assert [*moved(old, new), *moved(new, old)] == []


KEYS = [f"arn:aws:kms:ap-southeast-2:123456789012:key/{name}" for name in ("one", "two", "three", "audit")]
RESTORED = {"ExistingTable": "restored", "ExistingKeys": ",".join(KEYS[:3]), "ExistingAuditKey": KEYS[3]}


def test_stack_on_a_restored_table_uses_it_and_its_keys_and_makes_none(deployment: Deployment) -> None:
    """Each function may do on them exactly what it may do on the stack's own."""
    restored = Deployment(deployment.source, RESTORED)
    own = {"Table", *SIGNERS, *(f"{key}Alias" for key in SIGNERS)}
    assert deployment.resources.keys() - restored.resources.keys() == own
    names = {"arn:aws:dynamodb:ap-southeast-2:123456789012:table/restored": "Table"}
    names |= dict(zip(KEYS, [*sorted(SIGNER_KEYS), "AuditKey"], strict=True)) | {"<Undelivered>": "Undelivered"}
    for function, wanted in ALLOWED.items():
        got = {
            (action, names.get(arn, arn))
            for statement in restored.statements(function)
            if statement["Effect"] == "Allow"
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
            for arn in restored.texts(resource)
        }
        assert got == wanted, function
        variables = restored.variables(function)
        assert variables["HEADGATE_TABLE"] == "restored"
        assert key_ids(variables["HEADGATE_SIGNING_KEYS"]) == ("one", "two", "three")
        assert key_ids(variables.get("HEADGATE_AUDIT_KEY", KEYS[3])) == ("audit",)
    assert restored.text(restored.template["Outputs"]["TableName"]["Value"]) == "restored"
    assert "<Table>" not in json.dumps(restored.template)
    for name in ("Table", *SIGNERS):
        assert json.dumps(name) not in json.dumps(restored.resources), name


@pytest.mark.parametrize(("name", "value", "taken"), [
    ("ExistingTable", "headgate-restored", True), ("ExistingTable", "a table", False),
    ("ExistingTable", "arn:aws:dynamodb:eu-west-1:123456789012:table/t", False),
    ("ExistingKeys", ",".join(KEYS[:3]), True), ("ExistingKeys", KEYS[0], False),
    ("ExistingKeys", ",".join(KEYS), False), ("ExistingKeys", "one,two,three", False),
    ("ExistingAuditKey", KEYS[3], True), ("ExistingAuditKey", "audit", False),
])  # fmt: skip
def test_existing_resources_are_named_exactly(name: str, value: str, taken: bool, deployment: Deployment) -> None:
    assert takes(deployment, name, value) is taken
    assert deployment.source["Parameters"][name]["Default"] == ""
    assert takes(deployment, name, "")


@pytest.mark.parametrize("given", [set(), {"ExistingTable"}, {*RESTORED}, {"ExistingKeys"}, {"ExistingAuditKey"}])
def test_keys_without_the_table_that_knows_their_states_are_refused(given: set[str], deployment: Deployment) -> None:
    values = {name: RESTORED[name] for name in given}
    found = check_parameters(deployment.source, values, region=None, now=0)
    faults = [one.told for one in found if one.failed]
    assert bool(faults) is bool(given and "ExistingTable" not in given)
    assert all("need ExistingTable" in fault for fault in faults)


def test_table_of_ones_own_and_an_existing_one_of_the_same_name_have_different_homes(deployment: Deployment) -> None:
    restored = Deployment(deployment.source, RESTORED)
    homes = {one.variables(function)["HEADGATE_HOME"] for one in (deployment, restored) for function in ALLOWED}
    stack = "00000000-0000-0000-0000-000000000000"
    assert homes == {f"<Table>@{stack}@own", f"restored@{stack}@existing"}


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """CloudFormation by moto, and a bucket with the artifact that every function and the layer name."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("app.py", "def handler(event, context): return None")
    with mock_aws():
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="headgate-artifacts")
        s3.put_object(Bucket="headgate-artifacts", Key="key", Body=archive.getvalue())
        yield boto3.client("cloudformation", region_name=REGION)


def for_moto(d: Deployment) -> str:
    """The expanded template without what moto cannot make."""
    text = json.dumps(d.template).replace('{"Ref": "HttpApi"}', f'"{API_ID}"').replace("${HttpApi}", API_ID)
    template = json.loads(text.replace('{"Ref": "GateAlias"}', '{"Ref": "AuthorizerFunction"}'))
    without = {*NOT_BY_MOTO, DASHBOARD}
    template["Resources"] = {n: r for n, r in template["Resources"].items() if r["Type"] not in without}
    return json.dumps(template)


def made(stacks: Any) -> set[str]:
    """The logical ids of what the stack has."""
    found = stacks.describe_stack_resources(StackName=STACK)["StackResources"]
    return {resource["LogicalResourceId"] for resource in found if "LogicalResourceId" in resource}


@pytest.mark.slow
def test_stack_is_made_changed_and_changed_back(stacks: Any, deployment: Deployment, release: Deployment) -> None:
    asked: dict[str, Any] = {"StackName": STACK, "Capabilities": ["CAPABILITY_IAM"]}
    stacks.create_stack(TemplateBody=for_moto(deployment), **asked)
    first = made(stacks)
    wanted = {name: r for name, r in deployment.resources.items() if r.get("Condition") not in OFF_BY_DEFAULT}
    assert {wanted[name]["Type"] for name in wanted.keys() - first} == {*NOT_BY_MOTO, DASHBOARD}
    assert first <= wanted.keys(), "what is off by default is made"
    parameters = boto3.client("ssm", region_name=REGION)
    found = parameters.get_parameters_by_path(Path=f"/headgate/{STACK}")["Parameters"]
    assert {one["Name"].rpartition("/")[2] for one in found} == {"gate-arn", "layer-arn", "api-url"}
    stacks.update_stack(TemplateBody=for_moto(release), **asked)
    assert {name.removesuffix("Permission") for name in made(stacks) ^ first} == {
        "AdminFunctionMore", "AdminFunctionPreview", "WorkerFunctionMore", "WorkerFunctionDecision"}  # fmt: skip
    stacks.update_stack(TemplateBody=for_moto(deployment), **asked)
    assert made(stacks) == first


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(NOT_BY_MOTO))
def test_moto_still_cannot_make(kind: str, stacks: Any) -> None:
    """If it can, take it from the list."""
    resources = {"One": {"Type": kind, "Properties": {}}}
    with pytest.warns(UserWarning, match=f"{kind} but it's not supported"):
        stacks.create_stack(StackName="one", TemplateBody=json.dumps({"Resources": resources}))
