"""A stack's functions in moto's Lambda, with the authorizer's alias."""

import json
from collections.abc import Mapping
from typing import Any

import botocore.session

REGION = "eu-central-1"
KILL, ROUTES = "HEADGATE_EMERGENCY_KILL", "HEADGATE_EMERGENCY_ROUTES"
GATE, TOKEN, EVALUATE = "AuthorizerFunction", "TokenFunction", "EvaluateFunction"
OWN = {
    GATE: {"HEADGATE_TABLE": "t", KILL: "", ROUTES: ""},
    TOKEN: {"HEADGATE_TABLE": "t", KILL: "", "HEADGATE_IDENTITY_ISSUERS": '[{"issuer": "https://a.example"}]'},
    EVALUATE: {"HEADGATE_TABLE": "t", KILL: ""},
    "WorkerFunction": {"WORKER_TABLE": "w"},
}


class Aws:
    """A stack's functions in moto."""

    def __init__(self, url: str, stack: str) -> None:
        session = botocore.session.get_session()
        session.set_credentials("a", "b")
        self.url, self.stack = url, stack
        roles: Any
        stacks: Any
        self.api: Any
        self.api, roles, stacks = (
            session.create_client(name, region_name=REGION, endpoint_url=url)
            for name in ("lambda", "iam", "cloudformation")
        )
        role = roles.create_role(RoleName=f"{stack}-role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        shape = {"Runtime": "python3.13", "Role": role, "Handler": "app.handler", "Code": {"ZipFile": "pass"}}
        body = {
            name: {
                "Type": "AWS::Lambda::Function",
                "Properties": {**shape, "FunctionName": f"{stack}-{name}", "Environment": {"Variables": variables}},
            }
            for name, variables in OWN.items()
        }
        stacks.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": body}))
        self.api.create_alias(FunctionName=self.name(GATE), Name="live", FunctionVersion="$LATEST")

    def name(self, function: str) -> str:
        return f"{self.stack}-{function}"

    def variables(self, function: str, version: str = "$LATEST") -> Mapping[str, str]:
        qualifier = {} if version == "$LATEST" else {"Qualifier": version}
        found = self.api.get_function_configuration(FunctionName=self.name(function), **qualifier)
        variables: Mapping[str, str] = found["Environment"]["Variables"]
        return variables

    @property
    def alias(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get_alias(FunctionName=self.name(GATE), Name="live")
        return found

    @property
    def versions(self) -> list[str]:
        listed = self.api.list_versions_by_function(FunctionName=self.name(GATE))["Versions"]
        return [one["Version"] for one in listed if one["Version"] != "$LATEST"]

    def serves(self) -> Mapping[str, str]:
        """The variables of the authorizer version that API Gateway calls."""
        return self.variables(GATE, self.alias["FunctionVersion"])
