"""Holds how the local servers get their addresses: loopback only, known before anything is served."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A listening TCP socket on loopback; port 0 picks a free one. Connections wait until it is served.

    Raises OSError. Accepted connections send at once: asyncio sets that itself only where the protocol is named, and
    without it each answer waits 40 ms for an acknowledgement.
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
    """The socket's port."""
    return int(listener.getsockname()[1])


def url_of(listener: socket.socket) -> str:
    """The socket's base URL."""
    return f"http://{LOOPBACK}:{port_of(listener)}"
