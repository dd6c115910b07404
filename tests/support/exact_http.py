"""HTTP that sends a path as it is, on a connection of its own for each call."""

import http.client
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from running_gate.http import TIMEOUT, Answer


class ExactHttp:
    """Stands in for `running_gate.http.Http`: no pool, no normalising of paths."""

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request, one answer. Raises OSError where there is none."""
        address = urlsplit(url).netloc
        path = url.partition(address)[2] or "/"
        began = time.monotonic()
        connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read(), began, time.monotonic())
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing is held."""
