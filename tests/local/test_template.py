"""What is read from a SAM template, compared with the SAM translator's output; and what is rejected."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from headgate_cli.local.declared import AWS_IAM, NONE, Template
from headgate_cli.local.intrinsics import TemplateError, read_template
from headgate_cli.local.template import load_template

ROOT = Path(__file__).parents[2]
SMALL = Path(__file__).parent / "project" / "template.yaml"
TEMPLATES = [SMALL, ROOT / "template.yaml"]


@pytest.fixture(scope="module")
def small() -> Template:
    return load_template(SMALL, {"Issuer": "http://127.0.0.1:1"})


def translated(path: Path) -> dict[str, Any]:
    """The template as AWS's translator turns it into CloudFormation, offline."""
    source = read_template(path)
    for resource in source["Resources"].values():
        for place in ("CodeUri", "ContentUri"):
            if place in resource["Properties"]:
                resource["Properties"][place] = "s3://bucket/key"
    session = boto3.Session(region_name="us-east-1")
    result: dict[str, Any] = Translator({}, Parser(), boto_session=session).translate(source, {})
    return result


def openapi(result: dict[str, Any]) -> dict[str, Any]:
    bodies = [r["Properties"]["Body"] for r in result["Resources"].values() if r["Type"] == "AWS::ApiGatewayV2::Api"]
    assert len(bodies) == 1
    body: dict[str, Any] = bodies[0]
    return body


@pytest.mark.parametrize("path", TEMPLATES, ids=["small", "headgate"])
def test_routes_functions_and_authorization_match_the_translator(path: Path) -> None:
    theirs = set()
    for route, methods in openapi(translated(path))["paths"].items():
        for method, operation in methods.items():
            if method == "options":
                continue
            security = [next(iter(item)) for item in operation.get("security", [])] or [NONE]
            uri = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
            theirs.add((method.upper(), route, *re.findall(r"\$\{(\w+)\.Arn\}", uri), *security))
    ours = {(route.method, route.path, route.function, route.auth) for route in load_template(path, {}).routes}
    assert ours == theirs


@pytest.mark.parametrize("path", TEMPLATES, ids=["small", "headgate"])
def test_authorizers_match_the_translator(path: Path) -> None:
    result = translated(path)
    resources, schemes = result["Resources"], openapi(result)["components"]["securitySchemes"]
    for name, authorizer in load_template(path, {}).authorizers.items():
        theirs = schemes[name]["x-amazon-apigateway-authorizer"]
        called = theirs["authorizerUri"]["Fn::Sub"][1]["__FunctionArn__"]
        if "Ref" in called:  # by an alias
            called = {"Fn::GetAtt": [resources[called["Ref"]]["Properties"]["FunctionName"]["Ref"], "Arn"]}
        assert called == {"Fn::GetAtt": [authorizer.function, "Arn"]}
        assert theirs["authorizerPayloadFormatVersion"] == "2.0"
        assert theirs["enableSimpleResponses"] is True
        assert theirs["authorizerResultTtlInSeconds"] == authorizer.ttl
        assert tuple(theirs["identitySource"]) == authorizer.identity_sources


def test_headgate_template_gives_every_function_its_code_and_layer() -> None:
    template = load_template(ROOT / "template.yaml", {})
    for function in template.functions.values():
        assert (function.code_dir / "app.py").is_file()
        assert function.layers == (ROOT / "layers" / "headgate",)
        assert function.environment["HEADGATE_TABLE"] == template.tables[0].name
    keys = template.functions["TokenFunction"].environment["HEADGATE_SIGNING_KEYS"].split(",")
    assert keys == [key.key_id for key in template.keys if key.logical_id.startswith("SigningKey")]


def test_environment_variables_are_resolved(small: Template) -> None:
    echo, data = small.functions["EchoFunction"], small.functions["DataFunction"]
    key = small.keys[0]
    assert echo.environment["OWN"] == "http://127.0.0.1:1/of/headgate-local"
    assert "OWN" not in data.environment
    assert data.environment["TABLE"] == small.tables[0].name
    assert data.environment["KEYS"] == f"{key.key_id},arn:aws:kms:us-east-1:123456789012:key/{key.key_id}"
    assert (echo.timeout, small.functions["GateFunction"].timeout) == (5, 1)


def test_false_condition_leaves_the_variable_out() -> None:
    assert "OWN" not in load_template(SMALL, {}).functions["EchoFunction"].environment


def test_default_and_named_authorizers(small: Template) -> None:
    auth = {route.key: route.auth for route in small.routes}
    assert auth["GET /guarded"] == "Gate"
    assert auth["POST /open"] == NONE
    assert auth["GET /remembered"] == "Remembering"
    assert auth["POST /signed/{thing}"] == AWS_IAM


def test_authorizer_alias_resolves_to_its_function(small: Template) -> None:
    assert small.aliases == {"GateFunction": "live"}
    assert small.authorizers["Remembering"].function == "GateFunction"


def test_cors_tables_and_policies_are_read(small: Template) -> None:
    assert small.cors is not None
    assert small.cors.allow_origins == ("https://app.example", "https://other.example")
    assert small.cors.max_age == 600
    assert small.tables[0].ttl_attribute == "expires"
    assert small.tables[0].definition["KeySchema"][0] == {"AttributeName": "pk", "KeyType": "HASH"}
    kill = small.policies["KillOperatorPolicy"]["Statement"][0]["Resource"]
    assert kill == "arn:aws:execute-api:us-east-1:123456789012:headgate/$default/POST/signed/*/kill"


