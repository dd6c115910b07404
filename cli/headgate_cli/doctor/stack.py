"""A deployed stack, as CloudFormation describes it, with every check of it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headgate.core.documents import Invalid
from headgate.tokens.issuers import parse_issuers
from headgate_cli.doctor.account import clock, concurrency
from headgate_cli.doctor.alarms import check_alarms, check_topic, declared_alarms, live_alarms
from headgate_cli.doctor.checked import Checked
from headgate_cli.doctor.gate import check_gate
from headgate_cli.doctor.issuers import check_own, check_provider
from headgate_cli.doctor.keys import check_key
from headgate_cli.doctor.parameters import check_parameters
from headgate_cli.doctor.routes import compared, live_routes
from headgate_cli.emergency.functions import GATE, Functions


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """What CloudFormation says of a stack. `own_keys` are the ids of its KMS keys, by logical id."""

    arn: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    own_keys: Mapping[str, str]
    authorizer: str
    date: str

    @property
    def region(self) -> str:
        """The stack's Region."""
        return self.arn.split(":")[3]

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.arn.split("/")[1]

    def role(self, function: str) -> str:
        """The pattern of a function's role, as the policies of the keys name it."""
        _, partition, _, _, account, _ = self.arn.split(":", 5)
        return f"arn:{partition}:iam::{account}:role/headgate/{self.name}/{function}/*"

    @property
    def keys(self) -> Iterator[tuple[str, str, str]]:
        """Each key in use: its name, its id or ARN, and the role that may sign with it."""
        own = self.own_keys
        existing = self.parameters.get("ExistingKeys", "")
        signing = existing.split(",") if existing else [own[name] for name in sorted(own) if name.startswith("Signing")]
        for number, key in enumerate(signing, 1):
            yield f"signing key {number}", key, self.role("token")
        if audit := self.parameters.get("ExistingAuditKey") or own.get("AuditKey"):
            yield "audit key", audit, self.role("admin")


def read_stack(cloudformation: Any, name: str) -> DeployedStack:
    """Read a stack. Raises `ClientError` or `BotoCoreError`."""
    answer = cloudformation.describe_stacks(StackName=name)
    (stack,) = answer["Stacks"]
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    resources = [one for page in pages for one in page["StackResourceSummaries"]]
    keys = (one for one in resources if one["ResourceType"] == "AWS::KMS::Key")
    gates = (one["PhysicalResourceId"] for one in resources if one["LogicalResourceId"] == GATE)
    return DeployedStack(
        stack["StackId"],
        {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])},
        {one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])},
        {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in keys},
        next(gates, ""),
        answer["ResponseMetadata"]["HTTPHeaders"]["date"],
    )


def check_stack(
    stack: DeployedStack, client: Callable[[str], Any], template: Mapping[str, Any], routes: Mapping[str, str], api: str
) -> Iterator[Checked]:
    """Check a stack against its template, which declares `routes`. `api` is the URL that callers use.

    `client` makes an AWS client by the service's name. What cannot be checked is a failure, too.
    """
    yield clock(stack.date, time.time())
    yield from check_parameters(template, stack.parameters, region=stack.region, now=time.time())
    yield from _tried("routes", partial(_routes, client("apigatewayv2"), stack, routes))
    yield from _tried("alarms", partial(_alarms, client("cloudwatch"), stack, template))
    yield from _tried("alarms", partial(check_topic, client("sns"), stack.parameters.get("AlarmTopic", "")))
    for name, key, signer in stack.keys:
        yield from _tried("keys", partial(check_key, client("kms"), name, key, signer))
    functions = client("lambda")
    yield from _tried("gate", partial(check_gate, Functions(functions), stack.authorizer))
    yield from _concurrency(functions, stack)
    yield from check_own(api, stack.parameters.get("Issuer", ""))
    try:
        yield from map(check_provider, parse_issuers(stack.parameters.get("IdentityIssuers", "[]")))
    except Invalid:
        return  # the parameters' check names each fault


def _tried(check: str, found: Callable[[], Iterable[Checked]]) -> Iterator[Checked]:
    try:
        yield from list(found())
    except (BotoCoreError, ClientError) as error:
        yield Checked(check, f"not checked: {error}", failed=True)


def _routes(api: Any, stack: DeployedStack, declared: Mapping[str, str]) -> Iterable[Checked]:
    return compared(declared, live_routes(api, stack.outputs["ApiId"]))


def _alarms(cloudwatch: Any, stack: DeployedStack, template: Mapping[str, Any]) -> Iterable[Checked]:
    return check_alarms(declared_alarms(template, stack.parameters), live_alarms(cloudwatch, stack.name))


def _concurrency(functions: Any, stack: DeployedStack) -> Iterator[Checked]:
    """It only recommends, so it does not fail."""
    try:
        limits = functions.get_account_settings()["AccountLimit"]
    except (BotoCoreError, ClientError) as error:
        yield Checked("concurrency", f"not checked: {error}")
        return
    reserved = int(stack.parameters.get("KillReservedConcurrency") or 0)
    yield concurrency(limits["UnreservedConcurrentExecutions"], reserved)
