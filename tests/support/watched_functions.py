"""What the real functions write to their logs when all goes well, when something is wrong, and under an emergency kill.

Read the metrics of these lines with `points`.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
import jwt
from in_memory_gate import ADMIN, Environment, InMemoryGate, Kms, event
from moto_child import running_dynamodb
from reference_table import Fault as StoreFault
from reference_table import always, clear
from stand import ROOT, Stand, load_handler
from tcp_proxy import Fault, FaultyProxy

from headgate.edge.checkpoint import keep_checkpoint
from headgate.edge.legacy import HeldSecret, LegacyTokens
from headgate.edge.oauth import ACCESS_TOKEN, GRANT, SESSION_TOKEN
from headgate.store.port import Unavailable
from headgate.tokens.identity import Identity
from headgate.tokens.legacy import LegacyVerifier
from headgate.tokens.legacy_issuer import LegacyIssuer
from headgate.tokens.refusals import TokenRefused

KILL = "POST /admin/v1/flags/{key}/kill"
MEASURE = {"headgate": "measure"}
HOT = ("token.exchange", "evaluate.single", "authorizer.entry")
Line = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One value of a metric."""

    namespace: str
    name: str
    unit: str
    dimensions: frozenset[tuple[str, str]]
    value: float


def points(lines: list[Line]) -> Iterator[Point]:
    """Every value that CloudWatch would read from these lines."""
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            for metric in directive["Metrics"]:
                for names in directive["Dimensions"]:
                    dimensions = frozenset((name, line[name]) for name in names)
                    values = line[metric["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        yield Point(directive["Namespace"], metric["Name"], metric["Unit"], dimensions, value)


def lines_of_functions(identity: tuple[str, str]) -> list[Line]:
    """Drive every function through every event that has a metric. Changes this process's environment variables."""
    with contextlib.redirect_stdout(io.StringIO()) as said, running_dynamodb() as url:
        with contextlib.closing(FaultyProxy(url)) as proxy:
            stack = Stand(proxy.url, *identity)
            stack.renew()
            kill = _kill_function()
            _works(stack, kill)
            _is_refused(stack, kill)
            _spoil(url, os.environ["HEADGATE_TABLE"])
            _starts_again(stack)
            proxy.break_by(Fault.REFUSED)
            _is_sent(stack, *HOT, "admin.list-flags")
            kill(stack.event("kill.kill"), None)
            proxy.heal()
            stack.start()
            proxy.break_by(Fault.FAILING, only={"GetPublicKey", "Sign"})
            _is_sent(stack, *HOT)
        _in_process()
    return [json.loads(line) for line in said.getvalue().splitlines()]


def _kill_function() -> Any:
    os.environ["HEADGATE_ONLY_ROUTE"] = KILL
    try:
        return load_handler(ROOT / "functions" / "admin")
    finally:
        del os.environ["HEADGATE_ONLY_ROUTE"]


def _is_sent(stack: Stand, *names: str) -> None:
    for name in names:
        stack.replay(name)


def _works(stack: Stand, kill: Any) -> None:
    _is_sent(stack, *HOT, "token.session", "token.jwks", "admin.checkpoint")
    assert kill(stack.event("kill.kill"), None)["statusCode"] == 200
    assert stack.handlers["admin"](MEASURE, None) is None
    assert kill(stack.event("kill.kill") | {"body": "{"}, None)["statusCode"] == 400
    stack.admin(KILL, {"reason": "by the admin function, which a laptop's stand has for both"}, key="gastown-access")


def _is_refused(stack: Stand, kill: Any) -> None:
    for name in HOT:
        sent = stack.event(name)
        sent["headers"]["authorization"] = "Bearer x.y.z"
        stack.handlers[name.partition(".")[0]](sent, None)
    _is_sent(stack, "token.garbled", "evaluate.unknown-flag")
    for function, name in ((stack.handlers["admin"], "admin.list-flags"), (kill, "kill.kill")):
        sent = stack.event(name)
        del sent["requestContext"]["authorizer"]
        assert function(sent, None)["statusCode"] == 403


def _spoil(url: str, table: str) -> None:
    """Make a stored flag unreadable, by a writer that is not Headgate."""
    session = botocore.session.get_session()
    session.set_credentials("local", "local")
    client: Any = session.create_client("dynamodb", region_name="us-east-1", endpoint_url=url)
    found = client.get_item(TableName=table, Key={"pk": {"S": "rules"}, "sk": {"S": "flag#gastown-pr-merge"}})["Item"]
    client.put_item(TableName=table, Item=found | {"body": {"S": '{"key": 7}'}})


def _starts_again(stack: Stand) -> None:
    """Cold environments, under an emergency kill, on a table with a flag that cannot be read."""
    os.environ["HEADGATE_EMERGENCY_KILL"] = "*"
    stack.start()
    del os.environ["HEADGATE_EMERGENCY_KILL"]
    _is_sent(stack, *HOT, "admin.list-flags")
    stack.handlers["admin"](MEASURE, None)


class Directory:
    """An identity provider whose users have too many orgs for a token."""

    def verify(self, token: str, now: float) -> Identity:
        orgs = tuple(f"org-{number:04}-{'x' * 40}" for number in range(200))
        return Identity(issuer="idp", user=token, admin=True, orgs=orgs, client_id="web", iat=int(now),
                        exp=int(now) + 600)  # fmt: skip


class Shelf:
    """A bucket that takes everything."""

    def put(self, name: str, content: bytes) -> None:
        assert name
        assert content.endswith(b"\n")


def _in_process() -> None:
    """What the functions on moto cannot be brought to: bugs, a later time, a legacy issuer."""
    gate = InMemoryGate()
    gate.operator().creates("access", stage="ga")
    faulty = Environment(gate.table, gate.clock)
    faulty.kms.fault = RuntimeError("a bug")
    for site in ("enter", "evaluate"):
        faulty.asks(site, ADMIN)
    faulty.sends("token", faulty._access_token(ADMIN))
    late = Environment(gate.table, gate.clock, watched=True)
    late.asks("evaluate", ADMIN)
    gate.clock.advance(20)
    gate.table.weather = always(StoreFault.LOST_REQUEST)
    late.asks("evaluate", ADMIN)
    gate.table.weather = clear
    many = Environment(gate.table, gate.clock, identities=Directory())
    many.asks("mint", "alice")
    keep_checkpoint(gate.table, lambda: Kms("audit"), Shelf(), issuer="https://gate.example.com", stack="local",
                    now=gate.clock())  # fmt: skip
    _reuses_a_session_token(gate, many)
    _uses_legacy_tokens(gate.clock())


def _reuses_a_session_token(gate: InMemoryGate, environment: Environment) -> None:
    def renewed(token: str) -> str:
        form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ACCESS_TOKEN,
                "requested_token_type": SESSION_TOKEN, "session_id": "town:1"}  # fmt: skip
        answer = environment.token(event("POST /v1/token", form=form))
        return str(json.loads(answer["body"]).get("access_token", ""))

    first = renewed(environment._access_token(ADMIN))
    renewed(first)
    gate.clock.advance(61)
    assert renewed(first) == ""


def _uses_legacy_tokens(now: float) -> None:
    def unreadable() -> str:
        raise Unavailable("AccessDeniedException")

    secret = "0123456789abcdef" * 4
    issuer = LegacyIssuer(version=3, accept_until=int(now) + 600, issued_before=int(now) + 600, user="user",
                          access="access", admin="admin")  # fmt: skip
    claims = {"user": "u", "version": 3, "access": True, "iat": int(now), "exp": int(now) + 300}
    LegacyTokens(LegacyVerifier(issuer, HeldSecret(lambda: secret)))(jwt.encode(claims, secret, "HS256"), now)
    with contextlib.suppress(TokenRefused):
        HeldSecret(unreadable)(now)
