"""A Lambda Runtime API for one cold start: it serves one event and records when the function asks and answers."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LIMIT = 60
"""Seconds after which a start counts as failed."""


@dataclass(frozen=True, slots=True)
class Start:
    """One cold start. Milliseconds from the start of the process, and of processor time to its end."""

    init: float
    answered: float
    processor: float
    answer: Any = field(repr=False)


@dataclass
class Waiting:
    """One event and its result."""

    event: bytes
    asked: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    answer: Any = None
    done: threading.Event = field(default_factory=threading.Event)


class Api(ThreadingHTTPServer):
    """Serves `waiting` to the function."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A terminated process disconnects: not an error."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.waiting = Waiting(b"")
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def cold_start(self, command: Sequence[str], variables: Mapping[str, str], folder: Path, event: Any) -> Start:
        """Start a process, serve the event, and end it after its answer. Raises TimeoutError."""
        self.waiting = waiting = Waiting(json.dumps(event).encode())
        env = {**variables, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.server_address[1]}"}
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        answered = waiting.done.wait(LIMIT)
        process.kill()
        assert process.stdout is not None
        said = process.stdout.read()
        process.stdout.close()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
        if not answered or waiting.answer is None:
            raise TimeoutError(said.decode(errors="replace")[-3_000:])
        return Start(
            init=(waiting.asked[0] - began) * 1e3,
            answered=(waiting.answered[0] - began) * 1e3,
            processor=(used.ru_utime + used.ru_stime) * 1e3,
            answer=waiting.answer,
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def do_GET(self) -> None:
        waiting = self.server.waiting
        waiting.asked.append(time.perf_counter())
        if len(waiting.asked) > 1:  # it asks for more work: there is none, and it is about to end
            waiting.done.wait(LIMIT)
            return
        deadline = str(int(time.time() * 1e3) + LIMIT * 1_000)
        self._send(200, waiting.event, {"lambda-runtime-deadline-ms": deadline, "lambda-runtime-aws-request-id": "one",
                   "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:123456789012:function:cold",
                   "lambda-runtime-trace-id": "Root=1-00000000-000000000000000000000000;Sampled=0"})  # fmt: skip

    def do_POST(self) -> None:
        waiting = self.server.waiting
        body = self.rfile.read(int(self.headers["content-length"]))
        waiting.answered.append(time.perf_counter())
        if self.path.endswith("/response"):
            waiting.answer = json.loads(body)
        self._send(202, b"{}", {})
        waiting.done.set()

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-type": "application/json", "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
