"""parliament finds nothing in an IAM policy: actions, condition keys, and kinds of resources exist and fit each other.

Trust policies are left out: parliament asks every statement for a resource, and they have none.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from parliament import analyze_policy_string
from template_checks.deployment import PSEUDO, Deployment, Raw

PLACE = f"{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}"
ARNS = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{PLACE}:table/made-up",
    "AWS::Events::ApiDestination": f"arn:aws:events:{PLACE}:api-destination/made-up/0",
    "AWS::Events::EventBus": f"arn:aws:events:{PLACE}:event-bus/made-up",
    "AWS::SQS::Queue": f"arn:aws:sqs:{PLACE}:made-up",
    "AWS::KMS::Key": f"arn:aws:kms:{PLACE}:key/00000000-0000-0000-0000-000000000000",
    "AWS::Lambda::Function": f"arn:aws:lambda:{PLACE}:function:made-up",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{PLACE}:log-group:made-up:*",
}


def policies(d: Deployment) -> Iterator[tuple[str, Raw]]:
    """Every identity policy and key policy."""
    for name, resource in d.resources.items():
        properties = resource.get("Properties", {})
        inline = [policy["PolicyDocument"] for policy in properties.get("Policies", []) if "PolicyDocument" in policy]
        own = [properties[member] for member in ("PolicyDocument", "KeyPolicy") if member in properties]
        yield from ((name, policy) for policy in inline + own)


def plain(value: Any, d: Deployment) -> Any:
    """The value without intrinsic functions."""
    if isinstance(value, list):
        return [plain(item, d) for item in value]
    if not isinstance(value, dict):
        return value
    if value == {"Fn::GetAtt": ["Table", "StreamArn"]}:
        return ARNS["AWS::DynamoDB::Table"] + "/stream/made-up"
    if len(value) == 1 and next(iter(value)) in ("Ref", "Fn::GetAtt", "Fn::Join", "Fn::Sub"):
        return re.sub(r"^<(\w+)>", lambda named: ARNS[d.resources[named[1]]["Type"]], d.text(value))
    return {name: plain(item, d) for name, item in value.items()}


def findings(name: str, policy: Raw) -> list[str]:
    found = analyze_policy_string(json.dumps(policy)).findings
    # in a key policy `*` is the key itself
    return [f"{name}: {f.issue} {f.detail}" for f in found if f.issue != "RESOURCE_STAR" or "Key" not in name]


@pytest.mark.parametrize("name", ["deployment", "example"])
def test_parliament_finds_nothing(name: str, request: pytest.FixtureRequest) -> None:
    d = request.getfixturevalue(name)
    asked = list(policies(d))
    assert len(asked) >= len(d.of("AWS::IAM::Role")) > 0
    assert [finding for name, policy in asked for finding in findings(name, plain(policy, d))] == []


@pytest.mark.parametrize(
    ("fault", "issue"),
    [
        ({"Action": "dynamodb:GetItems"}, "UNKNOWN_ACTION"),
        ({"Resource": "arn:aws:s3:::made-up"}, "RESOURCE_MISMATCH"),
        ({"Resource": "*"}, "RESOURCE_STAR"),
        ({"Condition": {"StringEquals": {"kms:KeySpec": "x"}}}, "UNKNOWN_CONDITION_FOR_ACTION"),
    ],
)
def test_parliament_finds(fault: Raw, issue: str, deployment: Deployment) -> None:
    policy = plain(dict(policies(deployment))["KillFunctionRole"], deployment)
    policy["Statement"] = [statement | fault for statement in policy["Statement"] if statement["Effect"] == "Allow"]
    assert issue in "".join(findings("KillFunctionRole", policy))
