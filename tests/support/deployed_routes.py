"""The routes as AWS's own translator makes them of both templates, and which one API Gateway takes for a request.

A matcher of its own, written from the API Gateway Developer Guide ("Create routes for HTTP APIs") over the translated
OpenAPI paths: it shares no line with the laptop mode's, so that the two can be held against each other.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import boto3
from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
EXAMPLE = TEMPLATE.parent / "examples/gastown/template.yaml"
OPEN, IAM = "NONE", "AWS_IAM"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "get", "Post", "ANY",
           "PROPFIND", "$default")  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeployedRoute:
    """One route: how API Gateway authorises it and the logical id of the function behind it."""

    method: str
    path: str
    security: str
    function: str
    pattern: re.Pattern[str] = field(repr=False)

    @property
    def key(self) -> str:
        """As `$context.routeKey` has it."""
        return f"{self.method} {self.path}"


def deployed_routes() -> list[DeployedRoute]:
    """Every route of the translated templates, with its OpenAPI `security`."""
    return [route for template in (TEMPLATE, EXAMPLE) for route in _routes(template)]


def _routes(template: Path) -> list[DeployedRoute]:
    source = json.loads(json.dumps(yaml_parse(template.read_text())))
    for resource in source["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource["Properties"]:
                resource["Properties"][place] = "s3://bucket/key"
    made = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1")).translate(source, {})
    (api,) = (r["Properties"]["Body"] for r in made["Resources"].values() if r["Type"] == "AWS::ApiGatewayV2::Api")
    return [
        _route(method.upper(), path, operation)
        for path, operations in api["paths"].items()
        for method, operation in operations.items()
        if "x-amazon-apigateway-integration" in operation
    ]


def _route(method: str, path: str, operation: dict[str, Any]) -> DeployedRoute:
    security = [name for scheme in operation.get("security", []) for name in scheme] or [OPEN]
    (function,) = re.findall(
        r"\$\{(\w+)\.(?:Arn|Alias)\}", json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
    )
    # a variable is one whole segment that is there; dot segments are taken for none, so that a path has one reading
    segments = [r"(?!\.{1,2}(?:/|$))[^/]+" if part[:1] == "{" else re.escape(part) for part in path.split("/")]
    return DeployedRoute(method, path, "+".join(security), function, re.compile("/".join(segments)))


def route_for(routes: list[DeployedRoute], method: str, path: str) -> DeployedRoute | None:
    """The route that API Gateway takes for a raw path: the method's, and the fullest match, from the left."""
    matching = [route for route in routes if route.method == method and route.pattern.fullmatch(path)]
    return min(matching, key=lambda route: [part[:1] == "{" for part in route.path.split("/")], default=None)


# -- paths that are right, and paths that are nearly right

VALUES = ("a", "gastown-access", "TOWN-1", "..", ".", "%2e%2e", "%2F", "a%2Fb", "%00", "a;b=c", "{town}", "é", "\xfe",
          "x" * 300, "%25", "a,b", "gastown.listTowns,gastown.sling", "*", "$default", "{proxy+}", "%c0%af", "a%20b",
          "~", "@")  # fmt: skip


def asked(dice: Random, routes: list[DeployedRoute]) -> tuple[str, str]:
    """A method and a raw path, as characters of one byte each."""
    route = dice.choice(routes)
    path = re.sub(r"\{[^}]+\}", lambda _: dice.choice(VALUES), route.path)
    for _ in range(dice.choice((0, 0, 0, 0, 1, 1, 1, 2, 3))):
        path = _bent(path, dice, routes)
    return (route.method if dice.random() < 0.85 else dice.choice(METHODS)), path


def _bent(path: str, dice: Random, routes: list[DeployedRoute]) -> str:
    segments = path.split("/")
    at = dice.randrange(1, max(2, len(segments)))
    part = segments[at] if at < len(segments) else ""
    other = dice.choice(routes).path.split("/")
    put_in = (
        [*segments[:at], dice.choice(("", ".", "..", "x", "%2e", "prod", "$default", "api")), *segments[at:]],
        [*segments[:at], *segments[at + 1 :]],
        [*segments[:at], *other[at:]],
        [*segments, *other[1:]],
        segments[:at],
        [*segments, dice.choice(("", "x", ".."))],
        [*segments[:at], _bent_part(part, dice), *segments[at + 1 :]],
        [*segments[:at], _bent_part(part, dice), *segments[at + 1 :]],
        [*segments[:at], dice.choice(VALUES), *segments[at + 1 :]],
    )
    return "/".join(dice.choice(put_in)) or "/"


def _bent_part(part: str, dice: Random) -> str:
    where = dice.randrange(len(part) + 1)
    letter = part[where : where + 1]
    return dice.choice(
        (
            part.upper(),
            part.capitalize(),
            part + dice.choice((";a=b", "%20", "%00", "?x", ".json", ".", "%2F", "\t", "\x85", "+")),
            dice.choice(("%20", ".", "\\", ":", "~")) + part,
            part[:where] + (f"%{ord(letter):02x}" if letter else "%") + part[where + 1 :],
            part[:where] + part[where + 1 :],
            part[:where] + dice.choice("aZ0-._~%\\*{}") + part[where:],
        )
    )


def fuzzed(seed: int, number: int, routes: list[DeployedRoute]) -> Iterator[tuple[str, str]]:
    """So many different requests; one seed is one list."""
    dice, seen = Random(seed), set[tuple[str, str]]()
    while len(seen) < number:
        request = asked(dice, routes)
        if request not in seen:
            seen.add(request)
            yield request
