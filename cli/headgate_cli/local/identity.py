"""Decides what the dev identity provider says of a person: whatever the form says. It exists only in the laptop mode.

It is a real provider to whoever verifies: a key of its own made at start, a discovery document, a JWKS, signed identity
tokens. It must not know Headgate's flags or tokens.
Source: OpenID Connect Core 1.0 §2 (ID token), OpenID Connect Discovery 1.0 §3, RFC 7517 (JWKS).
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

_PAGE = Path(__file__).with_name("page.html")
"""A page to play with: sign in as anybody, see the token, the flags and the worker's answer."""

_LIFETIME = 7200
"""Seconds that an identity token lives."""

_OWN = frozenset({"iss", "aud", "exp", "iat", "jti", "nbf"})


class IdentityProvider:
    """The provider behind one URL, with one ES256 key.

    `api` is where its page exchanges the tokens, `worker` the path of a guarded GET route that it shows.
    """

    def __init__(self, issuer: str, audience: str, api: str, worker: str = "/") -> None:
        self.issuer = issuer
        self._api, self._worker = api, worker
        self._audience = audience
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = uuid.uuid4().hex
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/token", self._token, methods=["POST"]),
                Route("/.well-known/openid-configuration", self._configuration),
                Route("/jwks", self._jwks),
            ],
            # a web page that rebinds its own name to loopback must not sign anybody in
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        )

    def id_token(self, claims: dict[str, Any]) -> str:
        """A signed identity token with these claims and its own `iss aud iat exp jti`."""
        now = int(time.time())
        own = {"iss": self.issuer, "aud": self._audience, "iat": now, "exp": now + _LIFETIME, "jti": uuid.uuid4().hex}
        return jwt.encode({**claims, **own}, self._key, algorithm="ES256", headers={"kid": self._kid})

    async def _token(self, request: Request) -> Response:
        fields: dict[str, str] = {}
        async with request.form() as form:
            for name, value in form.multi_items():
                if name in fields or not isinstance(value, str):
                    return _refusal(f"{name} is given twice or is a file")
                fields[name] = value
        if not fields.get("sub"):
            return _refusal("sub is required")
        if _OWN & set(fields):
            return _refusal(f"{min(_OWN & set(fields))} is the provider's own claim")
        return JSONResponse({"id_token": self.id_token(_claims(fields))}, headers={"cache-control": "no-store"})

    async def _page(self, _: Request) -> Response:
        html = _PAGE.read_text(encoding="utf-8").replace("__API__", self._api).replace("__WORKER__", self._worker)
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self' {self._api}"
        )
        return HTMLResponse(html, headers={"content-security-policy": policy, "x-frame-options": "DENY"})

    async def _configuration(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/jwks",
                "token_endpoint": f"{self.issuer}/token",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }
        )

    async def _jwks(self, _: Request) -> Response:
        key = json.loads(ECAlgorithm.to_jwk(self._key.public_key()))
        return JSONResponse({"keys": [{**key, "kid": self._kid, "alg": "ES256", "use": "sig"}]})


def _claims(fields: dict[str, str]) -> dict[str, Any]:
    """The form as claims: `orgs` a list, `admin` JSON true only for the text `true`, the rest as text."""
    claims: dict[str, Any] = {name: value for name, value in fields.items() if name not in ("orgs", "admin")}
    orgs = [org.strip() for org in fields.get("orgs", "").split(",") if org.strip()]
    if orgs:
        claims["orgs"] = orgs
    if fields.get("admin") == "true":
        claims["admin"] = True
    return claims


def _refusal(text: str) -> Response:
    return JSONResponse({"error": "invalid_request", "error_description": text}, status_code=400)
