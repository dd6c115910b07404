"""The admin API in process, on any table: one execution environment of the admin function and its callers."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from fake_clock import FakeClock

from headgate.edge.admin.call import Admin, handle
from headgate.openapi import SERVED
from headgate.store.port import Table
from headgate.store.record import Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots

POOL = ("key-1", "key-2", "key-3")


@dataclass(frozen=True)
class Reply:
    """The response that API Gateway would send."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(repr=False)

    @property
    def etag(self) -> str:
        """The ETag, for If-Match."""
        return self.headers["etag"]

    @property
    def slug(self) -> str | None:
        """The slug of a problem, or None."""
        kind = self.body.get("type") if isinstance(self.body, dict) else None
        return kind.removeprefix("urn:headgate:") if isinstance(kind, str) else None


@dataclass(frozen=True)
class Ask:
    """One request, which can be sent repeatedly; `idem` is its Idempotency-Key."""

    route: str
    body: Any = None
    path: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    idem: str | None = None
    caller: str = "ops"
    query: Mapping[str, str] = field(default_factory=dict)


class Desk:
    """One execution environment of the admin function. `budget` is in seconds."""

    numbers = count(1)

    def __init__(self, table: Table, clock: FakeClock, *, budget: float = 5.0,
                 jitter: Callable[[], float] = lambda: 0.5) -> None:  # fmt: skip
        self.admin = Admin(
            table=table,
            snapshots=Snapshots(table, clock=clock, jitter=jitter, as_stored=True),
            record=Record(table, budget=budget, clock=clock, pause=clock.pause, jitter=jitter),
            sessions=Sessions(table, clock=clock),
            pool=POOL,
            clock=clock,
            new_salt=lambda: "salt",
        )

    def answers(self, ask: Ask) -> Reply:
        """Send a request and return the answer."""
        response = handle(self.admin, SERVED, event(ask, f"request-{next(self.numbers)}"))
        text = response["body"]
        return Reply(response["statusCode"], json.loads(text) if text else None, response["headers"])

    def must(self, ask: Ask) -> Reply:
        """Send a request that must succeed."""
        reply = self.answers(ask)
        assert 200 <= reply.status < 300, (ask, reply)
        return reply


@contextmanager
def quiet() -> Iterator[None]:
    """Discard the functions' logs: hundreds of thousands of lines would hide a failure."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield


def event(ask: Ask, request_id: str) -> dict[str, Any]:
    """The event as API Gateway sends it: payload 2.0, AWS_IAM."""
    raw_path = re.sub(r"\{(\w+)\}", lambda name: ask.path[name[1]], ask.route.partition(" ")[2])
    headers = {"idempotency-key": ask.idem or request_id, **ask.headers}
    iam = {"userArn": f"arn:aws:iam::123456789012:role/{ask.caller}", "callerId": ask.caller}
    context = {"routeKey": ask.route, "requestId": request_id, "domainName": "gate.example.com",
               "authorizer": {"iam": iam}, "http": {"sourceIp": "192.0.2.7"}}  # fmt: skip
    body = None if ask.body is None else json.dumps(ask.body)
    return {"routeKey": ask.route, "rawPath": raw_path, "pathParameters": dict(ask.path), "headers": headers,
            "queryStringParameters": dict(ask.query), "requestContext": context, "body": body}  # fmt: skip
