"""A proxy on loopback in front of a DynamoDB: forwards requests, or fails them in one of the ways that stores fail.

It speaks TCP to its clients and parses just enough HTTP to separate requests, so that a fault can be limited to some
operations, and every request is counted.
"""

import contextlib
import http.client
import socket
import struct
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import BinaryIO
from urllib.parse import urlsplit

_NOT_COPIED = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive"})
_JSON = "application/x-amz-json-1.0"
_THROTTLED = (
    b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}'
)
_FAILED = b'{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"try later"}'


class Fault(StrEnum):
    """How requests fail."""

    NONE = "none"
    REFUSED = "refused"  # no listener; open connections are closed
    HANGING = "hanging"  # accepted, never answered
    FAILING = "failing"  # 500 InternalServerError
    THROTTLED = "throttled"  # 400 ProvisionedThroughputExceededException
    LOST = "lost"  # executed, and the connection closed before the answer


class FaultyProxy:
    """Listens on its own port from construction to `close`. `seen` counts requests by operation and fault."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream).netloc
        self._changed = threading.Condition()
        self._fault, self._only, self._left = Fault.NONE, frozenset[str](), -1
        self._open: set[socket.socket] = set()
        self._closed = False
        self.seen: Counter[tuple[str, Fault]] = Counter()
        self._listener = self._bind(0)
        self._port: int = self._listener.getsockname()[1]
        self._listen()

    @property
    def url(self) -> str:
        """The URL for clients."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def answered(self) -> int:
        """The number of requests forwarded and answered so far."""
        with self._changed:
            return sum(count for (_, fault), count in self.seen.items() if fault is Fault.NONE)

    def break_by(self, fault: Fault, *, only: Collection[str] = (), times: int = -1) -> None:
        """Fail from now on: every operation, or `only` the named ones (`Query`); at most `times` of them (-1: all)."""
        with self._changed:
            before, self._fault, self._only, self._left = self._fault, fault, frozenset(only), times
            self._changed.notify_all()
        if fault is Fault.REFUSED and before is not Fault.REFUSED:
            self._refuse()
        elif before is Fault.REFUSED and fault is not Fault.REFUSED:
            self._listen()

    def heal(self) -> None:
        """Forward everything again."""
        self.break_by(Fault.NONE)

    def close(self) -> None:
        """Stop listening and close every connection."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._stop_listening()
        self._cut()

    # -- sockets

    def _bind(self, port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEPORT, 1
        )  # keeps the port reserved while there is no listener
        bound.bind(("127.0.0.1", port))
        return bound

    def _listen(self) -> None:
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _refuse(self) -> None:
        silent = self._bind(self._port)
        self._stop_listening()
        self._listener = silent  # bound, not listening: connections are refused
        self._cut()

    def _cut(self) -> None:
        with self._changed:
            cut = list(self._open)
        for connection in cut:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with a reset
        with self._changed:
            self._open.add(connection)
        upstream = http.client.HTTPConnection(self._upstream, timeout=30)
        try:
            with (
                contextlib.suppress(OSError, http.client.HTTPException, ValueError),
                connection.makefile("rb") as reader,
            ):
                for request in _requests(reader):
                    if not self._treat(request, connection, upstream):
                        break
        finally:
            with self._changed:
                self._open.discard(connection)
            connection.close()
            upstream.close()

    # -- requests

    def _treat(self, request: "Asked", connection: socket.socket, upstream: http.client.HTTPConnection) -> bool:
        """Whether the connection stays open."""
        fault = self._fault_of(request.operation)
        match fault:
            case Fault.NONE:
                connection.sendall(request.forwarded(upstream))
                return True
            case Fault.FAILING:
                connection.sendall(_response(500, [("content-type", _JSON)], _FAILED))
                return True
            case Fault.THROTTLED:
                connection.sendall(_response(400, [("content-type", _JSON)], _THROTTLED))
                return True
            case Fault.LOST:
                request.forwarded(upstream)
            case Fault.HANGING:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._fault is not Fault.HANGING)
        return False

    def _fault_of(self, operation: str) -> Fault:
        with self._changed:
            hit = self._fault is not Fault.NONE and self._left != 0 and (not self._only or operation in self._only)
            fault = self._fault if hit else Fault.NONE
            self._left -= hit
            self.seen[operation, fault] += 1
            return fault


class Asked:
    """One complete request."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body
        self.operation = headers.get("x-amz-target", "").rpartition(".")[2]

    def forwarded(self, upstream: http.client.HTTPConnection) -> bytes:
        """Forward upstream. Returns the answer as bytes."""
        upstream.request(self.method, self.path, self.body, self.headers)
        response = upstream.getresponse()
        body = response.read()
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in _NOT_COPIED]
        return _response(response.status, headers, body)


def _requests(reader: BinaryIO) -> Iterator[Asked]:
    while line := reader.readline(65_537):
        method, path, _ = line.decode("latin-1").split(" ", 2)
        message = http.client.parse_headers(reader)
        headers = {name.lower(): value for name, value in message.items() if name.lower() not in _NOT_COPIED}
        yield Asked(method, path, headers, reader.read(int(message.get("content-length", 0))))


def _response(status: int, headers: list[tuple[str, str]], body: bytes) -> bytes:
    reason = http.client.responses.get(status, "Status")
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("latin-1") + body
