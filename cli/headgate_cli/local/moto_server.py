"""Serves DynamoDB, KMS, and Secrets Manager with moto, and creates the tables, keys, and secrets that it is sent.

It runs as a process (`moto_server.py FD`) on a socket that the runner opened. The first line of its standard input is
the order, a line on its standard output says that all is created, and it exits when its standard input closes. It
answers one request at a time, in the event loop, because moto does not lock its writes (measured: 48 winners of 40 in a
race of transactions), and only what the order's access keys signed, because whoever may call KMS here can sign tokens.
It must not know Headgate.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from headgate_cli.local.addresses import port_of, url_of
from headgate_cli.local.sigv4 import Signable, SignatureRefused, sign, verify_signature
from headgate_cli.local.wire import Header, Receive, Scope, Send, answer_json, is_for_loopback, read_body, send_response

_TARGETS = {b"DynamoDB_20120810": "dynamodb", b"TrentService": "kms"}
"""The service that a request's X-Amz-Target names."""
_SECRETS = b"secretsmanager"
"""The target of Secrets Manager, which is loaded only if there are secrets."""

_READ = {b"authorization": "HTTP_AUTHORIZATION", b"x-amz-target": "HTTP_X_AMZ_TARGET", b"content-type": "CONTENT_TYPE"}
"""The only headers that moto reads."""

RARELY = 100_000
"""Collections of middle-aged objects before one of all. One of all takes 0.5 s with 100,000 items, too long to wait."""

TABLE_LIMIT = 20.0
"""The most seconds to wait for a table to become active."""


async def main() -> None:
    """Load moto, read the order, create what it names, serve until standard input closes."""
    from headgate_cli.local.serving import LocalServer
    from headgate_cli.local.transactions import serve_lean_transactions

    listener = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()  # faster imports
    serve_lean_transactions()  # before moto makes a backend
    moto = Moto()
    server = LocalServer([listener], {port_of(listener): moto})
    gc.set_threshold(*gc.get_threshold()[:2], RARELY)
    gc.enable()
    order = json.loads(sys.stdin.readline())
    moto.signers, moto.region = order.get("signers"), order["region"]
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    make_keys(order["keys"], order["account"], order["region"])
    if order["secrets"]:
        moto.serve(_SECRETS, "secretsmanager")
        make_secrets(order["secrets"], order["account"], order["region"])
    await server.start()
    await asyncio.to_thread(make_tables, order["tables"], order["dynamodb"] or url_of(listener), order["region"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


class Moto:
    """The ASGI application in front of moto's own (WSGI) applications.

    moto's server takes 1 ms per request to find the service, and another to read the headers; here both are lookups.
    `signers` are the access keys that it answers, by id; without any it answers every caller, as DynamoDB Local does.
    """

    def __init__(self) -> None:
        self.region = ""
        self.signers: Mapping[str, str] | None = None
        self._services: dict[bytes, tuple[str, Any]] = {}
        for prefix, name in _TARGETS.items():
            self.serve(prefix, name)

    def serve(self, prefix: bytes, name: str) -> None:
        """Load a service, for requests whose target starts with `prefix`."""
        from moto.moto_server.werkzeug_app import create_backend_app

        self._services[prefix] = name, create_backend_app(name)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, limit=None) or b""
        headers = dict(scope["headers"])
        name, service = self._services.get(headers.get(b"x-amz-target", b"").partition(b".")[0], ("", None))
        if service is None:
            await send_response(send, 404, [], b"")
            return
        if not self._accepts(scope, name, body):
            refusal = {"__type": "UnrecognizedClientException", "message": "not signed with a key of this run"}
            await answer_json(send, 400, refusal)
            return
        status, answer_headers, answer = _call(service, headers, body)
        await send_response(send, status, answer_headers, answer)

    def _accepts(self, scope: Scope, service: str, body: bytes) -> bool:
        if not is_for_loopback(scope["headers"]):
            return False
        if not self.signers:
            return True
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        request = Signable(scope["method"], scope["path"], "", headers, body)
        try:
            verify_signature(request, self.signers, region=self.region, now=datetime.now(UTC), service=service)
        except SignatureRefused:
            return False
        return True


def _call(service: Any, headers: dict[bytes, bytes], body: bytes) -> tuple[int, list[Header], bytes]:
    """Call a WSGI application synchronously, so that nothing else runs at the same time."""
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{_READ[name]: value.decode("latin-1") for name, value in headers.items() if name in _READ},
    }
    started: list[tuple[int, list[Header]]] = []

    def start_response(status: str, fields: list[tuple[str, str]], _: object = None) -> None:
        kept = [(name.lower().encode(), value.encode()) for name, value in fields if name.lower() != "content-length"]
        started.append((int(status[:3]), kept))

    answer = b"".join(service(environ, start_response))
    return *started[-1], answer


