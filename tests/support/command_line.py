"""The `headgate` command in this process, answered as a child process would be: no interpreter to start."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from typer.testing import CliRunner

from headgate_cli.main import app


def run_here(
    args: Sequence[str], environment: Mapping[str, str], stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run the command with no terminal and with no other environment than this one.

    Raises what is a bug of the command: a child process would show its traceback. For one thread at a time: the
    environment and the standard streams belong to the process.
    """
    absent: dict[str, str | None] = dict.fromkeys(os.environ)
    done = CliRunner().invoke(app, list(args), env={**absent, **environment}, input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(list(args), done.exit_code, done.stdout, done.stderr)
