"""A service's template joined with the gate's: what is combined, what the service gets, and what is rejected."""

import re
from pathlib import Path

import pytest
from guarded_api import GUARDED_API

from headgate_cli.local.declared import Template
from headgate_cli.local.intrinsics import TemplateError
from headgate_cli.local.template import load_template

ROOT = Path(__file__).parents[2]
SMALL = Path(__file__).parent / "project" / "template.yaml"
APP = (
    """
Transform: AWS::Serverless-2016-10-31
Parameters:
  GateArn: {Type: String}
  LayerArn: {Type: String}
  Days: {Type: Number, Default: 3}
Resources:
"""
    + GUARDED_API
    + """  AppFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code
      Handler: app.handler
      Layers: [!Ref LayerArn]
      Environment: {Variables: {STORE: !Ref Table, KEPT: !Ref Days, STACK: !Ref AWS::StackName}}
      Events:
        Own: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: GET, Path: /own}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
"""
)
OUTPUTS = """
Outputs:
  GateArn: {Value: !Ref GateAlias}
  LayerArn: {Value: !Ref SharedLayer}
  Url: {Value: !Sub "https://${HttpApi}.example/${AWS::NoSuch}"}
"""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The small project's template, with outputs; only requested outputs are read."""
    path = tmp_path / "gate" / "template.yaml"
    path.parent.mkdir()
    path.write_text(SMALL.read_text() + OUTPUTS)
    return path


def with_app(gate: Path, text: str = APP) -> Template:
    app = gate.parents[1] / "shop" / "template.yaml"
    app.parent.mkdir()
    app.write_text(text)
    return load_template(gate, {}, [app])


def test_joined_templates_are_one_api(gate: Path) -> None:
    alone, both = load_template(gate, {}), with_app(gate)
    assert [route.key for route in both.routes] == [*(route.key for route in alone.routes), "GET /own"]
    assert both.routes[-1].auth == "Gate"
    assert both.authorizers == alone.authorizers
    assert both.functions.keys() - alone.functions.keys() == {"AppFunction"}
    assert both.guarded_reads() == (*alone.guarded_reads(), "/own")


def test_service_gets_the_gates_outputs_and_its_own_table(gate: Path) -> None:
    both = with_app(gate)
    function = both.functions["AppFunction"]
    assert function.layers == (gate.parent / "layers" / "shared",)
    assert function.code_dir == gate.parents[1] / "shop" / "code"
    assert function.environment == {"STORE": "headgate-local-shop-Table", "KEPT": "3", "STACK": "headgate-local-shop"}
    assert [table.name for table in both.tables] == ["headgate-local-Table", "headgate-local-shop-Table"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Path: /own", "Path: /guarded", "GET /guarded and GET /guarded are the same route"),
        ("Path: /own", 'Path: "/things/{other}"', "same route"),
        ("ReauthorizeEvery: 0", "ReauthorizeEvery: 60", "authorizer Gate of the app differs from the gate's"),
        ("          Gate:\n", "          Other:\n", "DefaultAuthorizer|default authorizer Gate"),
        ("AppFunction:", "EchoFunction:", "EchoFunction is a resource of both the gate and the app"),
        ("  LayerArn: {Type: String}", "  LayerArn: {Type: String}\n  More: {Type: String}", "More has no default"),
        ("Layers: [!Ref LayerArn]", "Layers: [!Ref GateArn]", "is not a layer"),
        ("FunctionArn: !Ref GateArn", "FunctionArn: !GetAtt AppFunction.Arn", "differs from the gate's"),
        ("      Auth:\n", "      CorsConfiguration: {AllowOrigins: ['https://a.example']}\n      Auth:\n", "Cors"),
    ],
)
def test_conflicting_template_is_rejected(gate: Path, old: str, new: str, says: str) -> None:
    assert old in APP
    with pytest.raises(TemplateError, match=says):
        with_app(gate, APP.replace(old, new))


def test_example_is_behind_the_gate() -> None:
    alone = load_template(ROOT / "template.yaml", {})
    both = load_template(ROOT / "template.yaml", {}, [ROOT / "examples/gastown/template.yaml"])
    function = both.functions["GastownFunction"]
    assert function.layers == (ROOT / "layers" / "headgate",)
    assert function.environment == {"GASTOWN_TABLE": both.tables[-1].name}
    assert (function.code_dir / "app.py").is_file()
    added = [route for route in both.routes if route not in alone.routes]
    assert {(route.function, route.auth) for route in added} == {("GastownFunction", "Gate")}
    assert len(added) == 18


def test_gate_alone_has_nothing_of_the_example() -> None:
    text = (ROOT / "template.yaml").read_text().replace("examples/gastown/template.yaml", "")
    assert not re.search(r"gastown|\btowns?\b|\brigs?\b|convoy|molecule", text, re.IGNORECASE)


def test_missing_template_is_reported(gate: Path) -> None:
    with pytest.raises(TemplateError, match="cannot read"):
        load_template(gate, {}, [gate.parent / "none" / "template.yaml"])
