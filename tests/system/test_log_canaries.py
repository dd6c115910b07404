"""Secret and personal strings sent through every route and failure: none appears in logs, metrics, or others' answers.

All function output (log lines and metrics are one stream) is searched for plain and encoded forms, and so is every
answer: a string may appear only where the contract returns it to its owner.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from canaries import Canaries
from deployed_routes import IAM, DeployedRoute, deployed_routes
from exact_http import ExactHttp
from moto_child import running_dynamodb
from proofs import many
from running_gate import Answer, Gate, Person
from running_gate.gate import ACCESS_TOKEN, GRANT, ID_TOKEN, SESSION_TOKEN
from tcp_proxy import Fault, FaultyProxy

from headgate_cli.local.stack import Stack, running_stack

FLAG = "canaries"
AT_LEAST = 50


@dataclass
class CanaryStack:
    """A stack of its own, the canaries, and every answer with the request that caused it."""

    stack: Stack
    gate: Gate
    proxy: FaultyProxy
    canaries: Canaries
    routes: list[DeployedRoute]
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    def new(self, name: str, form: str = "{}") -> str:
        """A new canary."""
        return self.canaries.new(name, form)

    def recorded(self, asked: str, answer: Answer) -> Answer:
        """Keep the answer for the search."""
        self.answers.append((asked, answer))
        return answer

    def logs(self) -> bytes:
        """All output of the functions."""
        return self.stack.logs.read_bytes()


@pytest.fixture(scope="module")
def canary_stack() -> Iterator[CanaryStack]:
    with (
        running_dynamodb() as url,
        contextlib.closing(FaultyProxy(url)) as proxy,
        running_stack(env={"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}) as stack,
    ):
        made = CanaryStack(stack, Gate(stack.ready, ExactHttp()), proxy, Canaries(), deployed_routes())
        prepare(made)
        yield made


def prepare(canary_stack: CanaryStack) -> None:
    """People, their tokens, the operators' keys, and rules with names in them: all are canaries."""
    gate, canaries, new = canary_stack.gate, canary_stack.canaries, canary_stack.new
    for role in ("admin", "editor", "viewer", "kill_operator", "auditor", "service"):
        canaries.watch(f"{role}: secret key", gate.ready[role]["secret_access_key"])
        canaries.watch(f"{role}: key id", gate.ready[role]["access_key_id"])
    ada = Person(new("user", "user-{}"), (new("org", "org-{}"),), admin=True, attributes=(("plan", new("plan")),))
    bob = Person(new("user outside", "user-{}"), (new("org outside", "org-{}"),))
    gate.create(FLAG, stage="allowlist", owner=new("owner", "{}@example.com"), description=new("description"),
                salt=new("salt"), allow={
                    "users": [new("listed user", "u-{}")], "orgs": [new("listed org", "o-{}")],
                    "rules": [{"clauses": [{"attribute": "plan", "op": "equals", "value": new("rule's value")}]}]},
                values={"on": new("value on"), "off": new("value off")}, reason=new("reason"))  # fmt: skip
    tokens = canary_stack.tokens
    tokens["identity"] = gate.id_token(ada)
    tokens["identity outside"] = gate.id_token(bob)
    tokens["access"] = gate.access_token(ada)
    tokens["session"] = gate.session_token(tokens["access"], new("session id", "town:{}"))
    tokens["evaluation"] = gate.evaluation_token(bob)
    tokens["service"] = gate.service_token()
    for name, token in tokens.items():
        canaries.watch(f"{name} token", token)
        canaries.watch(f"{name} token's claims", token.split(".")[1])


# -- requests


def headers(canary_stack: CanaryStack) -> dict[str, str]:
    """Headers that carry secrets or personal data."""
    new = canary_stack.new
    return {
        "cookie": new("cookie", "sid={}; theme=dark"),
        "user-agent": new("user agent", "browser/{}"),
        "referer": new("referer", "https://example.com/?q={}"),
        "x-forwarded-for": new("forwarded for"),
        "x-api-key": new("API key"),
        "x-amz-security-token": new("security token"),
        "x-request-id": new("request id"),
        new("header name", "x-{}"): "1",
        "if-none-match": new("if-none-match", '"{}"'),
        "accept-language": new("language"),
    }


def address(canary_stack: CanaryStack, route: DeployedRoute) -> str:
    """The route's path with a canary in each parameter, and a query of canaries."""
    filled = re.sub(r"\{([^}]+)\}", lambda found: quote(canary_stack.new(f"path: {found[1]}", "p-{}")), route.path)
    query = canary_stack.new("query", "{}@example.com")
    asked = {canary_stack.new("query name"): "1", "cursor": canary_stack.new("cursor"), "subject": query}
    return f"{filled}?{urlencode(asked)}"


