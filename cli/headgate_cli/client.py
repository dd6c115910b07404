"""The admin API's client: every call is signed, and retried only where that is safe.

An update reads the flag's version first and sends it as `If-Match`. All attempts of a mutation share one
`Idempotency-Key`, so a request whose answer was lost is never applied twice.
A kill is a single signed request: it reads nothing first.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from headgate_cli import failures
from headgate_cli.transport import HttpAnswer, NoAnswer, RequestSigner, Transport

_ATTEMPTS = 4
LONGEST_WAIT = 5.0  # seconds; a longer Retry-After is reported to the operator instead
_PAGE = 200

Query = Mapping[str, str | int | None]


class Client:
    """Calls one API as one caller."""

    def __init__(
        self, api: str, signer: RequestSigner | None, transport: Transport, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.api = api
        self._signer = signer
        self._transport = transport
        self._pause = pause

    def get(self, path: str, query: Query | None = None) -> HttpAnswer:
        """Send a GET request. Raises `Failure`."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        suffix = f"?{urlencode(given, quote_via=quote, safe='')}" if given else ""
        return self.send("GET", path + suffix).required()

    def pages(self, path: str, query: Query | None = None) -> Iterator[dict[str, Any]]:
        """Yield every page of a list, following its `next` cursor. Raises `Failure`."""
        cursor: str | None = None
        while True:
            page = self.get(path, {"limit": _PAGE, **(query or {}), "cursor": cursor}).document
            yield page
            cursor = page.get("next")
            if not cursor:
                return

    def ask(self, path: str, body: Mapping[str, Any]) -> HttpAnswer:
        """Send a POST request that changes nothing (explain, preview, plan). Raises `Failure`."""
        return self.send("POST", path, body).required()

    def change(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send a mutation. The caller must check the answer's status."""
        return self.send(method, path, body, {"Idempotency-Key": str(uuid4()), **(headers or {})})

    def update(
        self, method: str, path: str, body: Mapping[str, Any], *, read: str, if_match: str | None = None
    ) -> HttpAnswer:
        """Send a mutation of the resource at path `read`, conditional on `if_match` or else on its current version.

        If another change comes in between, reads the version again and retries once, unless `if_match` is given.
        Raises `Failure`.
        """
        if if_match is not None:
            return self.change(method, path, body, {"If-Match": quoted(if_match)}).required()
        answer = self.change(method, path, body, {"If-Match": self._version(read)})
        if answer.status == 412:
            answer = self.change(method, path, body, {"If-Match": self._version(read)})
        return answer.required()

    def kill(self, key: str, body: Mapping[str, Any]) -> HttpAnswer:
        """Kill a flag: one request without a precondition. Raises `Failure`."""
        return self.send("POST", f"/admin/v1/flags/{quote(key, safe='')}/kill", body).required()

    def _version(self, read: str) -> str:
        etag = self.get(read).headers.get("etag")
        if not etag:
            raise failures.unavailable("the server returned no version", f"no ETag on {read}")
        return etag

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send a request, at most 4 times: retry after a lost connection, or when the server sends `Retry-After`."""
        data = b"" if body is None else json.dumps(body, allow_nan=False).encode()
        typed = {"Content-Type": "application/json"} if data else {}
        given = {"Accept": "application/json", **typed, **(headers or {})}
        for attempt in range(1, _ATTEMPTS):
            wait = self._try(method, path, data, given, attempt)
            if isinstance(wait, HttpAnswer):
                return wait
            self._pause(wait)
        try:
            return self._transport.send(method, self.api + path, data, given, self._signer)
        except NoAnswer as error:
            raise failures.unavailable(str(error), f"tried {_ATTEMPTS} times") from None

    def _try(self, method: str, path: str, data: bytes, headers: Mapping[str, str], attempt: int) -> HttpAnswer | float:
        """Return the final answer, or the seconds to wait before the next attempt."""
        try:
            answer = self._transport.send(method, self.api + path, data, headers, self._signer)
        except NoAnswer:
            return backoff(attempt)
        wait = wait_asked(answer)
        return answer if wait is None else wait


def backoff(attempt: int) -> float:
    """Return the seconds to wait after a lost connection: 0.1 to 0.2, doubling, so that retries are spread out."""
    return 0.1 * float(2 ** (attempt - 1)) * (1 + random.random())  # noqa: S311  # spreads load, no secret


def wait_asked(answer: HttpAnswer) -> float | None:
    """Return the seconds that a 503 or 429 asks to wait, up to `LONGEST_WAIT`; None if the answer is final."""
    asked = answer.headers.get("retry-after", "")
    if answer.status not in (429, 503) or not asked.isascii() or not asked.isdigit():
        return None
    return float(asked) if float(asked) <= LONGEST_WAIT else None


def quoted(version: str) -> str:
    """Return a version as an entity tag. Accepts `7` and `"7"`. Raises `Failure` (usage)."""
    bare = version.strip().strip('"')
    if not bare.isascii() or not bare.isdigit():
        raise failures.usage("--if-match must be a version number, as in --if-match 7")
    return f'"{bare}"'
