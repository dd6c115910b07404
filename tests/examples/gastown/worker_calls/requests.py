"""Callers, events and replies, as API Gateway has them. It must not know what the worker does."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

REVISION = 12


@dataclass(frozen=True)
class Person:
    """Somebody whom the gate let through: what it would say of them."""

    name: str
    orgs: tuple[str, ...] = ()
    admin: bool = False
    entitlements: tuple[str, ...] = ("gastown-access",)
    session: str = ""
    revision: int = REVISION

    def context(self, route_class: str, asks: dict[str, bool]) -> dict[str, Any]:
        """The authorizer's context: scalars only."""
        return {
            "subject": self.name,
            "orgs": json.dumps(self.orgs),
            "admin": self.admin,
            "entitlements": json.dumps(() if self.session else self.entitlements),
            "asks": json.dumps(asks),
            "reason": "ADMIN" if self.admin else "ALLOWLIST",
            "revision": self.revision,
            "session": self.session,
            "class": route_class,
            "credential": "session" if self.session else "access",
            "stale": False,
        }

    def within(self, town: str) -> "Person":
        """The same subject by a session token of that town."""
        return Person(self.name, self.orgs, self.admin, session=f"town:{town}", revision=self.revision)


def make_event(
    person: Person, key: str, named: dict[str, str], *,
    body: Any = None, asks: dict[str, bool] | None = None, query: dict[str, str] | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A payload 2.0 event as API Gateway sends it. `key` is the route key; text bodies are sent as they are."""
    method, _, path = key.partition(" ")
    for name, value in named.items():
        path = path.replace(f"{{{name}}}", value)
    text = body if isinstance(body, str | None) else json.dumps(body)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": "Bearer not.read.here", "content-type": "application/json"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "authorizer": {"lambda": person.context("entry", asks or {})},
            "domainName": "127.0.0.1",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t"},
            "requestId": str(uuid.uuid4()),
            "routeKey": key,
            "stage": "$default",
            "time": "20/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795176000000,
        },
        "isBase64Encoded": False,
    }
    optional = {"pathParameters": named or None, "queryStringParameters": query, "body": text}
    return event | {name: value for name, value in optional.items() if value is not None} | more


@dataclass(frozen=True)
class Reply:
    """A response, its body read."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def slug(self) -> str:
        """The kind of problem, or ""."""
        return str(self.body.get("type", "")).removeprefix("urn:headgate:") if isinstance(self.body, dict) else ""


def read(answer: dict[str, Any]) -> Reply:
    """Read a Lambda answer as API Gateway would, and hold it to what every answer has."""
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    assert answer.get("isBase64Encoded", False) is False
    kind = "application/problem+json" if answer["statusCode"] >= 400 else "application/json"
    body = json.loads(answer["body"])
    if isinstance(body, dict) and "type" in body:
        assert headers["content-type"] == kind
        assert body["status"] == answer["statusCode"]
    assert headers["cache-control"] == "no-store"
    json.dumps(answer)  # Lambda would
    return Reply(int(answer["statusCode"]), headers, body)
