"""Deliver an event of the bus to a URL as a signed webhook. EventBridge and Lambda repeat what raises.

No redirect is followed: whoever could redirect the request would receive what the record says.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from headgate.edge import telemetry
from headgate.edge.settings import Misconfigured
from headgate.tokens.webhook import read_secrets, signed_headers

SECONDS = 4.0
"""To connect, and as long again for the answer's status: together less than the function's 10 s."""


class NotDelivered(Exception):
    """The receiver did not answer 2xx. The text is the status or the type of the failure, never the URL."""


class Webhook:
    """`secrets` returns the stored text of one or two secrets, and is called for every event."""

    def __init__(self, url: str, secrets: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise Misconfigured("the webhook's URL is not https")
        self._host, self._port = parts.hostname, parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secrets, self._clock = secrets, clock
        self._trust = ssl.create_default_context()

    def deliver(self, event: Mapping[str, Any]) -> None:
        """Send the event's `detail`. Its digest is the message's id in every attempt. Raises `NotDelivered`."""
        detail = event["detail"]
        body = json.dumps(detail, separators=(",", ":")).encode()
        message = detail["digest"] or f"revision-{detail['revision']}"
        signed = signed_headers(read_secrets(self._secrets()), message, int(self._clock()), body)
        status = self._post(body, signed)
        telemetry.log("delivered", function="webhook", revision=detail["revision"], status=status)
        if not 200 <= status < 300:
            raise NotDelivered(f"status {status}")

    def _post(self, body: bytes, signed: Mapping[str, str]) -> int:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=SECONDS, context=self._trust)
        headers = {"Content-Type": "application/json", "User-Agent": "headgate/1.0 (webhook)", **signed}
        try:
            connection.request("POST", self._target, body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            telemetry.log("unavailable", function="webhook", error=type(error).__name__)
            raise NotDelivered(type(error).__name__) from None
        finally:
            connection.close()