def bodies(canary_stack: CanaryStack) -> Mapping[str, bytes]:
    """Nearly valid bodies: members that the routes know, truncated JSON, forms, bytes."""
    new = canary_stack.new
    known = {
        "reason": new("body: reason"), "subject": {
            "user": new("body: user"), "orgs": [new("body: org")], "admin": "yes",
            "attributes": {new("body: name"): new("body: value")}},
        "flag": new("body: flag"), "jti": new("body: jti"), "stage": new("body: stage"), "owner": new("body: owner"),
        "add": {"users": [new("body: listed", "{} @example.com")]}, "salt": new("body: salt"),
        "context": {"targetingKey": new("body: targeting key"), "email": new("body: e-mail", "{}@example.com")},
        "name": new("body: town"), "flags": [{"key": new("body: key", "-{}"), "claim": new("body: claim")}],
        new("body: member"): {new("body: inner"): 1},
    }  # fmt: skip
    form = {
        "grant_type": GRANT, "subject_token_type": ID_TOKEN, "subject_token": new("form: token", "a.{}.b"),
        "client_secret": new("form: client secret"), "scope": new("form: scope"), "audience": new("form: audience"),
        "resource": new("form: resource", "https://{}.example"), new("form: name"): "1",
    }  # fmt: skip
    whole = json.dumps(known).encode()
    return {
        "JSON": whole,
        "JSON that breaks off": whole[:-2],
        "JSON with a member twice": b'{"reason":"'
        + new("body: twice").encode()
        + b'",'
        + whole[1:-1]
        + b',"reason":"x"}',
        "a form": urlencode(form).encode(),
        "a form of which a part is right": urlencode(form | {"scope": "access", "audience": "headgate"}).encode(),
        "bytes": b"\xff\xfe\0" + new("body: bytes").encode(),
    }


def send(
    canary_stack: CanaryStack, route: DeployedRoute, credential: str | None, body: bytes | None, *, signed: bool
) -> None:
    """Send one request and keep its answer."""
    gate, sent = canary_stack.gate, headers(canary_stack)
    if body is not None:
        sent["content-type"] = "application/x-www-form-urlencoded" if b"grant_type=" in body else "application/json"
    path = address(canary_stack, route)
    if signed:
        del sent["x-amz-security-token"]  # it would be part of the signature, and these keys have none
        sent |= {"if-match": '"1"', "idempotency-key": canary_stack.new("idempotency key")}
        answer = gate.signed(route.method, path, body, headers=sent)
        assert b"Forbidden" not in answer.body, "the signature was rejected"
    else:
        answer = gate.call(route.method, path, token=credential, body=body, headers=sent)
    canary_stack.recorded(route.key, answer)


def sweep(canary_stack: CanaryStack) -> None:
    """Every route with each credential: none, forged, each token, a signed admin; with every body."""
    for route in canary_stack.routes:
        carries, signed = route.method != "GET", route.security == IAM
        for body in bodies(canary_stack).values() if carries else [None]:
            send(canary_stack, route, canary_stack.tokens["access"], body, signed=signed)
        forged = canary_stack.new("forged bearer", "eyJhbGciOiJub25lIn0.{}.x")
        for credential in (None, forged) if signed else (None, forged, *canary_stack.tokens.values()):
            send(canary_stack, route, credential, b"{}" if carries else None, signed=False)


def sample(canary_stack: CanaryStack, turn: int) -> None:
    """A third of the routes, one body each, with a credential that passes: an admin call takes seconds in an outage."""
    made = list(bodies(canary_stack).values())
    for number, route in enumerate(canary_stack.routes):
        if route.security != IAM or number % 3 == turn:
            body = made[number % len(made)] if route.method != "GET" else None
            send(canary_stack, route, canary_stack.tokens["access"], body, signed=route.security == IAM)


def exchanges(canary_stack: CanaryStack) -> None:
    """Each token at the token endpoint, as each type, and with invalid fields."""
    for token in (*canary_stack.tokens.values(), canary_stack.new("exchange: garbled", "{}.{}.")):
        for kind in (ID_TOKEN, ACCESS_TOKEN, SESSION_TOKEN):
            for more in (
                {},
                {"scope": "evaluate"},
                {"actor_token": canary_stack.new("actor token")},
                {"requested_token_type": SESSION_TOKEN, "session_id": canary_stack.new("asked session", "town:{}")},
            ):
                answer = canary_stack.gate.exchange(token, kind, **more)
                canary_stack.recorded("POST /v1/token", answer)


