"""The children of a running stack, by what they run: to stop one, to go on with it, to end it. Linux only."""

import os
import signal
from pathlib import Path

from headgate_cli.local.stack import Stack


def function_pid(stack: Stack, logical_id: str) -> int:
    """The process of a function's environment."""
    return _only(stack, "environ", f"AWS_LAMBDA_FUNCTION_NAME={logical_id}\0".encode())


def moto_pid(stack: Stack) -> int:
    """The process that stands in for AWS."""
    return _only(stack, "cmdline", b"moto_server")


def send(pid: int, number: signal.Signals) -> None:
    """A signal to one process."""
    os.kill(pid, number)


def _only(stack: Stack, file: str, sought: bytes) -> int:
    found = [pid for pid in _children(stack.process.pid) if sought in _read(pid, file)]
    assert len(found) == 1, f"{len(found)} children of the stack have {sought!r} in {file}"
    return found[0]


def _children(pid: int) -> list[int]:
    listed = (Path(f"/proc/{pid}/task/{task.name}/children") for task in Path(f"/proc/{pid}/task").iterdir())
    return [int(child) for children in listed for child in children.read_text().split()]


def _read(pid: int, file: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""
