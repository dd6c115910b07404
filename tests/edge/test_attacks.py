"""Attacks that need a failing dependency, or an event that no gateway made: T25, T26, P59.

The identity provider has its own socket and can be shut down; the test controls the clock, since keys are fetched again
only after a minute.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fake_clock import FakeClock
from in_memory_gate import Environment, event
from reference_table import ReferenceTable

from headgate.store.port import Unavailable
from headgate.tokens.identity import IdentityVerifier
from headgate.tokens.issuers import parse_issuers

UNAVAILABLE = (503, "temporarily_unavailable")


class Provider:
    """An identity provider over HTTP that signs identity tokens of an admin."""

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
        """Stop answering."""
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


def started(provider: Provider) -> Environment:
    """New execution environments on an empty table, which admits admins: they know no keys of the provider."""
    trusted = [{"issuer": provider.issuer, "audience": ["web"], "algorithms": ["ES256"], "claims": {"admin": "admin"}}]
    identities = IdentityVerifier(parse_issuers(json.dumps(trusted)))
    return Environment(ReferenceTable(), FakeClock(), identities=identities)


def exchange(environment: Environment, identity: str) -> tuple[int, str | None]:
    """Status and OAuth error of an exchange; only a 503 says when to retry."""
    outcome = environment.asks("mint", identity)
    assert ("access_token" in outcome.body) == (outcome.status == 200)
    assert ("retry-after" in outcome.headers) == (outcome.status == 503)
    return outcome.status, outcome.body.get("error")


def test_t25_without_kms_an_exchange_is_503_and_nothing_is_issued(provider: Provider) -> None:
    """KMS throttles: no unsigned token is issued instead."""
    environment = started(provider)
    environment.kms.fault = Unavailable("ThrottlingException")
    assert exchange(environment, provider.token(environment.clock())) == UNAVAILABLE
    environment.kms.fault = None
    assert exchange(environment, provider.token(environment.clock())) == (200, None)


def test_t26_with_the_provider_down_a_known_key_is_accepted_and_an_unknown_one_is_503(provider: Provider) -> None:
    environment = started(provider)
    assert exchange(environment, provider.token(environment.clock())) == (200, None)
    provider.shut()
    environment.clock.advance(90)
    assert exchange(environment, provider.token(environment.clock())) == (200, None)
    assert exchange(environment, provider.token(environment.clock(), kid="two")) == UNAVAILABLE
    assert exchange(environment, provider.token(environment.clock())) == (200, None)


def test_t26_with_the_provider_down_at_a_cold_start_an_exchange_is_503(provider: Provider) -> None:
    """No key is known: unavailable, not refused. A text that is not an identity token is still refused."""
    provider.shut()
    environment = started(provider)
    assert exchange(environment, provider.token(environment.clock())) == UNAVAILABLE
    assert exchange(environment, "e30.e30.e30") == (400, "invalid_request")


@pytest.mark.parametrize("admin", [True, "true"])
def test_p59_a_forged_authorizer_context_is_not_a_credential(provider: Provider, admin: object) -> None:
    """Evaluate and the exchange get a forged event: they read only the token, and there is none."""
    environment = started(provider)
    forged = {"lambda": {"subject": "root", "admin": admin, "orgs": "[]", "credential": "access", "session": ""}}
    for key in ("POST /ofrep/v1/evaluate/flags", "POST /ofrep/v1/evaluate/flags/{key}"):
        assert environment.evaluate(event(key, **forged))["statusCode"] == 401
    answer = environment.token(event("POST /v1/service-token", **forged) | {"body": ""})
    assert answer["statusCode"] == 400
    assert "access_token" not in answer["body"]
