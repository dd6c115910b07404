"""Near-miss paths, undeclared methods, and headers that make claims: rows P51 to P58.

The path is sent byte for byte as written here. Anything but a declared route is API Gateway's 404, even with an admin's
token. No header changes what is requested.
"""

import socket
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from exact_http import ExactHttp
from running_gate import Answer, Gate, Person
from running_gate.gate import BULK

from headgate_cli.local.stack import Stack

TOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def gate(stack: Stack) -> Gate:
    return Gate(stack.ready, ExactHttp())


@pytest.fixture(scope="module")
def root(gate: Gate) -> Person:
    """An admin, whom no flag denies: a 404 is caused by the path alone."""
    return Person(admin=True)


@pytest.fixture(scope="module")
def token(gate: Gate, root: Person) -> str:
    return gate.access_token(root)


@pytest.fixture(autouse=True, scope="module")
def unchanged(gate: Gate) -> Iterator[None]:
    """No test in this file makes an audit entry or a town."""
    revision = gate.revision()
    yield
    assert gate.revision() == revision


def is_no_route(answer: Answer) -> bool:
    """API Gateway's own 404."""
    return answer.status == 404 and answer.json == {"message": "Not Found"}


OPEN, GATED, SIGNED = "/.well-known/jwks.json", "/api/towns", "/admin/v1/flags"
NEARLY: Mapping[str, str] = {
    "P51-a trailing slash": "{}/",
    "P51-two trailing slashes": "{}//",
    "P51-a leading slash": "/{}",
    "P51-a dot": "/.{}",
    "P51-dot segments": "/x/..{}",
    "P51-encoded dot segments": "/x/%2e%2e{}",
    "P51-a trailing dot": "{}/.",
    "P51-trailing dot segments": "{}/..",
    "P51-a parameter": "{};a=b",
    "P51-a path parameter with a token": "{};Authorization=x",
    "P53-a question mark": "{}%3Fx=1",
    "P53-a hash": "{}%23x",
    "P52-NUL": "{}%00",
    "P52-a blank": "{}%20",
    "P52-a line break": "{}%0A",
    "P52-a tab": "{}%09",
    "P52-overlong UTF-8": "{}%C0%AF",
    "P55-a stage": "/prod{}",
    "P55-the default stage": "/$default{}",
    "P55-a greedy proxy": "/{{proxy+}}{}",
}


@pytest.mark.parametrize("path", [OPEN, GATED, SIGNED])
@pytest.mark.parametrize("pattern", NEARLY.values(), ids=NEARLY)
def test_near_miss_path_is_404(gate: Gate, token: str, pattern: str, path: str) -> None:
    """Without a credential, with an admin's token, and signed by the admin."""
    address = pattern.format(path)
    assert is_no_route(gate.call("GET", address))
    assert is_no_route(gate.call("GET", address, token=token))
    assert is_no_route(gate.signed("GET", address))


CASES = ("/API/towns", "/api/Towns", "/Api/Towns", "/.WELL-KNOWN/jwks.json", "/OFREP/v1/evaluate/flags", "/V1/token",
         "/Admin/v1/flags", "/TRPC/gastown.listTowns")  # fmt: skip


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"P54-{path}")
def test_path_in_another_case_is_404(gate: Gate, token: str, path: str) -> None:
    for method in ("GET", "POST"):
        assert is_no_route(gate.call(method, path, token=token))


ENCODED = ("/%61pi/towns", "/api%2Ftowns", "/api/%74owns", "/v1/%74oken", "/.well-known%2Fjwks.json", "/%2e/api/towns",
           "/api/towns%2F", "/admin%2Fv1%2Fflags")  # fmt: skip


@pytest.mark.parametrize("path", ENCODED, ids=lambda path: f"P52-{path}")
def test_needlessly_encoded_path_is_404(gate: Gate, token: str, path: str) -> None:
    """A policy on paths would read it differently from a router that decodes first."""
    for method in ("GET", "POST"):
        assert is_no_route(gate.call(method, path, token=token))


