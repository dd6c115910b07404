"""A client that sends requests unmodified: no path is normalized, only Host and Content-Length are added."""

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. Header names are in lower case; a repeated header is joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def event(self) -> Any:
        """The event that the echo function received."""
        return self.document["event"]


class Client:
    """A client of one base URL. Every request has its own connection."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.netloc = urlsplit(base).netloc

    def __call__(
        self,
        method: str,
        target: str,
        body: bytes | Mapping[str, Any] = b"",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> Answer:
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        if isinstance(body, Mapping):
            body = json.dumps(body).encode()
            given.append(("content-type", "application/json"))
        connection = http.client.HTTPConnection(self.netloc, timeout=40)
        try:
            named = {name.lower() for name, _ in given}
            connection.putrequest(method, target, skip_host="host" in named, skip_accept_encoding=True)
            for name, value in given:
                connection.putheader(name, value)
            if body and "content-length" not in named:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            joined: dict[str, str] = {}
            for name, value in response.getheaders():
                key = name.lower()
                joined[key] = f"{joined[key]},{value}" if key in joined else value
            return Answer(response.status, joined, response.read())
        finally:
            connection.close()
