"""A gate in this process: one table with faults, one clock to move, an operator, and execution environments.

In `Environment`, identity tokens are the names of people unless a test passes a real verifier. Everything else is real.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from desk import Desk
from fake_clock import FakeClock
from operators import Operator
from reference_table import ReferenceTable

from headgate.core.session import Session, start
from headgate.edge.admission import Admission
from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.evaluate import Evaluate
from headgate.edge.exchange import TokenFunction
from headgate.edge.key_pool import KeyPool
from headgate.edge.oauth import ACCESS_TOKEN as ACCESS
from headgate.edge.oauth import GRANT, ID_TOKEN, SESSION_TOKEN
from headgate.edge.settings import GateSettings
from headgate.edge.telemetry import Alarms
from headgate.store.port import Table
from headgate.store.record import Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots, Watch
from headgate.tokens.claims import Kind
from headgate.tokens.identity import Identity, IdentityUnavailable
from headgate.tokens.issue import Grant, issue
from headgate.tokens.keys import LocalSigner

HOST = "gate.example.com"
SETTINGS = GateSettings("t", ("key",), "headgate", f"https://{HOST}")
ADMIN = "root"
SITES = ("enter", "observe", "mint", "evaluate", "evaluate all", "start a session", "keys")
"""Everything that calls the store, KMS, or the identity provider."""


class Kms(LocalSigner):
    """A key of the pool. `fault` replaces its answers: an exception to raise, or bytes."""

    fault: Exception | bytes | None = None
    fetched = 0
    """How often the public key was fetched."""
    before_sign: Callable[[], object] | None = None

    def sign(self, message: bytes) -> bytes:
        if self.before_sign is not None:
            self.before_sign()
        return self._or_fault(super().sign(message))

    def public_key(self) -> bytes:
        self.fetched += 1
        return self._or_fault(self.public().key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def _or_fault(self, answer: bytes) -> bytes:
        if isinstance(self.fault, Exception):
            raise self.fault
        return answer if self.fault is None else self.fault


class Provider:
    """An identity provider whose tokens are user names."""

    is_down = False
    issued_at: int | None = None
    """When its tokens were issued (Unix seconds); None means now."""

    def verify(self, token: str, now: float) -> Identity:
        """As `IdentityVerifier.verify`."""
        if self.is_down:
            raise IdentityUnavailable
        return Identity(issuer="idp", user=token, admin=token == ADMIN, client_id="web",
                        iat=int(now) if self.issued_at is None else self.issued_at, exp=int(now) + 600)  # fmt: skip


@cache
def _key() -> Any:
    return LocalSigner("key")._key


@dataclass(frozen=True)
class Outcome:
    """Whether the person was let in, and the answer. `granted` is None at a site that admits nobody."""

    granted: bool | None
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class Environment:
    """One execution environment of each function, cold until its first request; each holds a snapshot of its own.

    With `watched`, its functions write to the log what the deployed ones do.
    """

    def __init__(
        self, table: Table, clock: FakeClock, *, jitter: Any = lambda: 0.5, identities: Any = None,
        watched: bool = False,
    ) -> None:  # fmt: skip
        self.clock, self.kms, self.provider = clock, Kms("key", _key()), Provider()
        identities = identities or self.provider
        watches = [Alarms(name) if watched else None for name in ("authorizer", "evaluate", "token")]
        views = [Snapshots(table, watch=watch, clock=clock, jitter=jitter) for watch in watches]
        pools = [KeyPool((self.kms,), view, clock=clock) for view in views]
        credentials = [Credentials(SETTINGS, pool) for pool in pools]
        self._authorizer = Authorizer(credentials[0], views[0], clock=clock)
        self.evaluate = Evaluate(credentials[1], pools[1], views[1], clock=clock)
        admission = Admission(views[2], Sessions(table, clock=clock), Record(table, clock=clock), clock=clock)
        self.token = TokenFunction(settings=SETTINGS, keys=pools[2], credentials=credentials[2], clock=clock,
                                   snapshots=views[2], admission=admission, identities=identities)  # fmt: skip

    def asks(self, site: str, person: str, key: str = "access") -> Outcome:
        """Send one request of one person to one site."""
        return {
            "enter": self._passes, "observe": self._passes, "mint": self._mints, "evaluate": self._evaluates,
            "evaluate all": self._evaluates, "start a session": self._starts, "keys": self._lists_keys,
        }[site](site, person, key)  # fmt: skip

    def sends(self, function: str, token: str) -> int:
        """Send a text in place of a Headgate token to one function; return the status. The authorizer's is 200."""
        form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ACCESS,
                "requested_token_type": SESSION_TOKEN, "session_id": "s"}  # fmt: skip
        if function == "authorizer":
            assert self._authorizer(event("GET /enter", token=token))["isAuthorized"] is False
            return 200
        if function == "token":
            return int(self.token(event("POST /v1/token", form=form))["statusCode"])
        return int(self.evaluate(event("POST /ofrep/v1/evaluate/flags", token=token))["statusCode"])

    def warm(self) -> None:
        """Send a request to every site."""
        for site in SITES:
            self.asks(site, ADMIN)

    def _access_token(self, person: str) -> str:
        """An access token issued a minute ago, whatever the rules are now."""
        grant = Grant(kind=Kind.ACCESS, issuer=SETTINGS.issuer, audience=SETTINGS.audience, subject=person,
                      client_id="web", lifetime=3_600, rev=1, admin=person == ADMIN)  # fmt: skip
        return issue(LocalSigner("key", _key()), grant, self.clock() - 60)[0]

    def _passes(self, site: str, person: str, _key: str) -> Outcome:
        answer = self._authorizer(event(f"GET /{site}", token=self._access_token(person)))
        return Outcome(answer["isAuthorized"] is True, 200, answer)

    def _mints(self, _site: str, person: str, _key: str) -> Outcome:
        form = {"grant_type": GRANT, "subject_token": person, "subject_token_type": ID_TOKEN}
        return _outcome(self.token(event("POST /v1/token", form=form)), "access_token")

    def _starts(self, _site: str, person: str, _key: str) -> Outcome:
        form = {"grant_type": GRANT, "subject_token": self._access_token(person), "subject_token_type": ACCESS,
                "requested_token_type": SESSION_TOKEN, "session_id": f"s-{int(self.clock() * 1_000)}"}  # fmt: skip
        return _outcome(self.token(event("POST /v1/token", form=form)), "access_token")

    def _evaluates(self, site: str, person: str, key: str) -> Outcome:
        token = self._access_token(person)
        if site == "evaluate":
            response = self.evaluate(event("POST /ofrep/v1/evaluate/flags/{key}", token=token, path={"key": key}))
            return _outcome(response, "value")
        found = _outcome(self.evaluate(event("POST /ofrep/v1/evaluate/flags", token=token)), "flags")
        listed = found.body.get("flags", ()) if found.status == 200 else ()
        return Outcome(any(flag["key"] == key and flag["value"] is True for flag in listed), found.status, found.body)

    def _lists_keys(self, _site: str, _person: str, _key: str) -> Outcome:
        found = _outcome(self.token(event("GET /.well-known/jwks.json")), "keys")
        return Outcome(None, found.status, found.body)


