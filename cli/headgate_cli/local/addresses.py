"""Opens the sockets of the local servers: on loopback only, with addresses known before anything is served."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Open a listening TCP socket on loopback; port 0 picks a free one. Connections wait until it is served.

    Raises OSError. TCP_NODELAY is set here because asyncio sets it only if the socket names its protocol; without it,
    each answer waits 40 ms for an acknowledgement.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


def port_of(listener: socket.socket) -> int:
    """Return the socket's port."""
    return int(listener.getsockname()[1])


def url_of(listener: socket.socket) -> str:
    """Return the socket's base URL."""
    return f"http://{LOOPBACK}:{port_of(listener)}"
