"""Runs functions: each has one environment, which handles one event at a time.

An environment is a child process that asks for work over the Lambda Runtime API; other events wait in a queue. If a
handler raises, its event fails; if it exceeds its timeout, the process is killed; a process that exits is restarted. It
must not know HTTP APIs. Differences from AWS Lambda: one environment per function (no concurrency), no freezing between
events, no 10 s limit on imports, no memory limit.
Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headgate_cli.local.children import interpreter
from headgate_cli.local.declared import Function

MAX_PAYLOAD = 6_291_556
"""The maximum size of an event or an answer in bytes (Lambda quotas: 6 MB plus an envelope)."""

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an event: the handler's answer as parsed JSON, or the failure's kind and text."""

    answer: Any = None
    failure: str = ""
    message: str = ""


@dataclass(slots=True, eq=False)
class Invocation:
    """One event of an environment, waiting or in progress."""

    event: bytes
    done: asyncio.Future[Outcome]
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deadline: asyncio.TimerHandle | None = None

    def finish(self, outcome: Outcome) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        if not self.done.done():
            self.done.set_result(outcome)


class Environment:
    """The one execution environment of a function. All methods run in one event loop.

    `command` runs the runtime client in the child: our own, or another client of the Lambda Runtime API.
    """

    def __init__(
        self,
        function: Function,
        variables: Mapping[str, str],
        log: Callable[[str, str], None],
        command: Sequence[str] = interpreter(BOOTSTRAP),
    ) -> None:
        self.function = function
        self._variables = dict(variables)
        self._log = log
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: deque[Invocation] = deque()
        self._current: Invocation | None = None
        self._idle: asyncio.Future[Invocation] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._init_error = ""
        self._served = False
        self._retiring = False
        self._stopping = False
        self._starting = asyncio.Lock()
        self.ready = asyncio.Event()

    # -- called by the gateway

    async def invoke(self, event: Mapping[str, Any]) -> Outcome:
        """Send an event to the function and wait for its outcome, however long it waits in the queue."""
        body = json.dumps(event, ensure_ascii=False).encode()
        if len(body) > MAX_PAYLOAD:
            return Outcome(failure="RequestTooLarge", message="the event is larger than 6 MB")
        invocation = Invocation(event=body, done=asyncio.get_running_loop().create_future())
        self._waiting.append(invocation)
        if self._process is None:
            await self.start()
        self._hand_out()
        try:
            return await invocation.done
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(invocation)

    async def start(self) -> None:
        """Start the child process. It is ready once it asks for work."""
        async with self._starting:
            if self._process is None and not self._stopping:
                await self._spawn()

    async def _spawn(self) -> None:
        self._init_error, variables = "", self._variables
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=variables,
            cwd=self.function.code_dir,
            start_new_session=True,  # Ctrl-C must reach only the runner, which then stops its children
        )
        self._watch = asyncio.create_task(self._watch_over(process))
        if variables is not self._variables:  # changed while the process started
            self._retiring = True
            self._kill()

    async def stop(self) -> None:
        """Kill the child process and fail the waiting events."""
        self._stopping = True
        async with self._starting:  # also kill a child that is being started
            self._kill()
        if self._watch is not None:
            await self._watch
        while self._waiting:
            self._waiting.popleft().finish(Outcome(failure="Stopped", message="the runner is stopping"))

    def renew(self, wanted: Mapping[str, str]) -> None:
        """Replace the function's own variables. The child finishes its event; a new one gets the next event."""
        kept = {name: value for name, value in self._variables.items() if name not in self.function.environment}
        self.function = replace(self.function, environment=dict(wanted))
        self._variables = {**kept, **wanted}
        if self._process is None:  # the next event starts one
            return
        self._retiring, self._idle = True, None
        self.ready.clear()
        if self._current is None:
            self._kill()

    # -- the child's side, called by the Runtime API

    async def next(self, disconnected: asyncio.Future[Any]) -> Invocation | None:
        """Return the next event for the child; None if the child disconnected while it waited."""
        if self._current is not None:  # it did not answer the last event
            self._finish_current(Outcome(failure="Runtime.NoResponse", message="the runtime did not answer"))
        if self._retiring:
            return None
        self._served = True
        self.ready.set()
        self._idle = idle = asyncio.get_running_loop().create_future()
        self._hand_out()
        await asyncio.wait({idle, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if not idle.done():
            if self._idle is idle:
                self._idle = None
            return None
        invocation: Invocation = idle.result()
        if not disconnected.done():
            return invocation
        self._take_back(invocation)
        return None

    def answer(self, request_id: str, body: bytes) -> bool:
        """Accept the child's answer. Returns False if it is not for the current event."""
        if len(body) > MAX_PAYLOAD:
            outcome = Outcome(failure="Function.ResponseSizeTooLarge", message="the answer is larger than 6 MB")
        else:
            outcome = _parsed(body)
        return self._finish(request_id, outcome)

    def fail(self, request_id: str, body: bytes) -> bool:
        """Accept the child's error. Returns False if it is not for the current event."""
        return self._finish(request_id, _error(body))

    def fail_init(self, body: bytes) -> None:
        """Record that the child could not import its handler."""
        self._init_error = _error(body).message or "the handler could not be imported"

    # -- internal

    def _hand_out(self) -> None:
        if self._idle is None or self._idle.done():
            return
        while self._waiting:
            invocation = self._waiting.popleft()
            if invocation.done.done():
                continue
            loop = asyncio.get_running_loop()
            invocation.deadline = loop.call_later(self.function.timeout, self._time_out, invocation)
            self._current = invocation
            self._idle.set_result(invocation)
            self._idle = None
            return

    def _take_back(self, invocation: Invocation) -> None:
        """Put back an event that was handed to a child that had just disconnected."""
        if self._current is invocation:
            self._current = None
            if invocation.deadline is not None:
                invocation.deadline.cancel()
            self._waiting.appendleft(invocation)
            self._hand_out()

    def _finish(self, request_id: str, outcome: Outcome) -> bool:
        if self._current is None or self._current.request_id != request_id:
            return False
        self._finish_current(outcome)
        return True

    def _finish_current(self, outcome: Outcome) -> None:
        if self._current is not None:
            self._current.finish(outcome)
            self._current = None
            if self._retiring:
                self._kill()

    def _time_out(self, invocation: Invocation) -> None:
        if self._current is invocation:
            seconds = f"{self.function.timeout:.2f}"
            self._log(self.function.logical_id, f"{invocation.request_id} Task timed out after {seconds} seconds")
            self._finish_current(Outcome(failure="Sandbox.Timedout", message=f"timed out after {seconds} seconds"))
            self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _watch_over(self, process: asyncio.subprocess.Process) -> None:
        """Log the child's output until it exits; then fail its event, and restart it unless it never worked."""
        assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
        rest = b""
        while chunk := await process.stdout.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._log(self.function.logical_id, line.decode(errors="replace"))
        if rest:
            self._log(self.function.logical_id, rest.decode(errors="replace"))
        code = await process.wait()
        self._process = None
        self._idle = None
        reason = self._init_error or f"the process ended with {code}"
        self._finish_current(Outcome(failure="Runtime.ExitError", message=reason))
        if self._stopping:
            return
        if not self._retiring:
            self._log(self.function.logical_id, reason)
        if self._served or self._retiring:  # it worked before, or its variables changed
            self._served = self._retiring = False
            await self.start()
            return
        self._init_error = reason
        self.ready.set()
        while self._waiting:
            self._waiting.popleft().finish(Outcome(failure="Runtime.InitError", message=reason))

    @property
    def init_error(self) -> str:
        """Why the child could not start; "" if it did."""
        return self._init_error


def _parsed(body: bytes) -> Outcome:
    try:
        return Outcome(answer=json.loads(body))
    except ValueError:
        return Outcome(failure="Runtime.MarshalError", message="the answer is not JSON")


def _error(body: bytes) -> Outcome:
    try:
        error = json.loads(body)
        return Outcome(failure=str(error.get("errorType", "Error")), message=str(error.get("errorMessage", "")))
    except (ValueError, AttributeError):
        return Outcome(failure="Error", message="")
