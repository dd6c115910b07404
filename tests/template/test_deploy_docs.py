"""The parameters in docs/deploy.md can be passed to `sam deploy`; the template and the functions accept them."""

import re
import time
from pathlib import Path

import pytest
import yaml
from samcli.cli.types import CfnParameterOverridesType
from template_checks.deployment import TEMPLATE, Deployment
from template_checks.edits import takes
from template_checks.expected import EMERGENCY, ROLES

from headgate.core.documents import unix
from headgate.tokens.legacy_issuer import parse_legacy_issuer
from headgate_cli.doctor.parameters import check_parameters
from headgate_cli.local.intrinsics import read_template

TEXT = (TEMPLATE.parent / "docs" / "deploy.md").read_text()


def block(mark: str) -> str:
    found = re.search(rf"<!-- {mark}: .*?-->\n```\w+\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def shown(tmp_path: Path) -> dict[str, str]:
    """The example file, as SAM reads it."""
    file = tmp_path / "production.yaml"
    file.write_text(block("parameters"))
    read: dict[str, str] = CfnParameterOverridesType().convert((f"file://{file}",), None, None)
    return read


def test_documented_parameters_are_valid(shown: dict[str, str]) -> None:
    found = [*check_parameters(read_template(TEMPLATE), shown, region=None, now=time.time())]
    assert [one for one in found if one.failed] == []
    assert "nobody can exchange" not in str(found)


def test_authorizer_accepts_the_documented_legacy_issuer(deployment: Deployment) -> None:
    shown = yaml.safe_load(block("old tokens"))
    for name, value in shown.items():
        assert takes(deployment, name, value), name
    assert parse_legacy_issuer(shown["LegacyIssuer"], unix("2026-11-25T00:00:00Z")).user == "kiloUserId"


def test_every_parameter_is_documented(deployment: Deployment) -> None:
    rows = re.findall(r"^\| (`[A-Z].*?) \| (.*?) \|", TEXT, re.MULTILINE)
    shown = {name: default for names, defaults in rows for name, default in zip(
        re.findall(r"`(\w+)`", names), defaults.split(", ") * 2, strict=False)}  # fmt: skip
    declared = deployment.source["Parameters"]
    assert declared.keys() == {name for name in shown if not name.endswith("Policy")}
    for name, spec in declared.items():
        if spec["Default"] != "":
            assert f"`{spec['Default']}`" in shown[name], name


def test_every_policy_is_documented() -> None:
    assert set(re.findall(r"^\| `(\w+Policy)` \|", TEXT, re.MULTILINE)) == {*ROLES, EMERGENCY}


HEADER_LISTS = (
    ("", True), ("x-request-id", True), ("traceparent,X-Api_Version", True),
    *((value, False) for value in ("*", "a b", "a, b", "a,", ",a", "a,,b")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("CorsOrigins", "", True),
        ("CorsOrigins", "https://a.example,http://localhost:3000", True),
        ("CorsOrigins", "*", False),
        ("CorsOrigins", "https://*.example", False),
        ("CorsOrigins", "https://a.example/", False),
        ("CorsOrigins", "https://a.example, https://b.example", False),
        ("CorsOrigins", "a.example", False),
        *((f"Cors{kind}Headers", value, taken) for kind in ("Request", "Response") for value, taken in HEADER_LISTS),
        ("Issuer", "", True),
        ("Issuer", "https://gate.example", True),
        ("Issuer", "https://gate.example/production", True),
        ("Issuer", "https://gate.example/", False),
        ("Issuer", "http://gate.example", False),
        ("Issuer", "https://gate.example?x", False),
        ("Audience", "headgate", True),
        ("Audience", "", False),
        ("Audience", "two words", False),
        ("IdentityIssuers", "[]", True),
        ("IdentityIssuers", "{}", False),
        ("IdentityIssuers", "", False),
    ],
)
def test_invalid_parameters_are_rejected_before_deployment(
    name: str, value: str, taken: bool, deployment: Deployment
) -> None:
    assert takes(deployment, name, value) is taken
