"""A template as written and as CloudFormation gets it. It can read both, and knows no rule."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

TEMPLATE = Path(__file__).resolve().parents[3] / "template.yaml"
EXAMPLE = TEMPLATE.parent / "examples" / "gastown" / "template.yaml"
Raw = dict[str, Any]

PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "ap-southeast-2",  # a long name, for the worst case of sizes
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "headgate-production",
    "AWS::StackId": f"arn:aws:cloudformation:ap-southeast-2:123456789012:stack/headgate-production/{UUID(int=0)}",
    "AWS::URLSuffix": "amazonaws.com",
}


def read_source(path: Path) -> Raw:
    """The template with short tags written out (`!Ref x` becomes `{"Ref": "x"}`)."""
    parsed = yaml_parse(path.read_text())
    return json.loads(json.dumps(parsed))


CHOICES = {"OwnTable": "ExistingTable", "OwnKeys": "ExistingKeys", "OwnAuditKey": "ExistingAuditKey"}
"""Conditions that decide whether the stack has a resource of its own: each holds if its parameter is empty."""


def settled(value: Any, parameters: dict[str, str]) -> Any:
    """The value with every `If` of `CHOICES` decided."""
    if isinstance(value, list):
        return [settled(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::If" in value and value["Fn::If"][0] in CHOICES:
        condition, own, existing = value["Fn::If"]
        return settled(existing if parameters.get(CHOICES[condition]) else own, parameters)
    return {name: settled(item, parameters) for name, item in value.items()}


def translated(source: Raw, parameters: dict[str, str]) -> Raw:
    """What CloudFormation gets, by AWS's translator, offline. Raises its InvalidDocumentException."""
    template = copy.deepcopy(source)
    for resource in template["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource["Properties"] and resource["Type"].startswith("AWS::Serverless::"):
                resource["Properties"][place] = "s3://headgate-artifacts/key"
    session = boto3.Session(region_name=PSEUDO["AWS::Region"])
    return json.loads(json.dumps(Translator({}, Parser(), boto_session=session).translate(template, parameters)))


@dataclass
class Deployment:
    """`source` is the template as written, `resources` what CloudFormation makes of it with these parameters."""

    source: Raw
    parameters: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Raw] = field(init=False)
    template: Raw = field(init=False)
    expanded: Raw = field(init=False)

    def __post_init__(self) -> None:
        self.expanded = translated(self.source, self.parameters)
        self.template = settled(self.expanded, self.parameters)
        resources = self.template["Resources"].items()
        self.resources = {n: r for n, r in resources if not self.parameters.get(CHOICES.get(r.get("Condition"), ""))}

    def of(self, kind: str) -> dict[str, Raw]:
        """The properties of all resources of a type, by logical id."""
        return {name: r.get("Properties", {}) for name, r in self.resources.items() if r["Type"] == kind}

    def operations(self) -> Iterator[tuple[str, str, Raw]]:
        """Upper-case method, path, and OpenAPI operation of every route of every API."""
        for api in self.of("AWS::ApiGatewayV2::Api").values():
            for path, item in api["Body"]["paths"].items():
                for method, operation in item.items():
                    yield method.upper(), path, operation

    def statements(self, function: str) -> list[Raw]:
        """Every statement of a function's own policies."""
        policies = self.resources[f"{function}Role"]["Properties"].get("Policies", [])
        return [s for policy in policies for s in listed(policy["PolicyDocument"]["Statement"])]

    def variables(self, function: str) -> dict[str, str]:
        """A function's environment as text, with default parameters."""
        given = self.resources[function]["Properties"]["Environment"]["Variables"]
        chosen = {name: self.chosen(value) for name, value in given.items()}
        return {name: self.text(value) for name, value in chosen.items() if value != {"Ref": "AWS::NoValue"}}

    def chosen(self, value: Any) -> Any:
        """The branch of an If that applies; any other value unchanged."""
        if not isinstance(value, dict) or "Fn::If" not in value:
            return value
        condition, then, otherwise = value["Fn::If"]
        (equal,) = self.template["Conditions"][condition]["Fn::Not"]
        one, other = equal["Fn::Equals"]
        return then if self.text(one) != self.text(other) else otherwise

    def text(self, value: Any) -> str:
        """A Ref, GetAtt, Sub, or Join as text: default parameters, and resources as `<LogicalId>`."""
        if isinstance(value, str):
            return value
        (kind, argument), = value.items()  # fmt: skip
        if kind == "Ref":
            parameter = self.source["Parameters"].get(argument, {})
            given = self.parameters.get(argument, parameter.get("Default", f"<{argument}>"))
            return PSEUDO.get(argument, str(given))
        if kind == "Fn::GetAtt":
            return f"<{argument[0]}>"
        if kind == "Fn::Join":
            return argument[0].join(self.text(part) for part in argument[1])
        if kind == "Fn::Sub":
            return self._substituted(argument)
        if kind == "Fn::Select":
            return self.texts(argument[1])[argument[0]]
        raise ValueError(f"no text for {kind}")

    def texts(self, value: Any) -> list[str]:
        """A list by Split as texts; any other value as one."""
        if isinstance(value, dict) and "Fn::Split" in value:
            separator, joined = value["Fn::Split"]
            return self.text(joined).split(separator)
        return [self.text(value)]

    def _substituted(self, argument: Any) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else argument
        for name, value in names.items():
            text = text.replace("${" + name + "}", self.text(value))
        for name, value in PSEUDO.items():
            text = text.replace("${" + name + "}", value)
        for name, value in self.parameters.items():
            text = text.replace("${" + name + "}", value)
        for name in self.resources:
            text = text.replace("${" + name + "}", f"<{name}>").replace("${" + name + ".Arn}", f"<{name}>")
        return text


Check = Callable[[Deployment], Iterator[str]]


def listed(value: Any) -> list[Any]:
    """A policy member, which may be a single value or a list."""
    return value if isinstance(value, list) else [value]
