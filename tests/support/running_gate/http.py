"""Plain HTTP to the stack: one connection pool, no retries, no redirects, no proxy."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import urllib3

TIMEOUT = 35
"""Seconds for one call; the gateway itself times out at 30."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. Header names are in lower case; `began` and `ended` are monotonic times in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self.ended - self.began

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text, for messages."""
        return self.body.decode(errors="replace")

    @property
    def slug(self) -> str:
        """The problem type (`urn:headgate:<slug>`), or ""."""
        document = self.json if self.body[:1] == b"{" else {}
        return str(document.get("type", "")).removeprefix("urn:headgate:")

    @property
    def revision(self) -> int:
        """The revision in the answer."""
        return int(self.headers["x-headgate-revision"])

    def expect(self, status: int) -> "Answer":
        """The answer itself, if it has this status."""
        assert self.status == status, f"{self.status}, not {status}: {self.text[:600]}"
        return self


def is_refused_at_the_gate(answer: Answer) -> bool:
    """Whether API Gateway answered a denial; the worker's refusals have another body."""
    return answer.status == 403 and answer.json == {"message": "Forbidden"}


class Client(Protocol):
    """Sends requests. Raises OSError or urllib3's errors if there is no answer."""

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request, one answer."""

    def close(self) -> None:
        """Close the connections."""


class Http:
    """Sends requests. A pool can be shared between threads."""

    def __init__(self, connections: int = 8) -> None:
        self._pool = urllib3.PoolManager(maxsize=connections, block=False, retries=False, timeout=TIMEOUT)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request, one answer. Raises urllib3's errors if there is none."""
        began = time.monotonic()
        response = self._pool.request(method, url, headers=dict(headers or {}), body=body, redirect=False)
        named = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, named, response.data, began, time.monotonic())

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()
