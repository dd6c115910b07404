"""What `headgate local` prints is enough to run the Lambda example as its README says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "examples/lambda-handler/README.md"
FLAGS = ("gastown-access", "gastown-convoys")


@pytest.fixture
def exports() -> Iterator[str]:
    """The shell commands that a running `headgate local` prints for another terminal."""
    command = [sys.executable, "-m", "headgate_cli", "local", "--port", "0", "--idp-port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            assert running.stdout is not None
            told = []
            for line in running.stdout:
                told.append(line)
                if "--ready-json" in line:
                    break
            yield "".join(line for line in told if re.match(r" *(export|unset) ", line))
        finally:
            running.terminate()


def test_lambda_example_runs_as_written(exports: str) -> None:
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADGATE_"))}
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"

    def shell(commands: str) -> str:
        text = f"{exports}\nset -e\n{commands}"
        return subprocess.run(["sh", "-c", text], cwd=ROOT, env=kept, capture_output=True, text=True, check=True).stdout

    assert "'statusCode': 403" in shell(blocks[0])
    for flag in FLAGS:
        shell(f"headgate stage {flag} ga --reason 'a try'")
    assert "'statusCode': 200" in shell(blocks[0])
