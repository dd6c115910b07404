"""An identity provider's public documents over HTTP, on loopback."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec


class Site:
    """Documents by path, behind a firewall that refuses what is not an ordinary client."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                document = site.documents.get(self.path) if self.headers.get("user-agent") else None
                body = json.dumps(document).encode()
                self.send_response(403 if document is None else 200)
                self.send_header("content-type", "application/json;charset=UTF-8")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class Provider(Site):
    """A provider with one key, `one`, that signs what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self._key = ec.generate_private_key(ec.SECP256R1())
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True) | {"kid": "one", "use": "sig"}
        self.documents = {
            "/.well-known/openid-configuration": {"issuer": self.base, "jwks_uri": self.base + "/jwks"},
            "/jwks": {"keys": [jwk]},
        }

    def token(self, now: float, kid: str = "one", **claims: object) -> str:
        """An identity token of this issuer that lives for ten minutes from `now`."""
        given = {"iss": self.base, "iat": int(now), "exp": int(now) + 600, **claims}
        return jwt.encode(given, self._key, algorithm="ES256", headers={"kid": kid})
