"""AWS's linters report nothing, for the template as written and for what CloudFormation gets.

`sam validate --lint` and cfn-lint do not expand SAM and so miss a dangling reference: the expanded template is linted
too. cfn-lint-serverless reads SAM; the rules that it skips are in the template, with the reason.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from template_checks.deployment import EXAMPLE, TEMPLATE, Deployment

BUCKET = TEMPLATE.parent / "examples" / "checkpoint-bucket" / "template.yaml"
BIN = Path(sys.executable).parent
BACKUP = sorted((TEMPLATE.parent / "examples/backup").glob("*.yaml"))
OFFLINE = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=OFFLINE, cwd=TEMPLATE.parent, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "template", [TEMPLATE, EXAMPLE, BUCKET, *BACKUP], ids=["gate", "example", "bucket", "plan", "vault"]
)
@pytest.mark.parametrize(
    "command",
    [
        ("sam", "validate", "--lint", "--template-file"),
        ("cfn-lint", "--"),
        ("cfn-lint", "--append-rules", "cfn_lint_serverless.rules", "--"),
    ],
    ids=["sam", "cfn-lint", "serverless"],
)
def test_template_as_written_has_no_lint_errors(command: tuple[str, ...], template: Path) -> None:
    done = run(BIN / command[0], *command[1:], template)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deployment", "example"])
def test_expanded_template_has_no_lint_errors(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    expanded = tmp_path / "expanded.json"
    expanded.write_text(json.dumps(request.getfixturevalue(name).expanded, indent=1))
    done = run(BIN / "cfn-lint", expanded)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_dangling_reference_is_found(deployment: Deployment, tmp_path: Path) -> None:
    broken = json.dumps(deployment.expanded).replace('"Fn::GetAtt": ["Table", "Arn"]', '"Fn::GetAtt": ["Gone", "Arn"]')
    expanded = tmp_path / "expanded.json"
    expanded.write_text(broken)
    assert "Gone" in run(BIN / "cfn-lint", expanded).stdout
