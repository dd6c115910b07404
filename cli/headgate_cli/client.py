"""The admin API as its operator sees it: every call signed, repeated only where repeating is safe.

An update reads the flag's version first and sends it as `If-Match`. A mutation carries one `Idempotency-Key`
that all its attempts share, so a request whose answer was lost is never carried out twice.
A kill is one signed request, first thing: it reads nothing before.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from headgate_cli import failures
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.transport import HttpAnswer, NoAnswer, RequestSigner, Transport

_ATTEMPTS = 4
LONGEST_WAIT = 5.0  # seconds; a longer Retry-After is the operator's to wait for
_PAGE = 200

Query = Mapping[str, str | int | None]


class Client:
    """Speaks to one API as one caller."""

    def __init__(
        self, api: str, signer: RequestSigner | None, transport: Transport, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.api = api
        self._signer = signer
        self._transport = transport
        self._pause = pause

    def get(self, path: str, query: Query | None = None) -> HttpAnswer:
        """Read. Raises `Failure`."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        suffix = f"?{urlencode(given, quote_via=quote, safe='')}" if given else ""
        return self.send("GET", path + suffix).required()

    def pages(self, path: str, query: Query | None = None) -> Iterator[dict[str, Any]]:
        """Every page of a list, by its `next` cursor."""
        cursor: str | None = None
        while True:
            page = self.get(path, {"limit": _PAGE, **(query or {}), "cursor": cursor}).document
            yield page
            cursor = page.get("next")
            if not cursor:
                return

    def ask(self, path: str, body: Mapping[str, Any]) -> HttpAnswer:
        """A POST that changes nothing (explain, preview, plan). Raises `Failure`."""
        return self.send("POST", path, body).required()

    def change(
        self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """A mutation. The answer may tell of a failure: the caller looks."""
        return self.send(method, path, body, {"Idempotency-Key": str(uuid4()), **(headers or {})})

    def update(
        self, method: str, path: str, body: Mapping[str, Any], *, read: str, if_match: str | None = None
    ) -> HttpAnswer:
        """A mutation of what `read` names, under the version just read or the one given.

        Where the version was read here and another change came between, it reads and tries once more. Raises `Failure`.
        """
        if if_match is not None:
            return self.change(method, path, body, {"If-Match": quoted(if_match)}).required()
        answer = self.change(method, path, body, {"If-Match": self._version(read)})
        if answer.status == 412:
            answer = self.change(method, path, body, {"If-Match": self._version(read)})
        return answer.required()

    def kill(self, key: str, body: Mapping[str, Any]) -> HttpAnswer:
        """Drop the gate: one request with no precondition. Raises `Failure`."""
        return self.send("POST", f"/admin/v1/flags/{quote(key, safe='')}/kill", body).required()

    def _version(self, read: str) -> str:
        etag = self.get(read).headers.get("etag")
        if not etag:
            raise failures.unavailable("the server gave no version to change from", f"no ETag on {read}")
        return etag

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send, and again after a lost connection or where the server says when (`Retry-After`); at most 4 times."""
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
        """The answer where it stands, else the seconds to wait before the next attempt."""
        try:
            answer = self._transport.send(method, self.api + path, data, headers, self._signer)
        except NoAnswer:
            return backoff(attempt)
        wait = wait_asked(answer)
        return answer if wait is None else wait


def backoff(attempt: int) -> float:
    """Seconds to wait after a lost connection: 0.1 to 0.2, doubling, so that many callers do not come back at once."""
    return 0.1 * float(2 ** (attempt - 1)) * (1 + random.random())  # noqa: S311  # spreads load, guards nothing


def wait_asked(answer: HttpAnswer) -> float | None:
    """Seconds that a 503 or 429 asks to wait, when that is bearable; None where the answer stands."""
    asked = answer.headers.get("retry-after", "")
    if answer.status not in (429, 503) or not asked.isascii() or not asked.isdigit():
        return None
    return float(asked) if float(asked) <= LONGEST_WAIT else None


def quoted(version: str) -> str:
    """A version as an entity tag: `7` and `"7"` are both taken."""
    bare = version.strip().strip('"')
    if not bare.isascii() or not bare.isdigit():
        raise Failure(ExitCode.USAGE, "--if-match takes a version number, as in --if-match 7", slug="usage")
    return f'"{bare}"'
