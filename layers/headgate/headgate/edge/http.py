"""API Gateway's payload 2.0 as plain types: an event in, a response out. Decides nothing."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]
Response = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are in lower case; `path` holds the decoded path parameters."""

    route_key: str
    host: str
    request_id: str
    headers: Mapping[str, str] = field(repr=False)
    path: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    iam: Mapping[str, Any] = field(repr=False)
    source_ip: str = field(repr=False)
    raw_path: str = field(repr=False)


def read_request(event: Event) -> Request:
    """The request in an event. A body that is not what it says it is reads as one NUL: no parser takes it."""
    context = event.get("requestContext") or {}
    http = context.get("http") or {}
    return Request(
        route_key=str(context.get("routeKey", event.get("routeKey", ""))),
        host=str(context.get("domainName", "")),
        request_id=str(context.get("requestId", "")),
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        body=_body(event),
        iam=(context.get("authorizer") or {}).get("iam") or {},
        source_ip=str(http.get("sourceIp", "")),
        raw_path=str(event.get("rawPath", "")),
    )


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return b"\0"


def respond(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON body, or with none."""
    named = {"content-type": "application/json", "cache-control": "no-store", **(headers or {})}
    if body is None:
        del named["content-type"]
        return {"statusCode": status, "headers": named, "body": ""}
    return {"statusCode": status, "headers": named, "body": json.dumps(body, separators=(",", ":"), ensure_ascii=False)}