def mutations(canary_stack: CanaryStack) -> None:
    """Calls that succeed, so that their content reaches items, the audit stream, answers, and renewals."""
    gate, new = canary_stack.gate, canary_stack.new
    person = {
        "user": new("explained user"),
        "orgs": [new("explained org")],
        "attributes": {"plan": new("explained plan")},
    }
    changes: list[tuple[str, str, Any, bool]] = [
        ("POST", f"/admin/v1/flags/{FLAG}/allow", {"add": {"users": [new("added user")]}, "reason": new("r1")}, True),
        ("POST", f"/admin/v1/flags/{FLAG}/stage", {"stage": "ga", "reason": new("r2")}, True),
        ("POST", f"/admin/v1/flags/{FLAG}/kill", {"reason": new("r3")}, False),
        ("POST", f"/admin/v1/flags/{FLAG}/restore", {"reason": new("r4")}, False),
        ("POST", "/admin/v1/explain", {"flag": FLAG, "subject": person}, False),
        ("POST", "/admin/v1/preview", {"flag": FLAG, "change": {"stage": "ga"}}, False),
        ("POST", "/admin/v1/revocations", {"subject": new("revoked subject"), "reason": new("r5")}, False),
        ("POST", "/admin/v1/revocations", {"jti": new("revoked jti"), "reason": new("r6")}, False),
    ]
    for method, path, body, versioned in changes:
        version = gate.flag(FLAG)["version"] if versioned else None
        answer = gate.change(method, path, body, version=version) if versioned else gate.change(method, path, body)
        assert answer.status in (200, 201), (path, answer.text)
        canary_stack.recorded(f"{method} {path}", answer)
    for path in ("flags", f"flags/{FLAG}", f"flags/{FLAG}/allow?kind=user", "audit", "sessions", "manifest", "health"):
        canary_stack.recorded(f"GET /admin/v1/{path}", gate.signed("GET", f"/admin/v1/{path}").expect(200))
    town = {"name": new("town's name"), "note": new("town's note")}
    user = new("user", "user-{}")
    made = gate.call("POST", f"/api/users/{user}/towns", token=canary_stack.tokens["access"], body=town)
    canary_stack.recorded("POST /api/users/{user}/towns", made)
    context = {"targetingKey": new("asked user"), "email": new("asked e-mail", "{}@example.com")}
    for path in ("/ofrep/v1/evaluate/flags", f"/ofrep/v1/evaluate/flags/{FLAG}"):
        for token in ("service", "evaluation", "access"):
            answer = gate.call("POST", path, token=canary_stack.tokens[token], body={"context": context})
            canary_stack.recorded(f"POST {path}", answer)


# -- the search


def test_nothing_secret_or_personal_is_logged(canary_stack: CanaryStack) -> None:
    mutations(canary_stack)
    exchanges(canary_stack)
    sweep(canary_stack)
    assert len(canary_stack.canaries) >= AT_LEAST
    assert {key for key, _ in canary_stack.answers} >= {route.key for route in canary_stack.routes}
    assert canary_stack.canaries.within(canary_stack.logs()) == set()


OUTAGES = [Fault.LOST, Fault.REFUSED, Fault.FAILING][: many(1, 3)]
"""The third of the routes that each outage is tried on, and the fault."""


@pytest.mark.proof("canaries in an outage")
@pytest.mark.parametrize(("turn", "fault"), list(enumerate(OUTAGES)), ids=str)
def test_nothing_secret_or_personal_is_logged_in_an_outage(canary_stack: CanaryStack, turn: int, fault: Fault) -> None:
    before = len(canary_stack.logs())
    canary_stack.proxy.break_by(fault)
    try:
        sample(canary_stack, turn)
    finally:
        canary_stack.proxy.heal()
    said = canary_stack.logs()
    assert b"StoreUnavailable" in said[before:]
    assert canary_stack.canaries.within(said) == set()


RULES = frozenset(
    {
        "owner", "description", "salt", "listed user", "listed org", "rule's value", "value on", "value off", "reason",
        "added user", "revoked subject", "revoked jti", "explained user", "explained org", "explained plan",
        *(f"r{number}" for number in range(1, 7)),
    }
)  # fmt: skip
OWN = frozenset({"user", "org", "user outside", "org outside", "plan", "session id", "asked session"})
GIVEN_BACK: tuple[tuple[str, str, frozenset[str]], ...] = (
    (
        r"\w+ /admin/v1/",
        "2..",
        RULES | {"user", "session id"},
    ),  # the operators' own text, and the sessions' owners
    (r"\w+ /admin/v1/", "400", frozenset({"body: member"})),  # the unknown member of the caller's own body
    (
        r"POST /v1/(service-)?token",
        "200",
        OWN | {"session token's claims", "access token's claims"},
    ),  # inside the token
    (r"\w+ /api/", "2..", frozenset({"user", "org", "town's name"})),  # the caller's own town
    (r"GET /whoami", "200", frozenset({"user", "org"})),  # the default worker returns its caller
    (r"POST /ofrep/v1/", "200", frozenset({"value on", "value off"})),
    (r"POST /ofrep/v1/evaluate/flags/", "...", frozenset({"path: key"})),  # the specification's `key`
    (r"\w+ /trpc/", "404", frozenset({"path: procedures"})),  # tRPC names the unknown procedure
)
"""By route and status: what the contract returns to its owner."""


def test_answers_contain_only_the_callers_own_data(canary_stack: CanaryStack) -> None:
    for asked, answer in canary_stack.answers:
        found = canary_stack.canaries.within(answer.body, json.dumps(dict(answer.headers)))
        for route, status, names in GIVEN_BACK:
            if re.match(route, asked) and re.fullmatch(status, str(answer.status)):
                found -= names
        assert not found, (asked, answer.status, found, answer.text[:400])
