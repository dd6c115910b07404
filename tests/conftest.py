"""Fixtures that more than one folder of tests uses."""

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import settings
from moto.server import ThreadedMotoServer
from proofs import EXAMPLES, PROFILE, Tally, table
from stand import Stand

TESTS = Path(__file__).parent

for name, examples in EXAMPLES.items():
    settings.register_profile(name, max_examples=examples, deadline=None, print_blob=True)
settings.load_profile(PROFILE)

SLOW = ("system", "store", "clients", "house", "cli", "edge", "template")
"""The folders whose files take longest. They are begun first, so that no worker ends with a long file of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow folders first; within a folder, the order stays."""
    ranks = {folder: rank for rank, folder in enumerate(SLOW)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(TESTS).parts[0], len(SLOW)))


@pytest.fixture(scope="module")
def admin_identity() -> Iterator[tuple[str, str]]:
    """An identity provider on loopback: its issuer, and an identity token of an admin."""
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
    claims = {"iss": issuer, "sub": "ada", "aud": "example", "iat": now, "exp": now + 600, "admin": True}
    yield issuer, jwt.encode(claims, key, algorithm="ES256", headers={"kid": "one"})
    server.shutdown()


@pytest.fixture(scope="module")
def stand(admin_identity: tuple[str, str]) -> Iterator[Stand]:
    """The functions before moto on a socket. The environment is put back afterwards."""
    before = dict(os.environ)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Stand(f"http://{host}:{port}", *admin_identity)
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Counts what a proof went through."""
    mark = request.node.get_closest_marker("proof")
    return Tally(mark.args[0], request.node.user_properties)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was proved."""
    called = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = list(table(report for report in called if report.when == "call"))
    if lines:
        terminalreporter.section("proofs")
        for line in lines:
            terminalreporter.line(line)