def make_keys(keys: Iterable[dict[str, str]], account: str, region: str) -> None:
    """Create KMS keys with ids that the runner chose, so that the functions can start before this server."""
    from moto.kms.models import kms_backends

    backend = kms_backends[account][region]
    for spec in keys:
        key = backend.create_key(None, spec["usage"], spec["spec"], "", None)
        del backend.keys[key.id]
        key.id, key.arn = spec["id"], key.arn.replace(key.id, spec["id"])
        backend.keys[key.id] = key


def make_secrets(secrets: Iterable[dict[str, str]], account: str, region: str) -> None:
    """Create secrets with ARNs that the runner chose."""
    from moto.secretsmanager.models import secretsmanager_backends

    backend = secretsmanager_backends[account][region]
    for spec in secrets:
        name = spec["arn"].rpartition(":")[2][:-7]  # without the six characters that AWS adds
        backend.create_secret(name, spec["text"], None, None, None, None, None, [], False)
        backend.secrets[name].arn = spec["arn"]


def make_tables(tables: Iterable[dict[str, Any]], endpoint: str, region: str) -> None:
    """Create the tables that the endpoint does not have yet, and wait until they are active.

    It does not use botocore, whose client would take a fifth of the start time. Raises RuntimeError, TimeoutError.
    """
    call = _Calls(endpoint, region)
    present = call("ListTables", {})["TableNames"]
    for table in tables:
        if table["name"] in present:
            continue
        call("CreateTable", {"TableName": table["name"], **table["definition"]})
        deadline = time.monotonic() + TABLE_LIMIT
        while call("DescribeTable", {"TableName": table["name"]})["Table"]["TableStatus"] != "ACTIVE":
            if time.monotonic() > deadline:
                raise TimeoutError(f"table {table['name']} does not become active")
            time.sleep(0.05)
        if table["ttl"]:
            ttl = {"Enabled": True, "AttributeName": table["ttl"]}
            call("UpdateTimeToLive", {"TableName": table["name"], "TimeToLiveSpecification": ttl})


class _Calls:
    """Calls DynamoDB on loopback, signed with the environment's key."""

    def __init__(self, endpoint: str, region: str) -> None:
        self._netloc, self._region = urlsplit(endpoint).netloc, region
        self._connection = http.client.HTTPConnection(self._netloc, timeout=10)

    def __call__(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(body).encode()
        headers = {
            "host": self._netloc,
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"DynamoDB_20120810.{operation}",
        }
        signature = sign(
            Signable("POST", "/", "", tuple(headers.items()), text),
            key_id=os.environ["AWS_ACCESS_KEY_ID"],
            secret=os.environ["AWS_SECRET_ACCESS_KEY"],
            region=self._region,
            now=datetime.now(UTC),
            service="dynamodb",
        )
        self._connection.request("POST", "/", text, {**headers, **signature})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"DynamoDB {operation}: {response.status} {answer[:300]!r}")
        found: dict[str, Any] = json.loads(answer)
        return found


def _end_with_the_runner() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.modules["awscrt"] = None  # type: ignore[assignment]  # not needed; importing it takes 130 ms
    try:
        asyncio.run(main())
    except (OSError, RuntimeError) as error:  # TimeoutError is an OSError
        sys.exit(f"DynamoDB and KMS: {error}")