def event(route: str, *, token: str = "", form: Any = None, path: Any = None, **authorizer: Any) -> dict[str, Any]:
    """An event as API Gateway sends it; `authorizer` is the context that an authorizer would have added."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    if form is not None:
        headers["content-type"] = "application/x-www-form-urlencoded"
    context = {"routeKey": route, "domainName": HOST, "requestId": "r", "http": {"sourceIp": "192.0.2.7"},
               "authorizer": authorizer}  # fmt: skip
    body = "{}" if form is None else urlencode(form)
    return {"routeKey": route, "headers": headers, "pathParameters": path or {}, "requestContext": context,
            "body": body}  # fmt: skip


def _outcome(response: dict[str, Any], member: str) -> Outcome:
    body = json.loads(response["body"])
    held = body.get(member) if response["statusCode"] == 200 else None
    granted = bool(held) if member != "value" else held is True
    return Outcome(granted, response["statusCode"], body, response["headers"])


class InMemoryGate:
    """One gate. With a seed, `source` also decides every jitter. `budget` is an operator's, in seconds."""

    def __init__(self, table: ReferenceTable | None = None, *, seed: int | None = None, budget: float = 5.0) -> None:
        self.clock, self.table, self.source = FakeClock(), table or ReferenceTable(), Random(seed)
        self.jitter = (lambda: 0.5) if seed is None else self.source.random
        self.sessions = Sessions(self.table, clock=self.clock)
        self._budget = budget

    def operator(self, name: str = "ops") -> Operator:
        """An operator who changes the rules through the store."""
        return Operator(self.table, self.clock, name=name, budget=self._budget, jitter=self.jitter)

    def desk(self) -> Desk:
        """A cold execution environment of the admin function."""
        return Desk(self.table, self.clock, budget=self._budget, jitter=self.jitter)

    def cold(self, watch: Watch | None = None) -> Snapshots:
        """The rules in an execution environment that has just started."""
        return Snapshots(self.table, watch=watch, clock=self.clock, jitter=self.jitter)

    def start_session(self, subject: str, session_id: str, **members: Any) -> Session:
        """Start a session now."""
        session = start(subject=subject, session_id=session_id, now=int(self.clock()), client_id="web",
                        **{"orgs": ("o",), "admin": False, "attributes": {"plan": "pro"}, **members})  # fmt: skip
        self.sessions.start(session)
        return session
