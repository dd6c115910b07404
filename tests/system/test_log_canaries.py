"""Secret and personal strings through every route and every failure: none in a log or a metric, none told to others.

Everything that a function writes (its lines and its metrics are one stream) is searched, in plain and encoded forms,
and so is every answer: there a string may stand only where the contract gives it back to whom it belongs.
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
from running_gate import Answer, Gate, Person
from running_gate.gate import ACCESS_TOKEN, GRANT, ID_TOKEN, SESSION_TOKEN
from tcp_proxy import Fault, FaultyProxy

from headgate_cli.local.stack import Stack, running_stack

FLAG = "canaries"
AT_LEAST = 50


@dataclass
class Aviary:
    """A stack of its own, the canaries, and every answer that was given, by who asked for what."""

    stack: Stack
    gate: Gate
    proxy: FaultyProxy
    canaries: Canaries
    routes: list[DeployedRoute]
    told: list[tuple[str, Answer]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    def new(self, name: str, form: str = "{}") -> str:
        """A canary."""
        return self.canaries.new(name, form)

    def heard(self, asked: str, answer: Answer) -> Answer:
        """The answer, kept for the search."""
        self.told.append((asked, answer))
        return answer

    def logs(self) -> bytes:
        """All that the functions have written."""
        return self.stack.logs.read_bytes()


@pytest.fixture(scope="module")
def aviary() -> Iterator[Aviary]:
    with (
        running_dynamodb() as url,
        contextlib.closing(FaultyProxy(url)) as proxy,
        running_stack(env={"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}) as stack,
    ):
        made = Aviary(stack, Gate(stack.ready, ExactHttp()), proxy, Canaries(), deployed_routes())
        prepare(made)
        yield made


def prepare(aviary: Aviary) -> None:
    """People, their tokens, the operators' keys, and rules that hold names: all canaries."""
    gate, canaries, new = aviary.gate, aviary.canaries, aviary.new
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
    tokens = aviary.tokens
    tokens["identity"] = gate.id_token(ada)
    tokens["identity outside"] = gate.id_token(bob)
    tokens["access"] = gate.access_token(ada)
    tokens["session"] = gate.session_token(tokens["access"], new("session id", "town:{}"))
    tokens["evaluation"] = gate.evaluation_token(bob)
    tokens["service"] = gate.service_token()
    for name, token in tokens.items():
        canaries.watch(f"{name} token", token)
        canaries.watch(f"{name} token's claims", token.split(".")[1])


# -- what is sent


def headers(aviary: Aviary) -> dict[str, str]:
    """Headers that carry secrets, and headers that carry what people may be known by."""
    new = aviary.new
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


def address(aviary: Aviary, route: DeployedRoute) -> str:
    """The route's path with a canary in each parameter, and a query of canaries."""
    filled = re.sub(r"\{([^}]+)\}", lambda found: quote(aviary.new(f"path: {found[1]}", "p-{}")), route.path)
    query = aviary.new("query", "{}@example.com")
    asked = {aviary.new("query name"): "1", "cursor": aviary.new("cursor"), "subject": query}
    return f"{filled}?{urlencode(asked)}"


def bodies(aviary: Aviary) -> Mapping[str, bytes]:
    """Bodies that are nearly right: members as the routes know them, JSON that breaks off, forms, bytes."""
    new = aviary.new
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


def send(aviary: Aviary, route: DeployedRoute, credential: str | None, body: bytes | None, *, signed: bool) -> None:
    """One request, and its answer kept."""
    gate, sent = aviary.gate, headers(aviary)
    if body is not None:
        sent["content-type"] = "application/x-www-form-urlencoded" if b"grant_type=" in body else "application/json"
    path = address(aviary, route)
    if signed:
        del sent["x-amz-security-token"]  # it would be part of the signature, and these are keys without one
        sent |= {"if-match": '"1"', "idempotency-key": aviary.new("idempotency key")}
        answer = gate.signed(route.method, path, body, headers=sent)
        assert b"Forbidden" not in answer.body, "not even the signature was taken"
    else:
        answer = gate.call(route.method, path, token=credential, body=body, headers=sent)
    aviary.heard(route.key, answer)


def sweep(aviary: Aviary) -> None:
    """Every route by whoever might: nobody, a forger, each token, a signed admin; with every body."""
    for route in aviary.routes:
        carries, signed = route.method != "GET", route.security == IAM
        for body in bodies(aviary).values() if carries else [None]:
            send(aviary, route, aviary.tokens["access"], body, signed=signed)
        forged = aviary.new("forged bearer", "eyJhbGciOiJub25lIn0.{}.x")
        for credential in (None, forged) if signed else (None, forged, *aviary.tokens.values()):
            send(aviary, route, credential, b"{}" if carries else None, signed=False)


