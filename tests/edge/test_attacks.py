"""Rows of the list of attacks that need a dependency to fail, or an event that no gateway made: T25, T26, P59.

The identity provider is on a socket of its own and can be shut; the clock is in hand, since keys are asked for again
only after a minute.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.edge.admission import Admission
from headgate.edge.credentials import Credentials
from headgate.edge.evaluate import Evaluate
from headgate.edge.exchange import TokenFunction
from headgate.edge.key_pool import KeyPool
from headgate.edge.oauth import GRANT, ID_TOKEN
from headgate.edge.settings import GateSettings
from headgate.store.port import Unavailable
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots
from headgate.tokens.identity import IdentityVerifier
from headgate.tokens.issuers import parse_issuers
from headgate.tokens.keys import LocalSigner

SETTINGS = GateSettings("t", ("key",), "headgate", "https://gate.example.com")
UNAVAILABLE = (503, "temporarily_unavailable")


class Kms(LocalSigner):
    """A key of the pool that signs as long as KMS answers."""

    answers = True

    def public_key(self) -> bytes:
        return self.public().key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        if not self.answers:
            raise Unavailable("ThrottlingException")
        return super().sign(message)


class Provider:
    """An identity provider over HTTP, and identity tokens of an admin that it has signed."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True) | {"kid": "one", "use": "sig"}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                base = f"http://127.0.0.1:{self.server.server_address[1]}"
                keys = {"keys": [jwk]} if self.path == "/jwks" else {"issuer": base, "jwks_uri": base + "/jwks"}
                body = json.dumps(keys).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def shut(self) -> None:
        """Nobody answers at its address any more."""
        self._server.shutdown()
        self._server.server_close()

    def token(self, now: float, kid: str = "one") -> str:
        """An identity token of an admin."""
        claims = {
            "iss": self.issuer,
            "sub": "root",
            "aud": "web",
            "iat": int(now),
            "exp": int(now) + 600,
            "admin": True,
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": kid})


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.shut()


class World:
    """The token function and evaluate, before an empty table: admins in."""

    def __init__(self, provider: Provider) -> None:
        self.clock, self.kms, table = FakeClock(), Kms("key"), ReferenceTable()
        self._provider, self._snapshots = provider, Snapshots(table, clock=self.clock)
        self._admission = Admission(self._snapshots, Sessions(table, clock=self.clock), clock=self.clock)
        self.keys = KeyPool((self.kms,), self._snapshots)
        self.start()

    def start(self) -> None:
        """A new execution environment of the token function: it knows no keys of the provider."""
        trusted = [{"issuer": self._provider.issuer, "audience": ["web"], "algorithms": ["ES256"]}]
        self.token = TokenFunction(
            settings=SETTINGS,
            keys=self.keys,
            credentials=Credentials(SETTINGS, self.keys),
            identities=IdentityVerifier(parse_issuers(json.dumps(trusted))),
            snapshots=self._snapshots,
            admission=self._admission,
            clock=self.clock,
        )

    def evaluate(self, event: dict[str, Any]) -> int:
        function = Evaluate(Credentials(SETTINGS, self.keys), self.keys, self._snapshots, clock=self.clock)
        return int(function(event)["statusCode"])

    def exchange(self, identity: str) -> tuple[int, str | None]:
        """Status and OAuth error of an exchange; a refusal for want of something says when to come again."""
        form = {"grant_type": GRANT, "subject_token_type": ID_TOKEN, "subject_token": identity}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = self.token(event("POST /v1/token", headers, urlencode(form)))
        body = json.loads(answer["body"])
        assert ("access_token" in body) == (answer["statusCode"] == 200)
        assert ("retry-after" in answer["headers"]) == (answer["statusCode"] == 503)
        return answer["statusCode"], body.get("error")


def event(route: str, headers: dict[str, str], body: str = "", **authorizer: Any) -> dict[str, Any]:
    context = {"routeKey": route, "domainName": "gate.example.com", "requestId": "r", "http": {}}
    return {"headers": headers, "body": body, "requestContext": {**context, "authorizer": authorizer}}


def test_t25_without_a_signature_there_is_no_token(provider: Provider) -> None:
    """KMS throttled or denied: 503 for everybody, and nothing unsigned instead."""
    world = World(provider)
    world.kms.answers = False
    assert world.exchange(provider.token(world.clock())) == UNAVAILABLE
    world.kms.answers = True
    assert world.exchange(provider.token(world.clock())) == (200, None)


def test_t26_a_provider_that_is_down_a_known_key_is_taken_an_unknown_one_unavailable(provider: Provider) -> None:
    world = World(provider)
    assert world.exchange(provider.token(world.clock())) == (200, None)
    provider.shut()
    world.clock.advance(90)
    assert world.exchange(provider.token(world.clock())) == (200, None)
    assert world.exchange(provider.token(world.clock(), kid="two")) == UNAVAILABLE
    assert world.exchange(provider.token(world.clock())) == (200, None)


def test_t26_a_provider_that_is_down_at_a_cold_start(provider: Provider) -> None:
    """No key is known: unavailable, not refused. What is no identity token at all is refused as ever."""
    provider.shut()
    world = World(provider)
    assert world.exchange(provider.token(world.clock())) == UNAVAILABLE
    assert world.exchange("e30.e30.e30") == (400, "invalid_request")


@pytest.mark.parametrize("admin", [True, "true"])
def test_p59_a_context_that_no_gateway_made_is_no_credential(provider: Provider, admin: object) -> None:
    """Evaluate and the exchange are called with a forged event: they look at the token, and there is none."""
    world = World(provider)
    forged = {"lambda": {"subject": "root", "admin": admin, "orgs": "[]", "credential": "access", "session": ""}}
    for key in ("POST /ofrep/v1/evaluate/flags", "POST /ofrep/v1/evaluate/flags/{key}"):
        assert world.evaluate(event(key, {}, "{}", **forged)) == 401
    answer = world.token(event("POST /v1/service-token", {}, **forged))
    assert answer["statusCode"] == 400
    assert "access_token" not in answer["body"]
