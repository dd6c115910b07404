"""A real HTTP server on loopback that verifies signatures, records requests, and sends prepared answers."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from command_line import run_here
from typer.testing import CliRunner, Result

from headgate_cli.local.sigv4 import Signable, SignatureRefused, verify_signature
from headgate_cli.main import app

KEY_ID, SECRET, REGION = "AKIATESTTESTTEST", "a-secret-that-must-never-be-printed", "eu-central-1"


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    signed_by: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Reply:
    """A prepared answer. `hang_up` closes the connection instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


Answerer = Callable[[Asked], Reply]
Issued = Callable[[str], ReadOnlyCredentials | None]
"""Maps an access key id to temporary credentials, or None."""


class Upstream:
    """The server: `on` sets the replies to one method and path, in order; the last one repeats."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: dict[str, list[Reply | Answerer]] = {}
        self.issued: Issued = lambda _: None
        self.url = ""

    def on(self, line: str, *replies: Reply | Answerer) -> None:
        self.replies[line] = list(replies)

    def lines(self) -> list[str]:
        return [request.line for request in self.asked]

    def reply(self, request: Asked) -> Reply:
        self.asked.append(request)
        if request.path.startswith("/admin/") and request.signed_by is None:
            return Reply(403, {"message": "Forbidden"})
        queue = self.replies.get(request.line)
        if not queue:
            return Reply(404, {"message": "Not Found"})
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return found(request) if callable(found) else found


def _signer(request: BaseHTTPRequestHandler, body: bytes, issued: Issued) -> str | None:
    if request.headers["x-amz-security-token"]:  # the laptop mode issues none, so its verifier accepts none
        return _temporary_signer(request, body, issued)
    path, _, query = request.path.partition("?")
    headers = tuple((name.lower(), value) for name, value in request.headers.items())
    signable = Signable(method=request.command, path=path, query=query, headers=headers, body=body)
    try:
        return verify_signature(signable, {KEY_ID: SECRET}, region=REGION, now=datetime.now(UTC))
    except SignatureRefused:
        return None


def _temporary_signer(request: BaseHTTPRequestHandler, body: bytes, issued: Issued) -> str | None:
    """Sign the request again with the credentials it names, and compare the signatures."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=(\w+)/\S+, SignedHeaders=(\S+), Signature=(\w+)", request.headers["authorization"]
    )
    credentials = issued(found[1]) if found else None
    if not found or not credentials or request.headers["x-amz-security-token"] != credentials.token:
        return None
    signed = {name: request.headers[name] for name in found[2].split(";")}
    url = f"http://{request.headers['host']}{request.path}"
    again = AWSRequest(method=request.command, url=url, headers=signed, data=body)
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(credentials, "execute-api", REGION)
    expected = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return found[1] if "x-amz-security-token" in signed and found[3] == expected else None


def _handler(upstream: Upstream) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes: a delayed ACK would hold the second for 40 ms

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            signed_by = _signer(self, body, upstream.issued)
            reply = upstream.reply(Asked(self.command, path, query, headers, body, signed_by))
            if reply.hang_up:
                self.close_connection = True
                return
            data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            data = b"" if reply.status == 204 else data
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(data)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # names that http.server calls

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    return Handler


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    found = Upstream()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Any) -> dict[str, str]:
    """An environment with the test's own credentials and no other AWS files."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "HEADGATE_"))}
    nowhere = str(tmp_path / "none")
    return {
        **inherited,
        "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


@pytest.fixture
def headgate(upstream: Upstream, environment: dict[str, str]) -> Run:
    """Run the command in this process, with no terminal."""
    return _runner(run_here, upstream, environment)


@pytest.fixture
def child(upstream: Upstream, environment: dict[str, str]) -> Run:
    """Run the command as a child process: for what needs a process of its own."""
    return _runner(_run_child, upstream, environment)


def _runner(way: Run, upstream: Upstream, environment: dict[str, str]) -> Run:
    def run(
        *args: str, env: dict[str, str] | None = None, stdin: str = "", api: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        given = {**environment, **({"HEADGATE_API": upstream.url} if api else {}), **(env or {})}
        done = way(args, given, stdin)
        assert SECRET not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def _run_child(args: Sequence[str], environment: dict[str, str], stdin: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "headgate_cli", *args]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, input=stdin, timeout=60, check=False
    )


@pytest.fixture
def invoke(upstream: Upstream, environment: dict[str, str]) -> Callable[..., Result]:
    """Run the command in this process, for tests that need no process of its own."""

    def run(*args: str, env: dict[str, str] | None = None, color: bool = False) -> Result:
        given: dict[str, str | None] = {**environment, "HEADGATE_API": upstream.url, **(env or {})}
        return CliRunner().invoke(app, list(args), env=given, color=color)

    return run


def flag_document(**changes: Any) -> dict[str, Any]:
    """A flag as the API returns it."""
    return {
        "key": "gastown-access", "description": "Gastown as a whole", "owner": "", "stage": "allowlist", "percent": 0,
        "unit": "user", "algorithm": "sha256-v1", "salt": "s4lt", "requires": [], "claim": "gastownAccess",
        "allow": {"users": ["alice"], "orgs": ["o1", "o2"], "rules": []}, "values": {"on": True, "off": False},
        "killed": None, "version": 7, "revision": 12, "updated_at": "2030-01-02T03:04:05.678Z",
        "updated_by": "arn:aws:iam::123456789012:user/anna", **changes,
    }  # fmt: skip


@pytest.fixture
def flag() -> Callable[..., dict[str, Any]]:
    return flag_document


@pytest.fixture
def reply() -> type[Reply]:
    return Reply
