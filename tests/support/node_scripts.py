"""The real JavaScript clients: packages installed once per lock file, scripts run as child processes.

A script in tests/clients/scripts reads one JSON document from stdin and prints one for each step.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

import pytest

CLIENTS = Path(__file__).parents[1] / "clients"
SCRIPTS = CLIENTS / "scripts"
OLDEST_NODE = 20
INSTALL_LIMIT, SCRIPT_LIMIT = 300.0, 120.0
"""Seconds."""
OFFLINE = re.compile(r"npm.*\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b")


def without(reason: str) -> NoReturn:
    """Skip: the JavaScript clients are not available. On a CI machine fail, where skips go unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def need_node() -> None:
    """Skip unless Node (20 or newer) and npm are on the path."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        without("node and npm are not on the path: the real JavaScript clients need them")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        without(f"node {version} is older than {OLDEST_NODE}: the real JavaScript clients need that")


def install(folder: Path = CLIENTS) -> None:
    """`npm ci` in a folder, unless node_modules matches its lock file. Skips without a network."""
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / "node_modules" / ".installed-from"
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    with Path(tempfile.gettempdir(), f"headgate-npm-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes start concurrently
        if mark.is_file() and mark.read_text() == wanted:
            return
        run(["npm", "ci", "--prefer-offline"], folder)
        mark.write_text(wanted)


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """The output of a command. Skips if npm has no network; fails with the output on any other error."""
    done = subprocess.run(
        command, cwd=folder, env=environment or _environment(),
        capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    if done.returncode != 0 and OFFLINE.search(said):
        without(f"npm found no registry: {said[-400:]}")
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{said[-4000:]}"
    return done.stdout


def run_script(name: str, document: Any) -> Any:
    """The one answer that a script prints for a document. Fails with its output if it ends with an error."""
    with talk(name, document) as step:
        return step()


@contextlib.contextmanager
def talk(name: str, document: Any, *, limit: float = SCRIPT_LIMIT) -> Generator[Callable[[], Any]]:
    """A script that runs alongside the test: each call returns its next answer. It must end successfully."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            ["node", str(SCRIPTS / name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(),
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        stdout = process.stdout

        def failed() -> str:
            errors.seek(0)
            return f"{name} ended with {process.wait()}\n{errors.read()[-4000:]}"

        def step() -> Any:
            line = stdout.readline()
            assert line, failed()
            return json.loads(line)

        overdue = Timer(limit, process.kill)
        overdue.start()
        try:
            with process.stdin as stdin:
                stdin.write(json.dumps(document))
            yield step
            assert process.wait() == 0, failed()
        finally:
            overdue.cancel()
            process.kill()
            process.wait()
            stdout.close()


def _environment() -> dict[str, str]:
    """Loopback never goes through a proxy. React's test build is the one with `act`."""
    return {**os.environ, "NO_PROXY": "127.0.0.1,localhost", "NODE_ENV": "test"}
