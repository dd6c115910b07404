"""The example of a CI pipeline: its steps come in a safe order, and its commands exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import run_here

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "examples/ci/github-actions.yaml").read_text(encoding="utf-8")


@pytest.fixture
def workflow() -> Any:
    return yaml.safe_load(TEXT)


def test_nothing_is_deployed_unchecked_and_no_secret_is_stored(workflow: Any) -> None:
    steps = [step.get("run", "") for step in workflow["jobs"]["deploy"]["steps"]]
    wanted = ("headgate doctor --parameters", "sam build", "sam deploy", "headgate release", "headgate doctor --stack")
    places = [next(i for i, run in enumerate(steps) if run.startswith(command)) for command in wanted]
    assert places == sorted(places)
    assert workflow["permissions"] == {"contents": "read", "id-token": "write"}
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert "secrets." not in TEXT


@pytest.mark.parametrize("line", re.findall(r"run: (headgate .*)", TEXT))
def test_its_commands_have_these_options(line: str) -> None:
    _, command, *words = shlex.split(line)
    told = run_here([command, "--help"], {}).stdout
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z]+", told))
