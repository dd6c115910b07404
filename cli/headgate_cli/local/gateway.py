"""Handles a request as API Gateway does for an HTTP API: route, authorization, function, answer.

The sequence, first refusal wins: host (403) · header size (431) · body size (413) · route (404, or a preflight) ·
authorization: none, a Lambda authorizer (401 without a call, 403, 500), or AWS_IAM (403) · the function (500, 503).

Differences from API Gateway: plain HTTP on loopback, and loopback host names only; no throttling, no WAF, no stages
other than $default, no custom domains; credentials are long-lived keys of made-up role sessions; a signature is read
only from the Authorization header, never from the query; policies have no conditions; a literal path segment is
compared before percent-decoding; malformed HTTP gets 400 in plain text.
It must not know Headgate: everything is in the template.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate_cli.local import answer as answers
from headgate_cli.local.answer import BadAnswer, GatewayAnswer, integration_answer, preflight, with_cors
from headgate_cli.local.authorize import Authorization
from headgate_cli.local.declared import Template
from headgate_cli.local.event import GatewayRequest, base_event, integration_event
from headgate_cli.local.matching import Match, Routes
from headgate_cli.local.principals import Principal
from headgate_cli.local.runtime import Environment, Outcome
from headgate_cli.local.wire import Receive, Scope, Send, is_for_loopback, read_body, send_response

_MAX_BODY = 10_000_000
"""Bytes (quota: 10 MB)."""
MAX_HEADERS = 10_240
"""Bytes of the request line and all header lines (quota: 10,240 B)."""
INTEGRATION_TIMEOUT = 30.0
"""The timeout of a function in seconds (quota), including the time in its queue."""


@dataclass(frozen=True, slots=True)
class _Head:
    """A request before its body is read."""

    method: str
    path: str
    query: str
    protocol: str
    headers: tuple[tuple[str, str], ...]
    source_ip: str
    is_local: bool

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def request(self, body: bytes) -> GatewayRequest:
        return GatewayRequest(self.method, self.path, self.query, self.protocol, self.headers, body, self.source_ip)


class Gateway:
    """The ASGI application in front of the functions."""

    def __init__(
        self,
        template: Template,
        environments: Mapping[str, Environment],
        principals: Mapping[str, Principal],
        domain: str,
        patience: float = INTEGRATION_TIMEOUT,
    ) -> None:
        self._template = template
        self._environments = environments
        self._routes = Routes(template.routes)
        self._authorization = Authorization(template, principals, self._invoke)
        self._domain = domain
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        head = _Head(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            protocol=f"HTTP/{scope['http_version']}",
            headers=headers,
            source_ip=scope["client"][0],
            is_local=is_for_loopback(scope["headers"]),
        )
        try:
            answer = await self._answer(head, receive)
        except ConnectionError:
            return
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
        await send_response(send, answer.status, encoded, answer.body)

    async def _answer(self, head: _Head, receive: Receive) -> GatewayAnswer:
        cors, origin = self._template.cors, head.header("origin")
        refusal = _refusal(head)
        match = None if refusal else self._routes.match(head.method, head.path)
        if refusal is None and match is None and head.method == "OPTIONS" and cors is not None and origin:
            return preflight(cors, origin)
        if match is None:
            return with_cors(refusal or answers.NOT_FOUND, cors, origin)
        body = await read_body(receive, limit=_MAX_BODY)
        answer = answers.TOO_LARGE if body is None else await self._serve(head.request(body), match)
        return with_cors(answer, cors, origin)

    async def _serve(self, request: GatewayRequest, match: Match) -> GatewayAnswer:
        event = base_event(request, match, self._domain, "http")
        allowed = await self._authorization.admit(request, match, event)
        if isinstance(allowed, GatewayAnswer):
            return allowed
        whole = integration_event(event, request.body, allowed)
        outcome = await self._invoke(match.route.function, whole, self._patience)
        if outcome is None:
            return answers.GATEWAY_UNAVAILABLE
        if outcome.failure:
            return answers.TOO_LARGE if outcome.failure == "RequestTooLarge" else answers.INTERNAL_ERROR
        try:
            answer = integration_answer(outcome.answer)
        except BadAnswer:
            return answers.INTERNAL_ERROR
        request_id = ("apigw-requestid", event["requestContext"]["requestId"])
        return GatewayAnswer(answer.status, (*answer.headers, request_id), answer.body)

    async def _invoke(self, function: str, event: Mapping[str, Any], seconds: float) -> Outcome | None:
        try:
            return await asyncio.wait_for(self._environments[function].invoke(event), seconds)
        except TimeoutError:
            return None


def _refusal(head: _Head) -> GatewayAnswer | None:
    """Return the refusal of a request that is invalid on any route, before its body is read."""
    if not head.is_local:  # API Gateway too answers only to its own host names
        return answers.FORBIDDEN
    line = len(head.method) + len(head.path) + len(head.query) + len(" ? HTTP/1.1\r\n")
    if line + sum(len(name) + len(value) + len(": \r\n") for name, value in head.headers) > MAX_HEADERS:
        return answers.HEADERS_TOO_LARGE
    return answers.TOO_LARGE if int(head.header("content-length") or 0) > _MAX_BODY else None
