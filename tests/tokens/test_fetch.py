"""Fetching over real sockets: limits, redirects, and a provider that is slow, oversized, broken, or unreachable."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from token_forge.own import NOW
from token_forge.provider import CLAIMS, CLIENT, HEADER, ec_jwk, rsa_jwk, sign, text

from headgate.tokens.fetch import Document, FetchFailed, fetch
from headgate.tokens.identity import IdentityUnavailable, IdentityVerifier
from headgate.tokens.issuers import parse_issuers
from headgate.tokens.refusals import RefusalCode, TokenRefused

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """A real server with answers by path; it records requests and their headers."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


def serve(site: Site) -> ThreadingHTTPServer:
    """Start one on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.headers.append({name.lower(): value for name, value in self.headers.items()})
            site.answers.get(self.path, plain(404, b"{}"))(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    server = serve(made)
    yield made
    made.over.set()
    server.shutdown()
    server.server_close()


def plain(status: int, body: bytes, **headers: str) -> Answer:
    """A complete answer."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        sent = {"content-type": "application/json", "content-length": str(len(body))}
        request.send_response(status)
        for name, value in (sent | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def drip(site: Site, first: bytes, piece: bytes) -> Answer:
    """Send some bytes at once, then a few every tenth of a second until the client disconnects."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        try:
            request.wfile.write(first)
            while not site.over.wait(0.1):
                request.wfile.write(piece)
        except OSError:
            pass

    return answer


def test_a_document_is_returned_with_its_max_age(site: Site) -> None:
    site.answers["/a?x=1"] = plain(200, b'{"a":1}', cache_control="public, max-age=600, must-revalidate")
    assert fetch(f"{site.url}/a?x=1") == Document(b'{"a":1}', 600)
    assert site.headers[0]["accept"] == "application/json"
    assert site.headers[0]["user-agent"].startswith("headgate/")
    assert not {"cookie", "authorization"} & site.headers[0].keys()


@pytest.mark.parametrize(
    ("control", "age"),
    [("", None), ("no-store", None), ("max-age=0", 0), ("s-maxage=9", None), ("MAX-AGE=7", 7), ("max-age=x", None)],
)
def test_max_age_is_read_from_cache_control(site: Site, control: str, age: int | None) -> None:
    site.answers["/"] = plain(200, b"{}", cache_control=control)
    assert fetch(site.url).max_age == age


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/jwk-set+json", "APPLICATION/JSON"])
def test_json_media_types_are_accepted(site: Site, kind: str) -> None:
    site.answers["/"] = plain(200, b"{}", content_type=kind)
    assert fetch(f"{site.url}/").body == b"{}"


def test_a_chunked_document_is_read(site: Site) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.send_header("transfer-encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")

    site.answers["/"] = answer
    assert fetch(site.url).body == b"{}"


def refused(url: str) -> str:
    """Why the fetch failed."""
    with pytest.raises(FetchFailed) as caught:
        fetch(url)
    return str(caught.value)


def test_an_invalid_response_fails_with_its_reason(site: Site) -> None:
    site.answers |= {
        "/html": plain(200, b"<html>", content_type="text/html"),
        "/none": plain(200, b"{}", content_type=""),
        "/gone": plain(404, b"{}"),
        "/busy": plain(503, b"{}"),
        "/empty": plain(204, b""),
        "/short": plain(200, b"{}", content_length="9"),
        "/large": plain(200, b" " * 262_145),
        "/lies": plain(200, b" " * 300_000, content_length=""),
        "/junk": lambda request: request.wfile.write(b"hello\r\n\r\n") and None,
        "/nothing": lambda request: request.close_connection and None,
        "/long": lambda request: request.wfile.write(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\n\r\n") and None,
    }
    assert {path: refused(site.url + path) for path in site.answers} == {
        "/html": "not a JSON document",
        "/none": "not a JSON document",
        "/gone": "status 404",
        "/busy": "status 503",
        "/empty": "status 204",
        "/short": "cut short",
        "/large": "too large",
        "/lies": "too large",
        "/junk": "BadStatusLine",
        "/nothing": "RemoteDisconnected",
        "/long": "LineTooLong",
    }


def test_a_document_of_exactly_the_size_limit_is_read(site: Site) -> None:
    site.answers["/"] = plain(200, b" " * 262_144)
    assert len(fetch(site.url).body) == 262_144


def test_a_slow_sender_is_cut_off_at_the_deadline(site: Site) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    site.answers |= {
        "/silent": drip(site, b"", b""),
        "/headers": drip(site, head, b"x: y\r\n"),
        "/body": drip(site, head + b"content-length: 200000\r\n\r\n", b" "),
        "/endless": drip(site, head + b"\r\n", b" "),
    }
    started = time.monotonic()
    with ThreadPoolExecutor() as pool:
        reasons = list(pool.map(refused, [site.url + path for path in site.answers]))
    assert reasons == ["TimeoutError"] * 4
    assert time.monotonic() - started < 10  # 2 s on an idle machine


def test_a_refused_connection_and_an_unknown_host_fail() -> None:
    with socket.socket() as held:  # bound, so that no other process takes the port, but not listening
        held.bind(("127.0.0.1", 0))
        assert refused(f"http://127.0.0.1:{held.getsockname()[1]}/") == "ConnectionRefusedError"
    assert refused("http://name.invalid/") == "gaierror"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed(site: Site, status: int) -> None:
    site.answers |= {
        "/a": plain(status, b"", location="/b"),
        "/b": plain(308, b"", location=f"{site.url}/c"),
        "/c": plain(200, b"{}"),
    }
    assert fetch(f"{site.url}/a").body == b"{}"
    site.answers["/c"] = plain(302, b"", location="/d")
    assert refused(f"{site.url}/a") == "too many redirects"


def test_a_redirect_to_another_origin_is_not_followed(site: Site) -> None:
    other = Site()
    server = serve(other)
    try:
        port = site.url.rpartition(":")[2]
        for target in (
            f"{other.url}/keys",
            "https://evil.example/keys",
            "//evil.example/keys",
            f"https://127.0.0.1:{port}/",
            f"http://localhost:{port}/",
            "file:///etc/passwd",
            "http://[::1",
            "http://127.0.0.1:99999/",
        ):
            site.answers["/"] = plain(302, b"", location=target)
            assert refused(f"{site.url}/") in (
                "redirected to another origin",
                "redirected to an invalid URL",
                "not a URL",
            )
        assert other.asked == []
    finally:
        server.shutdown()
        server.server_close()


def test_a_redirect_without_a_usable_location_fails(site: Site) -> None:
    site.answers["/"] = plain(302, b"")
    assert refused(f"{site.url}/") == "too many redirects"


def test_a_redirect_cannot_inject_a_header(site: Site) -> None:
    site.answers["/"] = plain(302, b"", location="/x y")
    assert refused(f"{site.url}/") == "InvalidURL"
    assert site.asked == ["/"]


def issuer_of(site: Site, **over: object) -> IdentityVerifier:
    """A verifier as an operator configures it, with the real fetch."""
    return IdentityVerifier(parse_issuers(json.dumps([{"issuer": site.url, "audience": [CLIENT]} | over])))


def token_of(site: Site, kid: str = "ec-1") -> str:
    """An identity token of the site's provider."""
    return sign(text(HEADER | {"kid": kid}), text(CLAIMS | {"iss": site.url}))


def publish(site: Site) -> None:
    """Serve discovery and keys."""
    configuration = {"issuer": site.url, "jwks_uri": f"{site.url}/keys"}
    site.answers["/.well-known/openid-configuration"] = plain(200, json.dumps(configuration).encode())
    site.answers["/keys"] = plain(200, json.dumps({"keys": [rsa_jwk(), ec_jwk()]}).encode())


def test_t20_t26_an_identity_token_is_verified_with_keys_fetched_over_http(site: Site) -> None:
    gate = issuer_of(site)
    with pytest.raises(IdentityUnavailable):
        gate.verify(token_of(site), NOW)
    publish(site)
    assert gate.verify(token_of(site), NOW + 5).user == "alice"
    assert site.asked == ["/.well-known/openid-configuration"] * 2 + ["/keys"]
    for n in range(200):
        with pytest.raises(TokenRefused) as caught:
            gate.verify(token_of(site, f"unknown-{n}"), NOW + 6)
        assert caught.value.code is RefusalCode.UNKNOWN_KEY
    assert len(site.asked) == 3
    site.answers.clear()
    assert gate.verify(token_of(site), NOW + 400).user == "alice"
    with pytest.raises(IdentityUnavailable):
        gate.verify(token_of(site, "unknown"), NOW + 400)


def test_t18_a_key_url_in_a_token_is_never_fetched(site: Site) -> None:
    publish(site)
    site.answers["/evil"] = site.answers["/keys"]
    gate = issuer_of(site, jwks_uri=f"{site.url}/keys")
    for pointer in ("jku", "x5u"):
        token = sign(text(HEADER | {pointer: f"{site.url}/evil"}), text(CLAIMS | {"iss": site.url}))
        with pytest.raises(TokenRefused):
            gate.verify(token, NOW)
    assert site.asked == []
