"""10,000 paths and methods against both templates: each is a declared route under its own authorisation, or 404.

The laptop mode's whole gateway answers, in this process; behind it stand functions that only write down that they were
called. What is right comes from the translated template and a matcher of its own (`deployed_routes`).
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from deployed_routes import EXAMPLE, IAM, OPEN, TEMPLATE, DeployedRoute, deployed_routes, fuzzed, route_for

from headgate_cli.local.gateway import Gateway
from headgate_cli.local.runtime import Outcome
from headgate_cli.local.template import load_template

REQUESTS = 10_000
CREDENTIALS = (None, "Bearer let-in", "Bearer keep-out")


@dataclass
class Noted:
    """Stands for every function's environment: notes the call; as the gate, lets one token in."""

    name: str
    calls: list[tuple[str, Mapping[str, Any]]] = field(repr=False)

    async def invoke(self, event: Mapping[str, Any]) -> Outcome:
        """See `Environment.invoke`."""
        self.calls.append((self.name, event))
        if "identitySource" in event:
            return Outcome({"isAuthorized": event["headers"]["authorization"] == "Bearer let-in"})
        return Outcome({"statusCode": 299, "body": self.name})


class Asked:
    """The gateway of both templates, asked without a socket."""

    def __init__(self) -> None:
        template = load_template(TEMPLATE, {}, [EXAMPLE])
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        environments = {name: Noted(name, self.calls) for name in template.functions}
        self.gate = template.authorizers["Gate"].function
        self.gateway = Gateway(template, environments, {}, "127.0.0.1:1")  # type: ignore[arg-type]

    async def ask(self, method: str, path: str, credential: str | None) -> tuple[int, bytes]:
        """Status and body; `calls` then holds who was called."""
        self.calls.clear()
        headers = [(b"host", b"127.0.0.1:1")] + ([(b"authorization", credential.encode())] if credential else [])
        said: list[Any] = []
        scope = {"method": method, "raw_path": path.encode("latin-1"), "query_string": b"", "headers": headers,
                 "http_version": "1.1", "client": ("127.0.0.1", 1)}  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        await self.gateway(scope, receive, send)
        return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])


@pytest.fixture(scope="module")
def routes() -> list[DeployedRoute]:
    return deployed_routes()


def expected(route: DeployedRoute | None, credential: str | None, gate: str) -> tuple[int, list[str]]:
    """The status, and which functions are called, in order."""
    if route is None:
        return 404, []
    if route.security == OPEN:
        return 299, [route.function]
    if route.security == IAM:
        return 403, []  # nobody signs here
    if credential is None:
        return 401, []
    return (299, [gate, route.function]) if credential == "Bearer let-in" else (403, [gate])


def cases(routes: list[DeployedRoute]) -> Iterator[tuple[str, str, str | None]]:
    for number, (method, path) in enumerate(fuzzed(20_240_601, REQUESTS, routes)):
        yield method, path, CREDENTIALS[number % len(CREDENTIALS)]


def test_each_is_a_declared_route_under_its_authorisation_or_404(routes: list[DeployedRoute]) -> None:
    asked, ended = Asked(), Counter[str]()

    async def every() -> None:
        for method, path, credential in cases(routes):
            route = route_for(routes, method, path)
            status, body = await asked.ask(method, path, credential)
            called = [name for name, _ in asked.calls]
            assert (status, called) == expected(route, credential, asked.gate), (method, path, credential)
            assert {event["routeKey"] for _, event in asked.calls} <= {route.key if route else None}
            if route is None:
                assert json.loads(body) == {"message": "Not Found"}
            elif called[-1:] == [route.function]:
                told = asked.calls[-1][1]["requestContext"].get("authorizer")
                assert (told is None) == (route.security == OPEN)
            ended[route.key if route else "404"] += 1

    asyncio.run(every())
    assert ended.total() == REQUESTS
    assert ended.keys() == {route.key for route in routes} | {"404"}
    assert REQUESTS * 0.2 < ended["404"] < REQUESTS * 0.9


def test_every_route_has_one_authorisation_and_one_reading(routes: list[DeployedRoute]) -> None:
    """No two routes could be meant by one address: which is fuller never decides who is asked."""
    assert {route.security for route in routes} == {OPEN, IAM, "Gate"}
    for method, path in fuzzed(7, 2_000, routes):
        assert sum(route.method == method and route.pattern.fullmatch(path) is not None for route in routes) <= 1
