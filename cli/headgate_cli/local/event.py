"""Decides what a Lambda function is told of a request: the payload format 2.0 event and its request context.

Nothing that the caller sends can change the request context but the method, the path, the query and the user agent.
It must not know routes' authorisation or what a function answers.
Source: API Gateway Developer Guide, "Lambda proxy integrations for HTTP APIs" and "Lambda authorizers for HTTP APIs".
What counts as text is not in the guide; it is as observed on AWS: text/*, and JSON, XML, JavaScript by exact name. All
else is base64: application/x-www-form-urlencoded, and a body without a content type.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from headgate_cli.local.declared import ACCOUNT_ID, API_ID
from headgate_cli.local.matching import Match

STAGE = "$default"
_TEXT = frozenset({"application/json", "application/xml", "application/javascript"})


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """A request as it came: raw path and query, headers in lower case in wire order, the whole body."""

    method: str
    path: str
    query: str
    protocol: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str

    def joined_headers(self) -> dict[str, str]:
        """Headers by name; a repeated one is joined by commas."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined


def base_event(request: GatewayRequest, match: Match, domain: str, scheme: str) -> dict[str, Any]:
    """What integration and authorizer events have in common; `requestContext` has no `authorizer` yet."""
    headers = request.joined_headers()
    cookies = [part.strip() for part in headers.pop("cookie", "").split(";") if part.strip()]
    trace = secrets.token_hex(12)
    now = time.time()
    headers["x-amzn-trace-id"] = f"Root=1-{int(now):08x}-{trace}"
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {request.source_ip}" if forwarded else request.source_ip
    headers["x-forwarded-port"] = domain.rpartition(":")[2]
    headers["x-forwarded-proto"] = scheme
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": unquote(request.path, errors="replace"),
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": _context(request, match, domain, now),
    }
    if cookies:
        event["cookies"] = cookies
    if request.query:
        event["queryStringParameters"] = _joined(parse_qsl(request.query, keep_blank_values=True))
    if match.parameters:
        event["pathParameters"] = match.parameters
    return event


def authorizer_event(event: Mapping[str, Any], identity: list[str], arn: str) -> dict[str, Any]:
    """The event of a Lambda authorizer, payload 2.0."""
    return {**event, "type": "REQUEST", "routeArn": arn, "identitySource": identity}


def integration_event(event: Mapping[str, Any], body: bytes, authorizer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The event of the route's function."""
    whole = dict(event)
    if authorizer is not None:
        whole["requestContext"] = {**event["requestContext"], "authorizer": authorizer}
    whole["isBase64Encoded"] = False
    if body:
        whole["body"], whole["isBase64Encoded"] = _body(body, event["headers"].get("content-type", ""))
    return whole


def route_arn(region: str, request: GatewayRequest) -> str:
    """The ARN that policies are held against: the method and the path as requested."""
    return f"arn:aws:execute-api:{region}:{ACCOUNT_ID}:{API_ID}/{STAGE}/{request.method}{request.path}"


def _context(request: GatewayRequest, match: Match, domain: str, now: float) -> dict[str, Any]:
    agents = [value for name, value in request.headers if name == "user-agent"]
    return {
        "accountId": ACCOUNT_ID,
        "apiId": API_ID,
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": unquote(request.path, errors="replace"),
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": agents[0] if agents else "",
        },
        "requestId": base64.b64encode(secrets.token_bytes(11)).decode(),
        "routeKey": match.route.key,
        "stage": STAGE,
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type in _TEXT or media_type.startswith("text/"):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True