def sample(aviary: Aviary, turn: int) -> None:
    """A third of the routes, with one body each, by whom they let in: in an outage an admin's call takes seconds."""
    made = list(bodies(aviary).values())
    for number, route in enumerate(aviary.routes):
        if route.security != IAM or number % 3 == turn:
            body = made[number % len(made)] if route.method != "GET" else None
            send(aviary, route, aviary.tokens["access"], body, signed=route.security == IAM)


def exchanges(aviary: Aviary) -> None:
    """Each token at the token endpoint, as each type, and with fields that are wrong."""
    for token in (*aviary.tokens.values(), aviary.new("exchange: garbled", "{}.{}.")):
        for kind in (ID_TOKEN, ACCESS_TOKEN, SESSION_TOKEN):
            for more in (
                {},
                {"scope": "evaluate"},
                {"actor_token": aviary.new("actor token")},
                {"requested_token_type": SESSION_TOKEN, "session_id": aviary.new("asked session", "town:{}")},
            ):
                answer = aviary.gate.exchange(token, kind, **more)
                aviary.heard("POST /v1/token", answer)


def mutations(aviary: Aviary) -> None:
    """Calls that succeed, so that what they keep goes all the way: into items, the audit, answers, renewals."""
    gate, new = aviary.gate, aviary.new
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
        aviary.heard(f"{method} {path}", answer)
    for path in ("flags", f"flags/{FLAG}", f"flags/{FLAG}/allow?kind=user", "audit", "sessions", "manifest", "health"):
        aviary.heard(f"GET /admin/v1/{path}", gate.signed("GET", f"/admin/v1/{path}").expect(200))
    town = {"name": new("town's name"), "note": new("town's note")}
    user = new("user", "user-{}")
    made = gate.call("POST", f"/api/users/{user}/towns", token=aviary.tokens["access"], body=town)
    aviary.heard("POST /api/users/{user}/towns", made)
    context = {"targetingKey": new("asked user"), "email": new("asked e-mail", "{}@example.com")}
    for path in ("/ofrep/v1/evaluate/flags", f"/ofrep/v1/evaluate/flags/{FLAG}"):
        for token in ("service", "evaluation", "access"):
            answer = gate.call("POST", path, token=aviary.tokens[token], body={"context": context})
            aviary.heard(f"POST {path}", answer)


# -- the search


def test_in_health_nothing_secret_or_personal_is_logged(aviary: Aviary) -> None:
    mutations(aviary)
    exchanges(aviary)
    sweep(aviary)
    assert len(aviary.canaries) >= AT_LEAST
    assert {key for key, _ in aviary.told} >= {route.key for route in aviary.routes}
    assert aviary.canaries.within(aviary.logs()) == set()


@pytest.mark.parametrize(("turn", "fault"), list(enumerate([Fault.REFUSED, Fault.FAILING, Fault.LOST])), ids=str)
def test_nor_in_an_outage(aviary: Aviary, turn: int, fault: Fault) -> None:
    before = len(aviary.logs())
    aviary.proxy.break_by(fault)
    try:
        sample(aviary, turn)
    finally:
        aviary.proxy.heal()
    said = aviary.logs()
    assert b"StoreUnavailable" in said[before:]
    assert aviary.canaries.within(said) == set()


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
    ),  # the operators' own words, and whose sessions there are
    (r"\w+ /admin/v1/", "400", frozenset({"body: member"})),  # which member of the caller's own body is unknown
    (
        r"POST /v1/(service-)?token",
        "200",
        OWN | {"session token's claims", "access token's claims"},
    ),  # within the token
    (r"\w+ /api/", "2..", frozenset({"user", "org", "town's name"})),  # one's own town
    (r"GET /whoami", "200", frozenset({"user", "org"})),  # the default worker says who calls
    (r"POST /ofrep/v1/", "200", frozenset({"value on", "value off"})),
    (r"POST /ofrep/v1/evaluate/flags/", "...", frozenset({"path: key"})),  # the specification's `key`
    (r"\w+ /trpc/", "404", frozenset({"path: procedures"})),  # tRPC names the procedure that is not there
)
"""By route and status: what the contract gives back to whom it belongs."""


def test_answers_give_back_what_belongs_to_the_caller_and_nothing_else(aviary: Aviary) -> None:
    for asked, answer in aviary.told:
        found = aviary.canaries.within(answer.body, json.dumps(dict(answer.headers)))
        for route, status, names in GIVEN_BACK:
            if re.match(route, asked) and re.fullmatch(status, str(answer.status)):
                found -= names
        assert not found, (asked, answer.status, found, answer.text[:400])
