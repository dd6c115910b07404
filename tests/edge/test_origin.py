"""Requests past the API's front are refused wherever nobody signed them, and by the gate."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from in_memory_gate import ADMIN, HOST, SETTINGS, Environment, InMemoryGate, event

from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.evaluate import Evaluate
from headgate.edge.key_pool import KeyPool
from headgate.edge.oauth import GRANT, ID_TOKEN
from headgate.edge.settings import gate_settings

OLD, NEW = "old-secret", "new-secret"
DIGESTS = tuple(sha256(secret.encode()).hexdigest() for secret in (NEW, OLD))
FORM = {"grant_type": GRANT, "subject_token": ADMIN, "subject_token_type": ID_TOKEN}
OPEN = {
    "exchange": ("token", "POST /v1/token", {"form": FORM}),
    "keys": ("token", "GET /.well-known/jwks.json", {}),
    "metadata": ("token", "GET /.well-known/oauth-authorization-server", {}),
    "evaluation": ("evaluate", "POST /ofrep/v1/evaluate/flags", {"token": ""}),
    "gate": ("authorizer", "GET /observe", {"token": ""}),
}
SIGNED = {"iam": {"userArn": "arn:aws:iam::123456789012:user/backend"}}


class Fronted:
    """An environment of each function behind a front with these digests."""

    def __init__(self, digests: tuple[str, ...]) -> None:
        gate = InMemoryGate()
        settings = replace(SETTINGS, origins=digests)
        plain = Environment(gate.table, gate.clock)
        rules = gate.cold()
        keys = KeyPool((plain.kms,), rules, clock=gate.clock)
        credentials = Credentials(settings, keys)
        self._token = plain._access_token(ADMIN)
        self._functions = {
            "token": replace(plain.token, settings=settings),
            "evaluate": Evaluate(credentials, keys, rules, clock=gate.clock),
            "authorizer": Authorizer(credentials, rules, clock=gate.clock),
        }

    def answers(self, door: str, **headers: str) -> int:
        function, route, how = OPEN[door]
        return self.sends(function, event(route, **{k: v or self._token for k, v in how.items()}), **headers)

    def sends(self, function: str, request: dict[str, Any], **headers: str) -> int:
        """The status; of the authorizer, 200 or 403."""
        request["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._functions[function](request)
        return answer["statusCode"] if "statusCode" in answer else 200 if answer["isAuthorized"] else 403


@pytest.mark.parametrize("door", OPEN)
def test_p58_requests_past_the_front_are_refused(door: str) -> None:
    fronted = Fronted(DIGESTS)
    refused = 401 if door == "evaluation" else 403
    assert fronted.answers(door) == fronted.answers(door, x_forwarded_host=HOST) == refused
    for wrong in ("", DIGESTS[0], f"{NEW},{NEW}", "\ud800"):
        assert fronted.answers(door, x_headgate_origin=wrong) == refused, wrong
    for secret in (NEW, OLD):
        assert fronted.answers(door, x_headgate_origin=secret) == 200
    assert Fronted(DIGESTS[:1]).answers(door, x_headgate_origin=OLD) == refused
    assert Fronted(()).answers(door) == 200, "without a front, nobody needs the header"


def test_p58_signed_requests_need_no_header() -> None:
    fronted = Fronted(DIGESTS)
    assert fronted.sends("token", event("POST /v1/service-token", **SIGNED)) == 200
    assert fronted.sends("token", event("POST /v1/service-token")) == 400


@pytest.mark.parametrize(("text", "read"), [("", ()), ("a", ("a",)), ("a,b", ("a", "b"))])
def test_digests_are_read_from_the_environment(text: str, read: tuple[str, ...]) -> None:
    variables = {"HEADGATE_TABLE": "t", "HEADGATE_SIGNING_KEYS": "k", "HEADGATE_AUDIENCE": "a"}
    assert gate_settings(variables | {"HEADGATE_ORIGIN_DIGESTS": text}).origins == read