METHODS = ("HEAD", "OPTIONS", "TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "get", "PROPFIND", "ANY")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"P57-{method}")
@pytest.mark.parametrize("path", [GATED, OPEN, BULK])
def test_undeclared_method_is_404(gate: Gate, token: str, method: str, path: str) -> None:
    """HEAD is not GET, OPTIONS without CORS reveals nothing, TRACE echoes nothing."""
    answer = gate.call(method, path, token=token)
    assert answer.status in (204, 400, 404, 405, 501)
    assert token.encode() not in answer.body
    assert b"towns" not in answer.body
    assert not any(name.startswith("access-control-") for name in answer.headers)


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_p57_preflight_from_an_unknown_origin_gets_no_cors_headers(gate: Gate, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    answer = gate.http.send("OPTIONS", gate.api + BULK, headers=asked)
    assert answer.status in (204, 404)
    assert "access-control-allow-origin" not in answer.headers


OVERRIDES: Mapping[str, Mapping[str, str]] = {
    "P56-X-HTTP-Method-Override": {"x-http-method-override": "DELETE"},
    "P56-X-HTTP-Method": {"x-http-method": "DELETE"},
    "P56-X-Method-Override": {"x-method-override": "POST"},
    "P56-X-Original-URL": {"x-original-url": "/admin/v1/flags"},
    "P56-X-Rewrite-URL": {"x-rewrite-url": "/admin/v1/flags"},
    "P56-X-Forwarded-Host": {"x-forwarded-host": "evil.example"},
    "P56-X-Forwarded-Prefix": {"x-forwarded-prefix": "/admin"},
    "P56-Forwarded": {"forwarded": "host=evil.example;proto=https"},
    "P56-X-Forwarded-For": {"x-forwarded-for": "10.0.0.1"},
    "P56-the authorizer's context": {"x-amzn-apigateway-authorizer": '{"admin":true}', "x-amzn-lambda-admin": "true"},
    "P56-a request context": {"x-amzn-request-context": '{"authorizer":{"lambda":{"admin":true}}}'},
    "P56-a trace id": {"x-amzn-trace-id": "Root=1-0-0;Sampled=1"},
    "P56-a route key": {"x-amzn-route-key": "GET /health"},
}


@pytest.mark.parametrize("headers", OVERRIDES.values(), ids=OVERRIDES)
def test_header_that_makes_claims_changes_nothing(gate: Gate, token: str, headers: Mapping[str, str]) -> None:
    """The same answers as without it: 401 without a token, the worker's own with one, and the configured issuer."""
    assert gate.call("GET", GATED, headers=headers).status == 401
    plain, claimed = gate.call("GET", GATED, token=token), gate.call("GET", GATED, token=token, headers=headers)
    assert (claimed.status, claimed.body) == (plain.status, plain.body) == (200, b'{"towns":[]}')
    metadata = gate.call("GET", "/.well-known/oauth-authorization-server", headers=headers)
    assert metadata.json["issuer"] == gate.ready["issuer"]


def test_p56_unknown_host_is_refused(gate: Gate) -> None:
    """It does not change the issuer either."""
    for host in ("evil.example", "169.254.169.254", "127.0.0.1.evil.example"):
        answer = gate.http.send("GET", gate.api + "/.well-known/oauth-authorization-server", headers={"host": host})
        assert answer.status == 403
        assert b"issuer" not in answer.body


BATCHES: Mapping[str, str] = {
    "Z49-an empty name": "gastown.listTowns,",
    "Z49-an empty name first": ",gastown.listTowns",
    "Z49-nothing but a comma": ",",
    "Z49-21 procedures": ",".join(f"gastown.p{i}" for i in range(21)),
    "Z49-21 times one": ",".join(["gastown.listTowns"] * 21),
}


@pytest.mark.parametrize("names", BATCHES.values(), ids=BATCHES)
def test_malformed_batch_is_denied(gate: Gate, token: str, names: str) -> None:
    """The gate denies it to admins too: it names nothing that can be decided."""
    for method in ("GET", "POST"):
        answer = gate.call(method, f"/trpc/{names}?batch=1", token=token)
        assert (answer.status, answer.json) == (403, {"message": "Forbidden"})


def test_z49_batch_needs_what_its_strictest_procedure_needs(gate: Gate, token: str, root: Person) -> None:
    """A session token may observe but not start. An encoded comma is a comma."""
    session = gate.session_token(token, "town:batch")
    assert gate.call("GET", "/trpc/gastown.listTowns", token=session).status == 200
    for names in (
        "gastown.listTowns,gastown.sling",
        "gastown.sling,gastown.listTowns",
        "gastown.listTowns%2Cgastown.sling",
    ):
        assert gate.call("POST", f"/trpc/{names}", token=session, body={}).status == 403


PARAMETERS = (
    "..%2F..%2Fadmin",
    "%00",
    "%0d%0aX-Injected:%201",
    "%C0%AE%C0%AE",
    "%FF%FE",
    "'%20OR%201=1%20--",
    "x" * 4_000,
    "%7B%7D",
    "TOWN%23x",
    f"{TOWN}%00",
    f"{TOWN}%2Fstatus",
)


@pytest.mark.parametrize("name", PARAMETERS, ids=lambda name: f"P52-{name[:16]}")
def test_unknown_or_malformed_town_is_404(gate: Gate, token: str, name: str) -> None:
    """It passes the gate and names nobody's town: 404, never a server error, never another subject's town."""
    for path in (f"/api/towns/{name}", f"/api/towns/{name}/status"):
        answer = gate.call("GET", path, token=token)
        assert (answer.status, answer.slug) == (404, "not-found")
        assert "x-injected" not in answer.headers
    assert gate.call("POST", f"/api/users/{name}/towns", token=token, body={}).status == 403


RAW: Mapping[str, bytes] = {
    "P53-a blank in the path": b"GET /api/towns x HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "P51-a missing slash": b"GET api/towns HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "P51-an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "P58-an absolute URL": b"GET http://evil.example/api/towns HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "P56-two hosts": b"GET /api/towns HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n",
    "P56-no host": b"GET /api/towns HTTP/1.1\r\n\r\n",
    "P56-two lengths": (
        b"POST /v1/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello"
    ),
    "P56-length and chunks": (
        b"POST /v1/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "P56-a negative length": b"POST /v1/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n",
    "P56-a malformed length": b"POST /v1/token HTTP/1.1\r\nHost: {host}\r\nContent-Length: x\r\n\r\n",
    "P56-a folded header": b"GET /api/towns HTTP/1.1\r\nHost: {host}\r\nAuthorization:\r\n Bearer x\r\n\r\n",
    "P56-NUL in a header": b"GET /api/towns HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer \0\r\n\r\n",
    "P57-no method": b" /api/towns HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "P57-not HTTP": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", RAW.values(), ids=RAW)
def test_malformed_http_request_does_not_break_the_server(gate: Gate, request_bytes: bytes) -> None:
    """Refused or disconnected; the next request, on its own connection, is answered."""
    address = urlsplit(gate.api)
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(request_bytes.replace(b"{host}", address.netloc.encode()))
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0
    assert status == 0 or 400 <= status < 500, answer[:300]
    assert gate.call("GET", OPEN).status == 200
