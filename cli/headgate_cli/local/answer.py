"""Decides what the client gets for what a function answered, and what the gateway itself answers.

A function's answer is read by the rules of payload format 2.0; one that breaks them is an Internal Server Error. CORS
headers are the gateway's alone where the template configures CORS. It must not know routes or functions.
Source: API Gateway Developer Guide, "Lambda proxy integrations for HTTP APIs", "Configure CORS for HTTP APIs".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate_cli.local.declared import Cors

# kept by the server that carries the response: a function cannot set them
_CONNECTION = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "te", "trailer", "transfer-encoding", "upgrade"}
)
_NAME = re.compile(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
_VALUE = re.compile(r"^[^\x00-\x1f\x7f]*$")


class BadAnswer(Exception):
    """The function's answer is not one of payload format 2.0."""


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """A response: status, headers with lower-case names, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def gateway_answer(status: int, message: str) -> GatewayAnswer:
    """What API Gateway itself answers: no problem+json is possible there."""
    return GatewayAnswer(status, (("content-type", "application/json"),), json.dumps({"message": message}).encode())


NOT_FOUND = gateway_answer(404, "Not Found")
UNAUTHORIZED = gateway_answer(401, "Unauthorized")
FORBIDDEN = gateway_answer(403, "Forbidden")
TOO_LARGE = gateway_answer(413, "Request Entity Too Large")
HEADERS_TOO_LARGE = gateway_answer(431, "Request Header Fields Too Large")
INTERNAL_ERROR = gateway_answer(500, "Internal Server Error")
GATEWAY_UNAVAILABLE = gateway_answer(503, "Service Unavailable")


def integration_answer(value: Any) -> GatewayAnswer:
    """The response that a function's answer stands for. Raises BadAnswer."""
    if not isinstance(value, dict) or "statusCode" not in value:
        text = value if isinstance(value, str) else json.dumps(value)
        return GatewayAnswer(200, (("content-type", "application/json"),), text.encode(errors="replace"))
    headers = _headers(value.get("headers") or {})
    body = _body(value)
    if body and not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    cookies = value.get("cookies") or []
    if not isinstance(cookies, list):
        raise BadAnswer("cookies is not a list")
    headers += [_header("set-cookie", cookie) for cookie in cookies]
    return GatewayAnswer(_status(value["statusCode"]), tuple(headers), body)


def preflight(cors: Cors, origin: str) -> GatewayAnswer:
    """The answer to an OPTIONS request with an origin: the configuration, or nothing for a foreign origin."""
    headers = _origin_headers(cors, origin)
    if headers:
        for name, values in (("methods", cors.allow_methods), ("headers", cors.allow_headers)):
            if values:
                headers.append((f"access-control-allow-{name}", ",".join(values)))
        if cors.max_age is not None:
            headers.append(("access-control-max-age", str(cors.max_age)))
    return GatewayAnswer(204, tuple(headers), b"")


def with_cors(answer: GatewayAnswer, cors: Cors | None, origin: str) -> GatewayAnswer:
    """The answer with the gateway's CORS headers in place of the function's, where CORS is configured."""
    if cors is None:
        return answer
    kept = [(name, value) for name, value in answer.headers if not name.startswith("access-control-")]
    added = _origin_headers(cors, origin) if origin else []
    if added and cors.expose_headers:
        added.append(("access-control-expose-headers", ",".join(cors.expose_headers)))
    return GatewayAnswer(answer.status, (*kept, *added), answer.body)


def _origin_headers(cors: Cors, origin: str) -> list[tuple[str, str]]:
    if "*" in cors.allow_origins:
        allowed = "*"
    elif any(_origin_matches(pattern, origin) for pattern in cors.allow_origins):
        allowed = origin
    else:
        return []
    headers = [("access-control-allow-origin", allowed)]
    if cors.allow_credentials:
        headers.append(("access-control-allow-credentials", "true"))
    return headers


def _origin_matches(pattern: str, origin: str) -> bool:
    if pattern in ("http://*", "https://*"):
        return origin.startswith(pattern[:-1])
    return origin == pattern


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 200 <= value <= 599:
        raise BadAnswer("statusCode is not an HTTP status")
    return value


def _headers(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping):
        raise BadAnswer("headers is not an object")
    return [_header(str(name), item) for name, item in value.items() if str(name).lower() not in _CONNECTION]


def _header(name: str, value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        value = json.dumps(value)
    if not isinstance(value, (str, int, float)):
        raise BadAnswer(f"header {name} is not text")
    if not _NAME.match(name) or not _VALUE.match(str(value)):
        raise BadAnswer("a header's name or value is malformed")
    return name.lower(), str(value).strip()


def _body(value: Mapping[str, Any]) -> bytes:
    body = value.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadAnswer("body is not text")
    if value.get("isBase64Encoded") is not True:
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise BadAnswer("body is not base64") from None
