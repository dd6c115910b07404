"""Serves the local applications: one HTTP server with several loopback ports, one application for each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator, Mapping
from typing import Any

import uvicorn

from headgate_cli.local.wire import Receive, Scope, Send


class LocalServer:
    """The HTTP server. `applications` are ASGI applications by port."""

    def __init__(self, listeners: list[socket.socket], applications: Mapping[int, Any]) -> None:
        self._listeners = listeners
        self._applications = applications
        config = uvicorn.Config(
            self._dispatch,
            http="h11",
            ws="none",
            interface="asgi3",
            lifespan="off",
            access_log=False,
            log_level="error",
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=1_048_576,  # the gateway answers 431 above 10,240 B
            timeout_keep_alive=600,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve, and return once every port answers."""
        self._task = asyncio.create_task(self._server.serve(self._listeners))
        while not self._server.started:
            if self._task.done():
                await self._task
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._applications[scope["server"][1]](scope, receive, send)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the runner."""
        yield
