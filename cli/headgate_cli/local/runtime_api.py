"""Serves the Lambda Runtime API to the child processes. Each environment has its own port.

A request must name this machine as its host and begin its path with the run's secret, so that no web page can read an
event or answer one. It must not know what an event contains.
Source: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping
from typing import Any

from headgate_cli.local.runtime import Environment, Invocation
from headgate_cli.local.wire import Receive, Scope, Send, answer_json, is_for_loopback, read_body, send_response

PREFIX = "/2018-06-01/runtime"


class RuntimeApi:
    """The ASGI application in front of the environments, by port. `secret` is the first segment of every path."""

    def __init__(self, environments: Mapping[int, Environment], secret: str) -> None:
        self._environments = environments
        self._prefix = f"/{secret}{PREFIX}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        environment = self._environments[scope["server"][1]]
        prefix, path = scope["path"][: len(self._prefix)], scope["path"][len(self._prefix) :]
        known = hmac.compare_digest(prefix.encode(), self._prefix.encode())
        if not known or not is_for_loopback(scope["headers"]):
            await send_response(send, 403, [], b"")
            return
        if scope["method"] == "GET" and path == "invocation/next":
            await self._next(environment, receive, send)
            return
        body = await read_body(receive, limit=None)
        status, message = self._take(environment, scope["method"], path, body or b"")
        await answer_json(send, status, message)

    async def _next(self, environment: Environment, receive: Receive, send: Send) -> None:
        await receive()  # the request's empty body
        disconnected = asyncio.ensure_future(receive())
        try:
            invocation = await environment.next(disconnected)
        finally:
            disconnected.cancel()
        if invocation is not None:
            await send_response(send, 200, _headers(environment, invocation), invocation.event)

    def _take(self, environment: Environment, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        match method, path.split("/"):
            case "POST", ["init", "error"]:
                environment.fail_init(body)
                accepted = True
            case "POST", ["invocation", request_id, "response"]:
                accepted = environment.answer(request_id, body)
            case "POST", ["invocation", request_id, "error"]:
                accepted = environment.fail(request_id, body)
            case _:
                return 404, {"errorType": "NotFound", "errorMessage": "unknown call"}
        if accepted:
            return 202, {"status": "OK"}
        return 400, {"errorType": "InvalidRequestID", "errorMessage": "Invalid request ID"}


def _headers(environment: Environment, invocation: Invocation) -> list[tuple[bytes, bytes]]:
    deadline = int((time.time() + environment.function.timeout) * 1000)
    trace = invocation.request_id.replace("-", "")
    fields = {
        "content-type": "application/json",
        "lambda-runtime-aws-request-id": invocation.request_id,
        "lambda-runtime-deadline-ms": str(deadline),
        "lambda-runtime-invoked-function-arn": environment.function.arn,
        "lambda-runtime-trace-id": f"Root=1-{trace[:8]}-{trace[8:]};Parent={trace[:16]};Sampled=0",
    }
    return [(name.encode(), value.encode()) for name, value in fields.items()]
