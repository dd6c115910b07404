"""Applies the manifest to a new local stack, and checks that every part answers.

It calls the API like any client: signed requests over a socket. It must not know the gateway.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from headgate_cli.local.declared import REGION
from headgate_cli.local.principals import Principal
from headgate_cli.local.sigv4 import Signable, sign

_TIMEOUT = 35
"""Seconds for one call; the gateway's own timeout is 30."""

_EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
}


class SeedFailed(Exception):
    """A call did not get the answer that a healthy stack gives."""


@dataclass(frozen=True, slots=True)
class LocalClient:
    """Calls one API. Every call opens its own connection, so that the client is safe to share between threads."""

    api: str

    def call(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request. Returns the status and the body."""
        connection = http.client.HTTPConnection(urlsplit(self.api).netloc, timeout=_TIMEOUT)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def signed(
        self, principal: Principal, method: str, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request signed by a principal. `headers` must have lower-case names."""
        own = {"host": urlsplit(self.api).netloc, "content-type": "application/json", **(headers or {})}
        signature = sign(
            Signable(method, path, "", tuple(own.items()), body),
            key_id=principal.access_key_id,
            secret=principal.secret_access_key,
            region=REGION,
            now=datetime.now(UTC),
        )
        return self.call(method, path, body, {**own, **signature})


def apply_manifest(caller: LocalClient, admin: Principal, manifest: Mapping[str, Any] | None) -> None:
    """Apply a manifest, if there is one, through the admin API, page by page. Raises SeedFailed."""
    if manifest is None:
        return
    cursor: str | None = None
    step = 0
    while True:
        document = {**manifest, "reason": "headgate local", **({"cursor": cursor} if cursor else {})}
        key = {"idempotency-key": f"headgate-local-{step}"}
        status, body = caller.signed(admin, "POST", "/admin/v1/manifest", json.dumps(document).encode(), key)
        if status != 200:
            raise SeedFailed(f"the manifest was not applied: {status} {_text(body)}")
        cursor, step = json.loads(body).get("next"), step + 1
        if not cursor:
            return


def warm(caller: LocalClient, admin: Principal, id_token: str, guarded_reads: Iterable[str]) -> list[str]:
    """Call each function once, as an admin, who is let in at every stage. Raises SeedFailed if the gate fails.

    Returns what to tell the developer: which service answered with an error. It may be one under development.
    """
    form = urlencode({**_EXCHANGE, "subject_token": id_token}).encode()
    status, body = caller.call("POST", "/v1/token", form, {"content-type": "application/x-www-form-urlencoded"})
    _expect("POST /v1/token", 200, status, body)
    bearer = {"authorization": f"Bearer {json.loads(body)['access_token']}", "content-type": "application/json"}
    told = []
    for path in guarded_reads:
        status, body = caller.call("GET", path, headers=bearer)
        if status >= 500:
            told.append(f"GET {path} answered {status}: {_text(body)}")
    evaluate = "/ofrep/v1/evaluate/flags"
    _expect(f"POST {evaluate}", 200, *caller.call("POST", evaluate, b'{"context":{}}', bearer))
    kill = "/admin/v1/flags/warm/kill"  # not JSON: refused before anything is read or written
    _expect(f"POST {kill}", 400, *caller.signed(admin, "POST", kill, b"-"))
    return told


def _expect(what: str, expected: int, status: int, body: bytes) -> None:
    if status != expected:
        raise SeedFailed(f"{what} answered {status}, not {expected}: {_text(body)}")


def _text(body: bytes) -> str:
    return body.decode(errors="replace")[:500]
