"""Legacy tokens are off by default, and then nothing of them is deployed: no variable and no permission."""

import copy
import json
from collections.abc import Iterator

import pytest
from template_checks.deployment import Check, Deployment
from template_checks.edits import Edit, also, broken_by, drop, put, takes, with_one_route

ASKED_FOR, NOTHING = "AcceptsOldTokens", {"Ref": "AWS::NoValue"}
SECRET = {
    "Fn::Sub": "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${LegacySecret}",
}
POLICIES = ("AWS::IAM::RolePolicy", "AWS::IAM::Policy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy")


def old_tokens_are_off_by_default(d: Deployment) -> Iterator[str]:
    for name in ("LegacyIssuer", "LegacySecret"):
        if d.source["Parameters"][name]["Default"] != "":
            yield f"{name} has a default"
    if d.template["Conditions"].get(ASKED_FOR) != {"Fn::Not": [{"Fn::Equals": [{"Ref": "LegacyIssuer"}, ""]}]}:
        yield "they are accepted under another condition than a given issuer"
    if [name for name in d.variables("AuthorizerFunction") if "LEGACY" in name]:
        yield "the authorizer has an issuer that was not given"


def only_the_authorizer_has_the_issuer(d: Deployment) -> Iterator[str]:
    for name, function in d.of("AWS::Lambda::Function").items():
        variables = function["Environment"]["Variables"]
        got = {variable: value for variable, value in variables.items() if "Legacy" in json.dumps(value)}
        wanted = {
            "HEADGATE_LEGACY_ISSUER": {"Fn::If": [ASKED_FOR, {"Ref": "LegacyIssuer"}, NOTHING]},
            "HEADGATE_LEGACY_SECRET_ARN": {"Fn::If": [ASKED_FOR, SECRET, NOTHING]},
        }
        if got != (wanted if name == "AuthorizerFunction" else {}):
            yield f"{name} has {sorted(got)}"


def only_the_authorizer_reads_the_secret(d: Deployment) -> Iterator[str]:
    """The permission has the same condition as the variables, names one secret, and exists only with it."""
    found = {name: r for name, r in d.resources.items() if r["Type"] in POLICIES}
    if found.keys() != {"LegacySecretPolicy"}:
        yield f"policies other than the functions' own: {sorted(found)}"
        return
    policy = found["LegacySecretPolicy"]
    if policy.get("Condition") != ASKED_FOR:
        yield "the permission exists without the parameter"
    if policy["Properties"]["RoleName"] != {"Ref": "AuthorizerFunctionRole"}:
        yield "the permission is another function's"
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    wanted = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": SECRET}
    if {name: value for name, value in statement.items() if name != "Sid"} != wanted:
        yield f"the permission is {statement}"
    for function in ("Token", "Evaluate", "Authorizer", "Admin", "Kill", "Worker"):
        if "secretsmanager" in json.dumps(d.statements(f"{function}Function")):
            yield f"{function}Function has its own permission to read secrets"


def issuer_and_secret_are_set_together(d: Deployment) -> Iterator[str]:
    """CloudFormation rejects one without the other before it changes anything."""
    assertions = d.template.get("Rules", {}).get("LegacyParametersGoTogether", {}).get("Assertions", [])
    issuer, secret = ({"Fn::Equals": [{"Ref": name}, ""]} for name in ("LegacyIssuer", "LegacySecret"))
    neither, both = {"Fn::And": [issuer, secret]}, {"Fn::And": [{"Fn::Not": [issuer]}, {"Fn::Not": [secret]}]}
    if [assertion.get("Assert") for assertion in assertions] != [{"Fn::Or": [neither, both]}]:
        yield "an issuer without a secret, or a secret without an issuer, would be deployed"


_AUTHORIZER = "Resources.AuthorizerFunction.Properties.Environment.Variables"
_POLICY = "Resources.LegacySecretPolicy"
BROKEN: dict[Check, dict[str, Edit]] = {
    old_tokens_are_off_by_default: {
        "a default": put("Parameters.LegacyIssuer.Default", "{}"),
        "another condition": put(
            "Conditions.AcceptsOldTokens", {"Fn::Not": [{"Fn::Equals": [{"Ref": "Audience"}, ""]}]}
        ),
        "always set": put(f"{_AUTHORIZER}.HEADGATE_LEGACY_ISSUER", {"Ref": "LegacyIssuer"}),
    },
    only_the_authorizer_has_the_issuer: {
        "token too": put(
            "Resources.TokenFunction.Properties.Environment.Variables.HEADGATE_LEGACY_ISSUER", {"Ref": "LegacyIssuer"}
        ),
        "without its secret": drop(f"{_AUTHORIZER}.HEADGATE_LEGACY_SECRET_ARN"),
    },
    only_the_authorizer_reads_the_secret: {
        "always": drop(f"{_POLICY}.Condition"),
        "every secret": put(f"{_POLICY}.Properties.PolicyDocument.Statement.0.Resource", "*"),
        "write access too": put(f"{_POLICY}.Properties.PolicyDocument.Statement.0.Action", "secretsmanager:*"),
        "another's": put(f"{_POLICY}.Properties.RoleName", {"Ref": "WorkerFunctionRole"}),
        "another policy": put("Resources.More", {"Type": "AWS::IAM::RolePolicy", "Properties": {}}),
        "none": drop(_POLICY),
        "by the token function": also("Token", Action="secretsmanager:GetSecretValue", Resource=SECRET),
    },
    issuer_and_secret_are_set_together: {
        "no rule": drop("Rules.LegacyParametersGoTogether"),
        "only one way": put("Rules.LegacyParametersGoTogether.Assertions.0.Assert.Fn::Or.0", True),
    },
}


@pytest.mark.parametrize("check", BROKEN, ids=lambda check: check.__name__)
def test_template_satisfies(check: Check, deployment: Deployment) -> None:
    assert list(check(deployment)) == []


@pytest.mark.parametrize(("check", "edit"), broken_by(BROKEN))
def test_broken_template_is_found_by(check: Check, edit: Edit, deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    with_one_route(source)
    edit(source)
    assert list(check(Deployment(source)))


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("LegacyIssuer", "", True),
        ("LegacyIssuer", '{"accept_until": "2026-12-20T00:00:00Z"}', True),
        ("LegacyIssuer", '{"algorithm": "HS256", "version": 3}', False),
        ("LegacyIssuer", "accept_until", False),
        ("LegacySecret", "", True),
        ("LegacySecret", "gastown/old-tokens-a1B2c3", True),
        ("LegacySecret", "gastown/old", False),
        ("LegacySecret", "*-a1B2c3", False),
        ("LegacySecret", "??????????-a1B2c3", False),
        ("LegacySecret", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-a1B2c3", False),
    ],
)
def test_invalid_parameters_are_rejected_before_deployment(
    name: str, value: str, taken: bool, deployment: Deployment
) -> None:
    assert takes(deployment, name, value) is taken
