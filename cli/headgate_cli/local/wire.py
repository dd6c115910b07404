"""The ASGI operations that the local servers share: read a body up to a limit, send a response."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

_HOSTS = frozenset({b"127.0.0.1", b"localhost"})
_NO_BODY = frozenset({204, 304})


def is_for_loopback(headers: Iterable[Header]) -> bool:
    """Return whether a request names this machine as its one host.

    attack: DNS rebinding. A web page whose name is changed to 127.0.0.1 still sends its own name.
    """
    hosts = [value for name, value in headers if name == b"host"]
    return len(hosts) == 1 and hosts[0].partition(b":")[0].lower() in _HOSTS


async def read_body(receive: Receive, *, limit: int | None) -> bytes | None:
    """Read the whole body; None if it exceeds `limit` bytes. Raises ConnectionError if the client disconnects."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client disconnected")
        body += message.get("body", b"")
        if limit is not None and len(body) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def send_response(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Send a whole response with its length; 204 and 304 have no body."""
    if status in _NO_BODY:
        body = b""
    else:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_json(send: Send, status: int, value: Any) -> None:
    """Send a response with a JSON value."""
    await send_response(send, status, [(b"content-type", b"application/json")], json.dumps(value).encode())
