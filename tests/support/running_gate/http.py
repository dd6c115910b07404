"""Plain HTTP to the stack: one pool of connections, no retries, no redirects, no proxy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

TIMEOUT = 35
"""Seconds for one call; the gateway itself gives up at 30."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text, for messages."""
        return self.body.decode(errors="replace")

    @property
    def slug(self) -> str:
        """The kind of problem (`urn:headgate:<slug>`), or ""."""
        document = self.json if self.body[:1] == b"{" else {}
        return str(document.get("type", "")).removeprefix("urn:headgate:")

    @property
    def revision(self) -> int:
        """The revision that the answer says it was made under."""
        return int(self.headers["x-headgate-revision"])

    def expect(self, status: int) -> "Answer":
        """Itself, if it has this status."""
        assert self.status == status, f"{self.status}, not {status}: {self.text[:600]}"
        return self


def is_refused_at_the_gate(answer: Answer) -> bool:
    """API Gateway's own answer to a denial; the worker's refusals have another body."""
    return answer.status == 403 and answer.json == {"message": "Forbidden"}


class Http:
    """Sends requests; a pool can be shared between threads."""

    def __init__(self, connections: int = 8) -> None:
        self._pool = urllib3.PoolManager(maxsize=connections, block=False, retries=False, timeout=TIMEOUT)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request, one answer. Raises urllib3's errors where there is none."""
        response = self._pool.request(method, url, headers=dict(headers or {}), body=body, redirect=False)
        named = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, named, response.data)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()