OPEN = "Method: POST, Path: /open, Auth: {Authorizer: NONE}"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (OPEN, "Method: ANY, Path: /open", "ANY"),
        (OPEN, "Path: /open", "one method"),
        (OPEN, "Method: POST", "no \\$default"),
        (OPEN, "Method: POST, Path: $default", "no \\$default"),
        (OPEN, "Method: POST, Path: '/open/{proxy+}'", "greedy"),
        (OPEN, "Method: POST, Path: /open/", "is not supported"),
        (OPEN, "Method: POST, Path: //open", "is not supported"),
        (OPEN, "Method: POST, Path: /open, Auth: {Authorizer: Nobody}", "Nobody"),
        (OPEN, "Method: POST, Path: /open, Auth: {AuthorizationScopes: [a]}", "Auth.Authorizer"),
        (OPEN, "Method: POST, Path: /open, PayloadFormatVersion: '1.0'", "2.0"),
        (OPEN, "Method: POST, Path: '/things/{other}', Auth: {Authorizer: NONE}", None),
        (OPEN, "Method: GET, Path: '/things/{other}', Auth: {Authorizer: NONE}", "same route"),
        ("Open: {Type: HttpApi", "Open: {Type: Api", "type Api"),
        ("Open: {Type: HttpApi", "Open: {Type: Schedule", "Schedule"),
        ("ApiId: !Ref HttpApi, Method: POST, Path: /open", "ApiId: other, Method: POST, Path: /open", "another API"),
        ('AuthorizerPayloadFormatVersion: "2.0"', 'AuthorizerPayloadFormatVersion: "1.0"', "payload 2.0"),
        ("EnableSimpleResponses: true", "EnableSimpleResponses: false", "simple responses"),
        ("ReauthorizeEvery: 0", "ReauthorizeEvery: 0, Unknown: 0", "Unknown"),
        (", ReauthorizeEvery: 0", "", "is required"),
        ("ReauthorizeEvery: 60", "ReauthorizeEvery: 3601", "3600"),
        ("Context: [routeKey]", "Context: ['a b']", "a b"),
        ("FunctionArn: !GetAtt GateFunction.Arn", "FunctionArn: arn:aws:lambda:us-east-1:1:function:x", "FunctionArn"),
        ("FunctionArn: !GetAtt GateFunction.Arn", "FunctionArn: !GetAtt Nothing.Arn", "Nothing"),
        ("DefaultAuthorizer: Gate", "DefaultAuthorizer: Nobody", "Nobody"),
        ("EnableIamAuthorizer: true", "EnableOther: true", "EnableOther"),
        ("      CorsConfiguration:", "      DefinitionBody: {}\n      CorsConfiguration:", "DefinitionBody"),
        ("      CorsConfiguration:", "      StageName: prod\n      CorsConfiguration:", "StageName"),
        ("AllowOrigins: !Ref CorsOrigins", "AllowOrigins: https://app.example", "not a list"),
        (
            "CodeUri: functions/gate",
            "CodeUri: functions/gate\n      FunctionUrlConfig: {AuthType: NONE}",
            "function URL",
        ),
        ("CodeUri: functions/gate", "PackageType: Image", "zip"),
        ("CodeUri: functions/gate", "InlineCode: x", "CodeUri"),
        ("CodeUri: functions/gate", "CodeUri: {Bucket: b, Key: k}", "CodeUri"),
        ("Layers: [!Ref SharedLayer]", "Layers: ['arn:aws:lambda:us-east-1:1:layer:x:1']", "layer"),
        ("TABLE: !Ref Table", "TABLE: !Ref Nothing", "Nothing"),
        ("TABLE: !Ref Table", "TABLE: !GetAtt Table.StreamArn", "StreamArn"),
        ("TABLE: !Ref Table", "TABLE: !ImportValue other", "ImportValue"),
        ("  SharedLayer:\n", "  Extra: {Type: AWS::ApiGatewayV2::Route}\n  SharedLayer:\n", "Extra"),
        ("  SharedLayer:\n", "  Extra: {Type: AWS::Serverless::HttpApi}\n  SharedLayer:\n", "2 found"),
        ("  SharedLayer:\n", "  Extra: {}\n  SharedLayer:\n", "Extra"),
        ("FunctionVersion: $LATEST", "FunctionVersion: '1'", "GateAlias"),
        ("FunctionVersion: $LATEST", "Description: none", "GateAlias"),
        ("FunctionName: !Ref GateFunction", "FunctionName: another", "GateAlias"),
    ],
)
def test_unsupported_template_is_rejected(tmp_path: Path, old: str, new: str, says: str | None) -> None:
    text = SMALL.read_text()
    assert old in text
    path = tmp_path / "template.yaml"
    path.write_text(text.replace(old, new))
    if says is None:
        load_template(path, {})
        return
    with pytest.raises(TemplateError, match=says):
        load_template(path, {})


def test_more_cors_headers_come_by_parameter() -> None:
    """In the gate's own template, in addition to those that Headgate needs."""
    origin = {"CorsOrigins": "https://app.example"}
    more = {"CorsRequestHeaders": "x-request-id,baggage", "CorsResponseHeaders": "x-total"}
    plain, given = (load_template(ROOT / "template.yaml", origin | headers).cors for headers in ({}, more))
    assert plain is not None
    assert given is not None
    assert plain.allow_headers == ("authorization", "content-type", "if-none-match")
    assert plain.expose_headers == ("ETag", "x-headgate-revision", "retry-after")
    assert given.allow_headers == (*plain.allow_headers, "x-request-id", "baggage")
    assert given.expose_headers == (*plain.expose_headers, "x-total")
