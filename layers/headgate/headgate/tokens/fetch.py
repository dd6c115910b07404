"""Fetch one JSON document over HTTP, within hard limits on time and size. The only module in this folder that does I/O.

It does not know what the document is for. No proxy, no cookie, no credential, no redirect to another origin: whoever
could redirect the request could choose the keys.
"""

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, urljoin, urlsplit

from headgate.tokens import limits

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json", re.IGNORECASE)
_HEADERS = {"Accept": "application/json", "Connection": "close", "User-Agent": "headgate/1.0 (OpenID Connect keys)"}
"""Firewalls in front of providers refuse a request without a `User-Agent`."""
_REDIRECTS = frozenset((301, 302, 303, 307, 308))


@dataclass(frozen=True, slots=True)
class Document:
    """What was fetched, and for how many seconds its sender allows caching it (None: unspecified)."""

    body: bytes
    max_age: int | None = None


class FetchFailed(Exception):
    """No document. The text names the cause, never content."""


Fetch = Callable[[str], Document]


def fetch(url: str) -> Document:
    """GET a JSON document from a URL that passed `issuers.is_url`. Raises only `FetchFailed`.

    Limits: `FETCH_SECONDS` to connect and as long again for the rest of each hop, `DOCUMENT_BYTES`, `REDIRECTS` hops.
    """
    origin = _origin(url)
    for _ in range(limits.REDIRECTS + 1):
        answer = _get(url)
        if isinstance(answer, Document):
            return answer
        url = _follow(url, answer)
        if _origin(url) != origin:
            raise FetchFailed("redirected to another origin")
    raise FetchFailed("too many redirects")


def _follow(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise FetchFailed("redirected to an invalid URL") from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        raise FetchFailed("not a URL") from None


def _get(url: str) -> Document | str:
    """Return the document, or the location it redirects to."""
    parts = urlsplit(url)
    connection = _connection(parts)
    try:
        connection.connect()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers=_HEADERS)
        response = http.client.HTTPResponse(cast(socket.socket, _Timed(connection.sock)), method="GET")
        response.begin()
        return _read(response)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchFailed(type(error).__name__) from None
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse) -> Document | str:
    if response.status in _REDIRECTS:
        return response.headers.get("location", "")
    if response.status != 200:
        raise FetchFailed(f"status {response.status}")
    if _JSON.fullmatch(response.headers.get_content_type()) is None:
        raise FetchFailed("not a JSON document")
    body = response.read(limits.DOCUMENT_BYTES + 1)
    if len(body) > limits.DOCUMENT_BYTES:
        raise FetchFailed("too large")
    if response.length:
        raise FetchFailed("cut short")
    said = _MAX_AGE.search(response.headers.get("cache-control", ""))
    return Document(body, int(said[1]) if said else None)


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=limits.FETCH_SECONDS, context=_trust())
    return http.client.HTTPConnection(host, parts.port, timeout=limits.FETCH_SECONDS)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()  # 41 ms: only when it is needed


class _Timed(io.RawIOBase):
    """A socket's receiving half with one deadline for all reads. One per read would let a slow sender go on."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._deadline = time.monotonic() + limits.FETCH_SECONDS

    def makefile(self, *_: object) -> io.BufferedReader:
        """What `HTTPResponse` calls on a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._socket.recv_into(buffer)
