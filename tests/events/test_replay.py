"""Every file of events/ is given to the function that it names, as API Gateway would, and must get the known answer.

The functions run here with moto behind a real socket. Tokens are made at test time: a file says `${ID_TOKEN}` or
`${ACCESS_TOKEN}` where one belongs.
"""

import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any

import botocore.session
import jwt
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
KEYS = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        "BillingMode": "PAY_PER_REQUEST"}  # fmt: skip

ANSWERS: dict[str, Any] = {
    "token.exchange": (200, "access"),
    "token.evaluation": (200, "evaluate"),
    "token.session": (200, "session"),
    "token.garbled": (400, "invalid_request"),
    "token.service": (200, "service"),
    "token.jwks": (200, "ES256"),
    "token.metadata": (200, "https://gate.example.com"),
    "evaluate.single": (200, "TARGETING_MATCH"),
    "evaluate.bulk": (200, "gastown-molecules"),
    "evaluate.unknown-flag": (404, "FLAG_NOT_FOUND"),
    "evaluate.no-token": (401, "token"),
    "authorizer.entry": True,
    "authorizer.observe": True,
    "authorizer.batch": True,
    "authorizer.machine-with-access-token": False,
    "authorizer.garbled": False,
    "admin.list-flags": (200, "gastown-access"),
    "admin.show-flag": (200, '"version":1'),
    "admin.stage": (200, '"percent":25'),
    "admin.stage-unknown": (400, "urn:headgate:invalid-body"),
    "admin.allow": (200, '"added":2'),
    "admin.members": (200, '"counts"'),
    "admin.restore": (200, '"killed":null'),
    "admin.create": (201, "new-thing"),
    "admin.delete": (204, ""),
    "admin.routes": (200, "gastown.createTown"),
    "admin.export": (200, '"access":"gastown-access"'),
    "admin.plan": (200, '"action":"create"'),
    "admin.apply": (200, "another-thing"),
    "admin.explain": (200, "ADMIN_ONLY"),
    "admin.audit": (200, "routes.replace"),
    "admin.health": (200, '"status":"ok"'),
    "kill.kill": (200, '"reach":"gate"'),
    "kill.unknown-flag": (404, "urn:headgate:unknown-flag"),
}
"""Status and a telling part of the body; for the authorizer, whether it lets the request through."""

CHANGES = ("admin.stage", "admin.allow", "admin.restore", "admin.create", "admin.delete", "admin.apply", "kill.kill")
"""These leave the table changed: each starts from a fresh one, and so does what comes after it."""

Handler = Callable[[dict[str, Any], None], dict[str, Any]]


class Stand:
    """The functions on a fresh table, and the tokens to call them with."""

    def __init__(self, endpoint: str, issuer: str, id_token: str) -> None:
        session = botocore.session.get_session()
        session.set_credentials("local", "local")
        keys = session.create_client("kms", region_name="us-east-1", endpoint_url=endpoint)
        made = [keys.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY") for _ in range(3)]
        trusted = [{"issuer": issuer, "audience": ["example"], "algorithms": ["ES256"]}]
        self._tables = session.create_client("dynamodb", region_name="us-east-1", endpoint_url=endpoint)
        self._count = 0
        self.is_fresh = False
        self._environment = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1", "HEADGATE_AUDIENCE": "headgate",
            "HEADGATE_IDENTITY_ISSUERS": json.dumps(trusted),
            "HEADGATE_SIGNING_KEYS": ",".join(key["KeyMetadata"]["KeyId"] for key in made),
        }  # fmt: skip
        self._tokens = {"ID_TOKEN": id_token}

    def renew(self) -> None:
        """A fresh table with the reference manifest, the functions started anew, and an admin's access token."""
        self._count += 1
        self.is_fresh = True
        name = f"headgate-{self._count}"
        self._tables.create_table(TableName=name, **KEYS)
        os.environ.update(self._environment, HEADGATE_TABLE=name)
        self.handlers = {name: _handler(name) for name in ("token", "evaluate", "authorizer", "admin")}
        self.handlers["kill"] = self.handlers["admin"]
        manifest = yaml.safe_load((ROOT / "gastown.yaml").read_text())
        apply = json.loads((ROOT / "events/admin.apply.json").read_text())
        apply["body"] = json.dumps({**manifest, "reason": "for the test"})
        apply["headers"]["idempotency-key"] = "seed"
        assert self.handlers["admin"](apply, None)["statusCode"] == 200
        minted = self.replay("token.exchange")
        self._tokens["ACCESS_TOKEN"] = json.loads(minted["body"])["access_token"]

    def replay(self, name: str) -> dict[str, Any]:
        """What the function answers to the event."""
        text = (ROOT / "events" / f"{name}.json").read_text()
        escaped = Template(text.replace("$default", "$$default")).substitute(self._tokens)
        return self.handlers[name.partition(".")[0]](json.loads(escaped), None)


def _handler(name: str) -> Handler:
    spec = importlib.util.spec_from_file_location(f"{name}_app", ROOT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler


@pytest.fixture(scope="module")
def identity_provider() -> Iterator[tuple[str, str]]:
    """An issuer on loopback, and an identity token of an admin."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "one", "use": "sig"}

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            base = f"http://127.0.0.1:{self.server.server_address[1]}"
            discovery = {"issuer": base, "jwks_uri": base + "/jwks"}
            body = json.dumps({"keys": [jwk]} if self.path == "/jwks" else discovery).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    issuer = f"http://127.0.0.1:{server.server_address[1]}"
    now = int(time.time())
    claims = {"iss": issuer, "sub": "root", "aud": "example", "iat": now, "exp": now + 600, "admin": True}
    yield issuer, jwt.encode(claims, key, algorithm="ES256", headers={"kid": "one"})
    server.shutdown()


@pytest.fixture(scope="module")
def stand(identity_provider: tuple[str, str]) -> Iterator[Stand]:
    """moto on a socket, and the functions before it. The environment is put back afterwards."""
    before = dict(os.environ)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Stand(f"http://{host}:{port}", *identity_provider)
    server.stop()
    os.environ.clear()
    os.environ.update(before)


def test_every_function_has_events_and_every_event_an_answer() -> None:
    files = {path.stem for path in (ROOT / "events").glob("*.json")}
    assert {name for name in files if not name.startswith("worker.")} == set(ANSWERS)
    assert any(name.startswith("worker.") for name in files)


@pytest.mark.parametrize("name", ANSWERS)
def test_event(stand: Stand, name: str) -> None:
    if not stand.is_fresh:
        stand.renew()
    answer = stand.replay(name)
    stand.is_fresh = name not in CHANGES
    expected = ANSWERS[name]
    if isinstance(expected, bool):
        assert answer["isAuthorized"] is expected
        return
    status, part = expected
    assert answer["statusCode"] == status, answer["body"]
    assert part in answer["body"]


def test_no_event_holds_a_token() -> None:
    for path in (ROOT / "events").glob("*.json"):
        assert "eyJ" not in path.read_text(), path.name
