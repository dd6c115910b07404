"""The help texts, and that showing them is quick: nothing heavy is loaded."""

import json
import subprocess
import sys
from typing import Any

import pytest

from headgate_cli.main import hoisted

COMMANDS = (
    "local tour flags preview stage allow kill kills restore emergency sessions revoke keys plan apply export explain "
    "check audit token health doctor release routes cost"
).split()
PAIRS = [
    tuple(words.split())
    for words in ("flags create", "allow import", "allow list", "allow has",
                  "audit verify", "audit checkpoint", "audit key", "audit reconcile",
                  "audit export", "sessions end", "keys rotate", "keys revoke", "emergency kill", "emergency lift",
                  "emergency status", "restore confirm")
]  # fmt: skip
HEAVY = ("rich", "boto3", "botocore", "yaml", "moto", "jwt", "uvicorn", "starlette", "asyncio")


def test_commands_are_in_rollout_order(invoke: Any) -> None:
    text = invoke("--help").stdout.partition("Commands:")[2].partition("Exit codes:")[0]
    listed = [line for line in text.splitlines() if line.strip()]
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert not any(line.endswith("...") for line in listed)
    assert "HEADGATE_API" in invoke("--help").stdout


@pytest.mark.parametrize("command", [*[(name,) for name in COMMANDS], *PAIRS])
def test_every_command_has_help(invoke: Any, command: tuple[str, ...]) -> None:
    done = invoke(*command, "--help")
    assert done.exit_code == 0
    assert " ".join(done.stdout.split()).count("--json, --api URL, --profile NAME, and --region NAME") == 1


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom headgate_cli.main import app\n"
        "assert CliRunner().invoke(app, ['kill', '--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("--json", "Missing command"), ("nope --json", "No such command 'nope'"), ("--json kill", "Missing argument"),
        ("kill K --reason x --json", "a flag key has"), ("audit --limit x --json", "--limit"),
        ("--bogus flags --json", "No such option: --bogus"), ("flags nope --json", "No such command 'nope'"),
        ("kills extra --json", "extra"), ("flags --json --api", "Missing command"),
    ],
)  # fmt: skip
def test_wrong_command_line_is_json_too(invoke: Any, command: str, told: str) -> None:
    done = invoke(*command.split())
    assert (done.exit_code, done.stdout) == (2, "")
    failure = json.loads(done.stderr)
    assert (failure["type"], failure["exit_code"]) == ("urn:headgate:usage", 2)
    assert told in failure["title"]
    assert not done.stderr.startswith("Usage")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["kill", "k", "--json"], ["--json", "kill", "k"]),
        (["kill", "k", "--api", "u", "--reason", "r"], ["--api", "u", "kill", "k", "--reason", "r"]),
        (["--profile=p", "kill", "--region=r"], ["--profile=p", "--region=r", "kill"]),
        (["kill", "--", "--json"], ["kill", "--", "--json"]),
        (["kill", "--api"], ["--api", "kill"]),
    ],
)
def test_global_options_are_moved_to_the_front(given: list[str], read: list[str]) -> None:
    assert hoisted(given) == read


def test_help_is_shown_without_a_command(invoke: Any) -> None:
    done = invoke()
    assert done.exit_code == 2
    assert "Commands:" in done.output
