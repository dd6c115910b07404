"""CloudFormation's tags and intrinsic functions: those that are supported, and those that are rejected."""

from pathlib import Path
from typing import Any

import pytest

from headgate_cli.local.intrinsics import Resolver, TemplateError, read_template

HEAD = """
Parameters:
  Name: {Type: String, Default: abc}
  Empty: {Type: String, Default: ""}
  Count: {Type: Number, Default: 0}
  Flag: {Type: String, Default: true}
  Names: {Type: CommaDelimitedList, Default: "a, b,c"}
Mappings:
  ByRegion: {us-east-1: {Size: big}}
Conditions:
  Named: !Not [!Equals [!Ref Name, ""]]
  Filled: !Not [!Equals [!Ref Empty, ""]]
  Zero: !Equals [!Ref Count, 0]
  Both: !And [!Condition Named, !Condition Zero]
  Either: !Or [!Condition Filled, !Condition Zero]
  Neither: !Or [!Condition Filled, !Equals [!Ref Name, other]]
Resources:
  Thing: {Type: A::B::C}
Value:
"""


def resolved(tmp_path: Path, value: str, **parameters: str) -> Any:
    path = tmp_path / "template.yaml"
    path.write_text(HEAD + "\n".join("  " + line for line in value.splitlines()))
    template = read_template(path)
    resolver = Resolver(
        template,
        parameters=parameters,
        pseudo={"AWS::Region": "us-east-1"},
        ref=lambda name: f"ref:{name}",
        attribute=lambda name, attribute: f"att:{name}:{attribute}",
    )
    return resolver.resolve(template["Value"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("!Ref Name", "abc"),
        ("!Ref Count", "0"),
        ("!Ref Flag", "true"),
        ("!Ref Names", ["a", "b", "c"]),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref Thing", "ref:Thing"),
        ("!Ref Thing.Alias", "ref:Thing.Alias"),
        ("!GetAtt Thing.Arn", "att:Thing:Arn"),
        ("!GetAtt [Thing, Arn]", "att:Thing:Arn"),
        ("!GetAtt Thing.Outputs.Url", "att:Thing:Outputs.Url"),
        (
            "!Sub a ${Name} ${Thing} ${Thing.Arn} ${AWS::Region} ${!Kept}",
            "a abc ref:Thing att:Thing:Arn us-east-1 ${Kept}",
        ),
        ("!Sub ['${Own}-${Name}', {Own: !Ref Thing}]", "ref:Thing-abc"),
        ("!Join [',', [!Ref Name, b]]", "abc,b"),
        ("!Join [',', !Ref Names]", "a,b,c"),
        ("!Split [',', 'x,y']", ["x", "y"]),
        ("!Select [1, !Ref Names]", "b"),
        ("!Select ['1', [p, q]]", "q"),
        ("!If [Named, yes-text, no-text]", "yes-text"),
        ("!If [Filled, yes-text, no-text]", "no-text"),
        ("!If [Both, 1, 2]", 1),
        ("!If [Either, 1, 2]", 1),
        ("!If [Neither, 1, 2]", 2),
        ("!FindInMap [ByRegion, !Ref AWS::Region, Size]", "big"),
        ("!Base64 text", "dGV4dA=="),
        ("{Fn::Join: ['-', [a, {Ref: Name}]]}", "a-abc"),
        ("{kept: 1, gone: !Ref AWS::NoValue}", {"kept": 1}),
        ("[1, !Ref AWS::NoValue]", [1]),
        ("[!If [Filled, 1, !Ref AWS::NoValue], 2]", [2]),
        ("2012-10-17", "2012-10-17"),
        (
            "{Effect: Allow, Condition: {Bool: {a: !Ref Name}}}",
            {"Effect": "Allow", "Condition": {"Bool": {"a": "abc"}}},
        ),
        ("{Condition: {Bool: {a: !Ref Name}}}", {"Condition": {"Bool": {"a": "abc"}}}),
    ],
)
def test_intrinsic_function_is_resolved(tmp_path: Path, value: str, expected: Any) -> None:
    assert resolved(tmp_path, value) == expected


def test_given_parameters_override_defaults(tmp_path: Path) -> None:
    assert resolved(tmp_path, "[!Ref Name, !If [Filled, 1, 2]]", Name="x", Empty="y") == ["x", 1]


def test_condition_does_not_evaluate_the_other_branch(tmp_path: Path) -> None:
    assert resolved(tmp_path, "!If [Named, 1, !FindInMap [Nowhere, a, b]]") == 1


@pytest.mark.parametrize(
    "value",
    [
        "!GetAZs us-east-1",
        "!ImportValue other-stack",
        "!Cidr [a, b, c]",
        "!Transform {Name: AWS::Include}",
        "{Fn::ForEach: [a, b, c]}",
        "!If [Unknown, 1, 2]",
        "!Select [9, !Ref Names]",
        "!Join [',', plain]",
        "!Sub a ${Names}",
        "!FindInMap [ByRegion, nowhere, Size]",
    ],
)
def test_unknown_intrinsic_function_is_rejected(tmp_path: Path, value: str) -> None:
    with pytest.raises(TemplateError):
        resolved(tmp_path, value)


def test_undeclared_parameter_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="Other"):
        resolved(tmp_path, "1", Other="x")


@pytest.mark.parametrize(
    "text",
    [
        "Resources: {A: {Type: X}, A: {Type: Y}}",
        "Resources: []",
        "- list",
        "Resources: {A: [",
        "Parameters: {A: {Type: String}}",
    ],
)
def test_malformed_file_is_rejected(tmp_path: Path, text: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    with pytest.raises(TemplateError):
        read_template(path)


@pytest.mark.parametrize("spec", ["{Type: String}", "{Type: 'AWS::SSM::Parameter::Value<String>', Default: /a}"])
def test_parameter_without_a_value_or_of_the_wrong_type_is_rejected(tmp_path: Path, spec: str) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(f"Resources: {{}}\nParameters: {{P: {spec}}}")
    template = read_template(path)
    with pytest.raises(TemplateError, match="P"):
        Resolver(template, parameters={}, pseudo={}, ref=str, attribute=lambda a, b: a + b)
