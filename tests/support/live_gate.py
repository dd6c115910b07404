"""A client of a running stack that sends exactly what a test wants sent, and says when it was sent and answered."""

import http.client
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from headgate_cli.local.sigv4 import Signable, sign
from headgate_cli.local.stack import Stack

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SESSION = "urn:headgate:params:oauth:token-type:session"
FORM = {"content-type": "application/x-www-form-urlencoded"}
PATIENCE = 40.0
"""Seconds for one answer; the gateway gives up at 30."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `began` and `ended` are of the monotonic clock, in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        """The problem's type without its prefix, "" when the answer is no problem."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        return str(self.json["type"]).removeprefix("urn:headgate:")


@dataclass(frozen=True, slots=True)
class Gate:
    """One running stack."""

    stack: Stack

    # -- any request

    def send(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One request on a connection of its own; the path goes out as it is."""
        began = time.monotonic()
        connection = http.client.HTTPConnection(urlsplit(self.stack.api).netloc, timeout=PATIENCE)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, named, response.read(), began, time.monotonic())
        finally:
            connection.close()

    def post(self, path: str, token: str, document: Any = None) -> Reply:
        """POST JSON with a bearer token."""
        body = b"" if document is None else json.dumps(document).encode()
        return self.send("POST", path, body, bearer(token) | {"content-type": "application/json"})

    # -- tokens

    def id_token(self, sub: str, **claims: str) -> str:
        """An identity token of the dev provider."""
        connection = http.client.HTTPConnection(urlsplit(self.stack.idp).netloc, timeout=PATIENCE)
        try:
            connection.request("POST", "/token", urlencode({"sub": sub, **claims}), FORM)
            return str(json.loads(connection.getresponse().read())["id_token"])
        finally:
            connection.close()

    def exchange(self, subject_token: str, **parameters: str) -> Reply:
        """POST /v1/token."""
        form = {"grant_type": GRANT, "subject_token": subject_token, "subject_token_type": ID_TOKEN, **parameters}
        return self.send("POST", "/v1/token", urlencode(form).encode(), FORM)

    def session(self, token: str, session_id: str, *, by: str = ACCESS_TOKEN) -> Reply:
        """Start or renew a session."""
        return self.exchange(token, subject_token_type=by, requested_token_type=SESSION, session_id=session_id)

    def token(self, sub: str, **claims: str) -> str:
        """An access token; the subject must be let in."""
        return granted(self.exchange(self.id_token(sub, **claims)))

    def evaluation(self, sub: str, **claims: str) -> str:
        """An evaluation token."""
        return granted(self.exchange(self.id_token(sub, **claims), scope="evaluate"))

    def evaluate(self, token: str, key: str) -> Reply:
        """One flag, for the token's subject."""
        return self.post(f"/ofrep/v1/evaluate/flags/{key}", token, {"context": {}})

    # -- operators

    def signed(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        who: str = "admin",
        region: str = "us-east-1",
        service: str = "execute-api",
        secret: str = "",
        sent: bytes | None = None,
        at: datetime | None = None,
    ) -> Reply:
        """A request signed by a principal. `sent` goes out in place of the signed body; `at` signs at another time."""
        keys = self.stack.ready[who]
        own = {"host": urlsplit(self.stack.api).netloc, **{k.lower(): v for k, v in (headers or {}).items()}}
        if at is not None:
            route, _, query = path.partition("?")
            signable = Signable(method, route, query, tuple(own.items()), body)
            own |= sign(signable, key_id=keys["access_key_id"], secret=keys["secret_access_key"], region=region, now=at)
        else:
            request = AWSRequest(method, self.stack.api + path, headers=own, data=body)
            credentials = Credentials(keys["access_key_id"], secret or keys["secret_access_key"])
            SigV4Auth(credentials, service, region).add_auth(request)
            own = dict(request.headers.items())
        return self.send(method, path, body if sent is None else sent, own)

    def admin(
        self,
        method: str,
        path: str,
        document: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        who: str = "admin",
    ) -> Reply:
        """A signed call of /admin/v1 with a JSON body and an Idempotency-Key of its own."""
        own = {"content-type": "application/json", "idempotency-key": uuid.uuid4().hex, **(headers or {})}
        body = b"" if document is None else json.dumps(document).encode()
        return self.signed(method, "/admin/v1" + path, body, own, who=who)

    def flag(self, key: str) -> dict[str, Any]:
        """A flag as the admin API shows it."""
        reply = self.admin("GET", f"/flags/{key}")
        assert reply.status == 200, reply.body
        found: dict[str, Any] = reply.json
        return found

    def put_stage(self, key: str, stage: str, **more: Any) -> Reply:
        """Set a flag's stage, on its current version."""
        held = {"if-match": f'"{self.flag(key)["version"]}"'}
        document = {"stage": stage, "reason": "a test", "allow_shrink": True, **more}
        return expect(200, self.admin("POST", f"/flags/{key}/stage", document, held))

    def kill(self, key: str, *, who: str = "admin", **more: Any) -> Reply:
        """Kill a flag."""
        return self.admin("POST", f"/flags/{key}/kill", {"reason": "a test", **more}, who=who)

    def restore(self, key: str) -> Reply:
        """Lift a kill."""
        return self.admin("POST", f"/flags/{key}/restore", {"reason": "a test"})

    def head(self) -> tuple[int, str]:
        """The newest revision and its digest."""
        head = expect(200, self.admin("GET", "/audit?limit=1")).json["head"]
        return head["revision"], head["digest"]


def bearer(token: str) -> dict[str, str]:
    """The Authorization header."""
    return {"authorization": f"Bearer {token}"}


def expect(status: int, reply: Reply) -> Reply:
    """The reply, if it has this status."""
    assert reply.status == status, (reply.status, reply.body)
    return reply


def granted(reply: Reply) -> str:
    """The token in an answer of the token endpoint."""
    return str(expect(200, reply).json["access_token"])


def later(seconds: float) -> str:
    """A time to come, RFC 3339."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def within(seconds: float, probe: Callable[[], Reply], good: Callable[[Reply], bool]) -> tuple[Reply, float]:
    """Ask until an answer is good, and how long that took. Fails when none is within the time."""
    began = time.monotonic()
    while True:
        reply = probe()
        if good(reply):
            return reply, time.monotonic() - began
        assert time.monotonic() - began < seconds, f"still {reply.status} after {seconds} s: {reply.body!r}"
        time.sleep(0.05)
