"""The evaluate function of an in-memory gate behind a real socket, for clients that speak OFREP over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from in_memory_gate import SETTINGS, Environment, event

from headgate.tokens.claims import Kind
from headgate.tokens.issue import Grant, issue

ONE = "/ofrep/v1/evaluate/flags/"


def service_token(environment: Environment) -> str:
    """A token of a backend that names subjects."""
    grant = Grant(kind=Kind.SERVICE, issuer=SETTINGS.issuer, audience=SETTINGS.audience, subject="backend",
                  client_id="backend", lifetime=3_600, rev=1)  # fmt: skip
    return issue(environment.kms, grant, environment.clock())[0]


@contextmanager
def serving(environment: Environment) -> Iterator[str]:
    """The base URL. Requests for one flag only."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = event(f"POST {ONE}{{key}}", path={"key": self.path.removeprefix(ONE)})
            asked["headers"] = {name.lower(): value for name, value in self.headers.items()}
            asked["body"] = self.rfile.read(int(self.headers["content-length"])).decode()
            answer = environment.evaluate(asked)
            body = answer["body"].encode()
            self.send_response(answer["statusCode"])
            for name, value in (answer["headers"] | {"content-length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
