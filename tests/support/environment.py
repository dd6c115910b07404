"""One execution environment of every function behind one table, in process: who is let in, and what comes back.

Identity tokens are the names of people here: what verifies real ones has tests of its own. Everything else is real.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_clock import FakeClock

from headgate.edge.admission import Admission
from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.evaluate import Evaluate
from headgate.edge.exchange import TokenFunction
from headgate.edge.key_pool import KeyPool
from headgate.edge.oauth import ACCESS_TOKEN as ACCESS
from headgate.edge.oauth import GRANT, ID_TOKEN, SESSION_TOKEN
from headgate.edge.settings import GateSettings
from headgate.store.port import Table
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots
from headgate.tokens.claims import Kind
from headgate.tokens.identity import Identity, IdentityUnavailable
from headgate.tokens.issue import Grant, issue
from headgate.tokens.keys import LocalSigner

HOST = "gate.example.com"
SETTINGS = GateSettings("t", ("key",), "headgate", f"https://{HOST}")
ADMIN = "root"
SITES = ("enter", "observe", "mint", "evaluate", "evaluate all", "start a session", "keys")
"""Everything that asks a store, KMS or the identity provider for its answer."""


class Kms(LocalSigner):
    """The key of the pool. `fault` is what its answers are: an exception to raise, or bytes."""

    fault: Exception | bytes | None = None

    def sign(self, message: bytes) -> bytes:
        return self._or_fault(super().sign(message))

    def public_key(self) -> bytes:
        return self._or_fault(self.public().key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def _or_fault(self, answer: bytes) -> bytes:
        if isinstance(self.fault, Exception):
            raise self.fault
        return answer if self.fault is None else self.fault


class Provider:
    """The identity provider: a name is a token."""

    is_down = False

    def verify(self, token: str, now: float) -> Identity:
        """As `IdentityVerifier.verify`."""
        if self.is_down:
            raise IdentityUnavailable
        return Identity(issuer="idp", user=token, admin=token == ADMIN, client_id="web", iat=int(now),
                        exp=int(now) + 600)  # fmt: skip


@cache
def _key() -> Any:
    return LocalSigner("key")._key


@dataclass(frozen=True)
class Outcome:
    """Whether somebody was let in, and the answer for its form. `granted` is None where nobody is."""

    granted: bool | None
    status: int
    body: Any


class Environment:
    """Cold until it is first asked. Each function has its own snapshot, as on Lambda."""

    def __init__(self, table: Table, clock: FakeClock, *, jitter: Any = lambda: 0.5) -> None:
        self.clock, self.kms, self.provider = clock, Kms("key", _key()), Provider()
        views = [Snapshots(table, clock=clock, jitter=jitter) for _ in range(3)]
        pools = [KeyPool((self.kms,), view) for view in views]
        credentials = [Credentials(SETTINGS, pool) for pool in pools]
        self._authorizer = Authorizer(credentials[0], views[0], clock=clock)
        self._evaluate = Evaluate(credentials[1], pools[1], views[1], clock=clock)
        admission = Admission(views[2], Sessions(table, clock=clock), clock=clock)
        self._token = TokenFunction(settings=SETTINGS, keys=pools[2], credentials=credentials[2], clock=clock,
                                    identities=self.provider, snapshots=views[2], admission=admission)  # type: ignore[arg-type]  # fmt: skip

    def asks(self, site: str, person: str, key: str = "access") -> Outcome:
        """One request of one person at one site."""
        return {
            "enter": self._passes, "observe": self._passes, "mint": self._mints, "evaluate": self._evaluates,
            "evaluate all": self._evaluates, "start a session": self._starts, "keys": self._lists_keys,
        }[site](site, person, key)  # fmt: skip

    def warm(self) -> None:
        """Every function has been asked before."""
        for site in SITES:
            self.asks(site, ADMIN)

    def _access_token(self, person: str) -> str:
        """One that was made a minute ago, whatever is so now."""
        grant = Grant(kind=Kind.ACCESS, issuer=SETTINGS.issuer, audience=SETTINGS.audience, subject=person,
                      client_id="web", lifetime=3_600, rev=1, admin=person == ADMIN)  # fmt: skip
        return issue(LocalSigner("key", _key()), grant, self.clock() - 60)[0]

    def _passes(self, site: str, person: str, _key: str) -> Outcome:
        answer = self._authorizer(_event(f"GET /{site}", token=self._access_token(person)))
        return Outcome(answer["isAuthorized"] is True, 200, answer)

    def _mints(self, _site: str, person: str, _key: str) -> Outcome:
        form = {"grant_type": GRANT, "subject_token": person, "subject_token_type": ID_TOKEN}
        return _outcome(self._token(_event("POST /v1/token", form=form)), "access_token")

    def _starts(self, _site: str, person: str, _key: str) -> Outcome:
        form = {"grant_type": GRANT, "subject_token": self._access_token(person), "subject_token_type": ACCESS,
                "requested_token_type": SESSION_TOKEN, "session_id": f"s-{int(self.clock() * 1_000)}"}  # fmt: skip
        return _outcome(self._token(_event("POST /v1/token", form=form)), "access_token")

    def _evaluates(self, site: str, person: str, key: str) -> Outcome:
        token = self._access_token(person)
        if site == "evaluate":
            response = self._evaluate(_event("POST /ofrep/v1/evaluate/flags/{key}", token=token, path={"key": key}))
            return _outcome(response, "value")
        found = _outcome(self._evaluate(_event("POST /ofrep/v1/evaluate/flags", token=token)), "flags")
        listed = found.body.get("flags", ()) if found.status == 200 else ()
        return Outcome(any(flag["key"] == key and flag["value"] is True for flag in listed), found.status, found.body)

    def _lists_keys(self, _site: str, _person: str, _key: str) -> Outcome:
        found = _outcome(self._token(_event("GET /.well-known/jwks.json")), "keys")
        return Outcome(None, found.status, found.body)


def _event(route: str, *, token: str = "", form: Any = None, path: Any = None) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    context = {"routeKey": route, "domainName": HOST, "requestId": "r", "http": {"sourceIp": "192.0.2.7"}}
    body = "{}" if form is None else urlencode(form)
    return {"routeKey": route, "headers": headers, "pathParameters": path or {}, "requestContext": context,
            "body": body}  # fmt: skip


def _outcome(response: dict[str, Any], member: str) -> Outcome:
    body = json.loads(response["body"])
    held = body.get(member) if response["statusCode"] == 200 else None
    return Outcome(bool(held) if member != "value" else held is True, response["statusCode"], body)
