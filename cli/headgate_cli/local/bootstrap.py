"""Runs one Lambda handler in its own process, as a client of the Lambda Runtime API.

It gets an invocation, calls the handler, sends the answer or the error, and repeats. It uses only the standard library,
so that a function's imports come from its own folder and its layers. It must not know the gateway or the template.
It exits when its standard input closes, so that no function outlives the runner.
Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".
"""

import gc
import http.client
import importlib
import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

_VERSION = "/2018-06-01/runtime"


class LambdaContext:
    """The `context` argument of a handler."""

    client_context = None
    identity = None

    def __init__(self, request_id: str, deadline_ms: int, arn: str) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = arn
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message: object) -> None:
        sys.stdout.write(str(message))


class _RuntimeApi:
    """A persistent connection to the Runtime API. `address` is its host, its port, and the run's secret as a path."""

    def __init__(self, address: str) -> None:
        netloc, _, secret = address.partition("/")
        self._prefix = f"/{secret}{_VERSION}"
        self._connection = http.client.HTTPConnection(netloc)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def next(self) -> tuple[http.client.HTTPMessage, bytes]:
        """Wait for an invocation. Returns its headers and its event."""
        self._connection.request("GET", f"{self._prefix}/invocation/next")
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise ConnectionError(f"the Runtime API answered {response.status}")
        return response.headers, body

    def post(self, path: str, body: bytes) -> None:
        self._connection.request("POST", self._prefix + path, body, {"Content-Type": "application/json"})
        self._connection.getresponse().read()


def serve(api: _RuntimeApi, handler: Callable[[Any, Any], Any]) -> None:
    """Answer invocations until the Runtime API is gone. Raises OSError or HTTPException then."""
    while True:
        headers, body = api.next()
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        context = LambdaContext(
            request_id,
            int(headers["Lambda-Runtime-Deadline-Ms"]),
            headers.get("Lambda-Runtime-Invoked-Function-Arn", ""),
        )
        try:
            answer = json.dumps(handler(json.loads(body), context)).encode()
        except Exception as error:  # a handler may raise anything; the invocation fails, not the process
            api.post(f"/invocation/{request_id}/error", _report(error))
        else:
            api.post(f"/invocation/{request_id}/response", answer)


def load(name: str) -> Callable[[Any, Any], Any]:
    """Import the function named by `module.function`."""
    module, _, function = name.rpartition(".")
    found: Callable[[Any, Any], Any] = getattr(importlib.import_module(module.replace("/", ".")), function)
    return found


def _report(error: BaseException) -> bytes:
    """Print the error to the function's log, and return the report for the Runtime API: its type and text."""
    traceback.print_exception(error)
    sys.stderr.flush()
    return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}).encode()


def _end_with_the_runner() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    """Import the handler and serve it."""
    sys.modules["awscrt"] = None  # type: ignore[assignment]  # not in the layer; importing it takes 70 ms
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    try:
        api = _RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
        try:
            gc.disable()  # an eighth of the import time
            handler = load(os.environ["_HANDLER"])
            gc.enable()
        except BaseException as error:  # any failed import must reach the Runtime API
            api.post("/init/error", _report(error))
            sys.exit(1)
        serve(api, handler)
    except (OSError, http.client.HTTPException):
        sys.exit(0)  # the runner is gone


if __name__ == "__main__":
    main()
