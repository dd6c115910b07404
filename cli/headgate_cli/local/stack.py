"""Runs the laptop mode as a child process for as long as a block of code needs it: for the tour and the tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOP_LIMIT = 15.0
"""Seconds that a clean stop may take."""


class StackFailed(Exception):
    """`headgate local` ended before it was ready. The text holds what it said."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack. `ready` is the whole ready line; `logs` the file that the functions write to."""

    ready: Mapping[str, Any]
    logs: Path
    process: subprocess.Popen[str]

    @property
    def api(self) -> str:
        return str(self.ready["api"])

    @property
    def idp(self) -> str:
        return str(self.ready["idp"])

    def stop(self) -> int:
        """Stop it cleanly and return its exit code; a second call returns the same."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_LIMIT)


@contextlib.contextmanager
def running_stack(
    *,
    manifest: Path | None = None,
    legacy: Path | None = None,
    empty: bool = False,
    env: Mapping[str, str] | None = None,
    project: Path | None = None,
    apps: Sequence[Path] = (),
) -> Generator[Stack, None, None]:
    """Start `headgate local` on free ports, yield it once everything answers, stop it in the end.

    `env` are environment variables to add (AWS_ENDPOINT_URL_DYNAMODB for another DynamoDB); the caller's own for AWS
    do not get in. Raises StackFailed.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with tempfile.TemporaryDirectory(prefix="headgate-local-") as folder:
        logs, errors = Path(folder, "functions.log"), Path(folder, "errors.log")
        command = [sys.executable, "-m", "headgate_cli", "local", "--ready-json", "--port", "0", "--idp-port", "0"]
        command += ["--logs", str(logs), "--parent", str(os.getpid())]
        command += ["--manifest", str(manifest)] if manifest else []
        command += ["--project", str(project)] if project else []
        for app in apps:
            command += ["--app", str(app)]
        command += ["--legacy", str(legacy)] if legacy else []
        command += ["--empty"] if empty else []
        with errors.open("w") as stderr:
            process = subprocess.Popen(  # noqa: S603 - this program itself
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**inherited, **(env or {})}
            )
        try:
            yield Stack(_ready(process, errors, logs), logs, process)
        finally:
            _end(process)


def _ready(process: subprocess.Popen[str], *said: Path) -> Mapping[str, Any]:
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    line = process.stdout.readline()
    if line:
        found: Mapping[str, Any] = json.loads(line)
        return found
    process.wait()
    texts = [path.read_text(errors="replace")[-2000:] for path in said if path.exists()]
    raise StackFailed(f"headgate local ended with {process.returncode}\n" + "\n".join(texts))


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()  # its children notice and end by themselves
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
