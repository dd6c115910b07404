"""Attacks that need a failing dependency, or an event that no gateway made: T25, T26, P59.

The identity provider has its own socket and can be shut down; the test controls the clock, since keys are fetched again
only after a minute.
"""

import json
from collections.abc import Iterator

import pytest
from fake_clock import FakeClock
from identity_site import Provider
from in_memory_gate import Environment, event
from reference_table import ReferenceTable

from headgate.store.port import Unavailable
from headgate.tokens.identity import IdentityVerifier
from headgate.tokens.issuers import parse_issuers

UNAVAILABLE = (503, "temporarily_unavailable")


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


def admin_token(provider: Provider, environment: Environment, kid: str = "one") -> str:
    """An identity token of an admin."""
    return provider.token(environment.clock(), kid, sub="root", aud="web", admin=True)


def started(provider: Provider) -> Environment:
    """New execution environments on an empty table, which admits admins: they know no keys of the provider."""
    trusted = [{"issuer": provider.base, "audience": ["web"], "algorithms": ["ES256"], "claims": {"admin": "admin"}}]
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
    assert exchange(environment, admin_token(provider, environment)) == UNAVAILABLE
    environment.kms.fault = None
    assert exchange(environment, admin_token(provider, environment)) == (200, None)


def test_t26_with_the_provider_down_a_known_key_is_accepted_and_an_unknown_one_is_503(provider: Provider) -> None:
    environment = started(provider)
    assert exchange(environment, admin_token(provider, environment)) == (200, None)
    provider.close()
    environment.clock.advance(90)
    assert exchange(environment, admin_token(provider, environment)) == (200, None)
    assert exchange(environment, admin_token(provider, environment, kid="two")) == UNAVAILABLE
    assert exchange(environment, admin_token(provider, environment)) == (200, None)


def test_t26_with_the_provider_down_at_a_cold_start_an_exchange_is_503(provider: Provider) -> None:
    """No key is known: unavailable, not refused. A text that is not an identity token is still refused."""
    provider.close()
    environment = started(provider)
    assert exchange(environment, admin_token(provider, environment)) == UNAVAILABLE
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
