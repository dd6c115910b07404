"""API Gateway's payload 2.0 as plain types: an event in, a response out, strict JSON in between. Makes no decision."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from hashlib import sha256
from hmac import compare_digest
from pathlib import PurePath
from typing import Any, NoReturn

from headgate.core.model import Json

Event = Mapping[str, Any]
Response = dict[str, Any]
Handler = Callable[[Any, Any], Any]

FRONT = "x-headgate-origin"
"""The header that the API's front adds."""
MAX_NESTING = 32
"""Maximum JSON nesting: more than any body needs, and far below Python's recursion limit."""


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

    @property
    def arn(self) -> str:
        """The ARN of the principal whose signature API Gateway verified; empty without one."""
        arn = self.iam.get("userArn")
        return arn if isinstance(arn, str) else ""

    def came_through_front(self, digests: Iterable[str]) -> bool:
        """Return whether the header that the API's front adds has one of these SHA-256 digests (hexadecimal).

        True if none is configured. A CDN or firewall adds the header to what it sends on, so that requests past it,
        to the API's own host name, can be refused. Only the digest is configured, never the secret, which must be
        random: a digest of something that can be guessed is no secret.
        """
        known = tuple(digests)
        if not known:
            return True
        sent = sha256(self.headers.get(FRONT, "").encode("utf-8", "surrogatepass")).hexdigest()
        return any(compare_digest(sent, digest) for digest in known)

    @property
    def origin(self) -> str:
        """`https://` and the host that the request was sent to, as API Gateway names it, not the caller."""
        return f"https://{self.host}"


def read_request(event: Event) -> Request:
    """Read the request in an event. A body with invalid base64 becomes one NUL byte, which no parser accepts."""
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
        iam=_iam(context.get("authorizer")),
        source_ip=str(http.get("sourceIp", "")),
        raw_path=str(event.get("rawPath", "")),
    )


def _iam(authorizer: Any) -> Mapping[str, Any]:
    """What API Gateway says about a verified signature; empty where another authorizer, or none, stood in front."""
    iam = authorizer.get("iam") if isinstance(authorizer, Mapping) else None
    return iam if isinstance(iam, Mapping) else {}


def _body(event: Event) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return b"\0"


def respond(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body, or without a body."""
    named = {"content-type": "application/json", "cache-control": "no-store", **(headers or {})}
    if body is None:
        del named["content-type"]
        return {"statusCode": status, "headers": named, "body": ""}
    return {"statusCode": status, "headers": named, "body": json.dumps(body, separators=(",", ":"), ensure_ascii=False)}


ANSWER_BYTES = 4_000_000
"""One answer. Lambda's limit is 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""


def cost(document: Any) -> int:
    """Return the bytes that a document takes in Lambda's response, which contains the body as one JSON string."""
    return len(json.dumps(json.dumps(document, separators=(",", ":"), ensure_ascii=False)))


class Malformed(ValueError):
    """The body is not valid JSON. The message says what is wrong and never quotes the body."""


class TooLarge(ValueError):
    """The body is larger than the route accepts."""


def read_json(body: bytes, limit: int) -> Json:
    """Parse a body of at most `limit` bytes. Raises `Malformed` or `TooLarge`."""
    if len(body) > limit:
        raise TooLarge(f"the body must be at most {limit} bytes")
    try:
        value = json.loads(body.decode(), object_pairs_hook=_members, parse_constant=_refuse, parse_float=_finite)
    except Malformed:
        raise
    except (ValueError, RecursionError):
        raise Malformed("the body is not valid JSON in UTF-8") from None
    if _is_deeper(value, MAX_NESTING):
        raise Malformed(f"the body is nested deeper than {MAX_NESTING} levels")
    return value


def _members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise Malformed("a member is repeated")
        members[name] = value
    return members


def _refuse(_constant: str) -> NoReturn:
    raise Malformed("NaN and Infinity are not valid JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise Malformed("a number is too large")
    return value


def _is_deeper(value: Json, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in inner)


class Bug(Exception):
    """An unexpected error, reduced to its type and location."""


def redact_errors(handler: Handler) -> Handler:
    """Wrap a handler so that the text of an unexpected error is removed: it may contain what the caller sent.

    Lambda's runtime logs the text of every exception that a handler raises. The invocation still fails, so API Gateway
    answers 500 and the error alarm counts it.
    """

    @wraps(handler)
    def redacted(event: Any, context: Any) -> Any:
        try:
            return handler(event, context)
        except Exception as error:
            raise Bug(type_and_place(error)) from None

    return redacted


def type_and_place(error: BaseException) -> str:
    """Return the error's type and innermost frame, such as `KeyError call.py:12`."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" {PurePath(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
    return type(error).__name__ + where
