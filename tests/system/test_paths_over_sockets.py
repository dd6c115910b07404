"""Several hundred paths and methods sent byte for byte to a running stack: a declared route's own refusal, or 404.

`tests/local/test_path_fuzz.py` tests 10,000 in process; here a real HTTP server parses them first.
"""

import socket
from urllib.parse import urlsplit

from deployed_routes import IAM, OPEN, DeployedRoute, deployed_routes, fuzzed, route_for
from running_gate import Gate, Person

REQUESTS = 400
ENDS = frozenset("?#")
"""Characters that end a path."""


def status_of(api: str, method: str, path: str, token: str | None) -> tuple[int, bytes]:
    """The status and the body of one request on its own connection."""
    address = urlsplit(api)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address.netloc}", "Connection: close", "Content-Length: 0"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def is_http(method: str, path: str) -> bool:
    """Whether a request line can contain it. Otherwise any HTTP server answers 400."""
    printable = path.isascii() and path.isprintable() and " " not in path
    return method.isalpha() and method != "CONNECT" and path[:1] == "/" and printable and ENDS.isdisjoint(path)


def is_as_declared(route: DeployedRoute | None, method: str, status: int, body: bytes, *, token: bool) -> bool:
    """Whether the answer is this route's: the gateway's own refusal, or the function's answer."""
    gateways = body in (b'{"message": "Not Found"}', b'{"message": "Unauthorized"}', b'{"message": "Forbidden"}')
    if route is None:
        return status == 404 and (gateways or method == "HEAD")
    if route.security == OPEN:
        return not gateways and status < 500
    if route.security == IAM:
        return status == 403 and gateways
    return status < 500 and (status == 403 or not gateways) if token else (status, gateways) == (401, True)


def test_path_is_a_declared_route_or_404(gate: Gate) -> None:
    """Without a token, with an admin's, and with a forged one."""
    routes, admins = deployed_routes(), gate.access_token(Person(admin=True))
    tokens = (None, admins, admins[:-8] + "AAAAAAAA")
    readable = [asked for asked in fuzzed(11, REQUESTS * 2, routes) if is_http(*asked)][:REQUESTS]
    assert len(readable) == REQUESTS
    for number, (method, path) in enumerate(readable):
        token, route = tokens[number % 3], route_for(routes, method, path)
        status, body = status_of(gate.api, method, path, token)
        assert is_as_declared(route, method, status, body, token=token is not None), (
            method,
            path,
            number % 3,
            status,
            body,
        )
        if number % 3 == 2 and route is not None and route.security not in (OPEN, IAM):
            assert status == 403, (method, path)
