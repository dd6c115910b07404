"""Malformed events and stored items: even if they cause an exception, the log contains none of their text.

The functions as deployed, on moto behind a faulty proxy; their output is captured, and exceptions that leave
them are formatted as Lambda's runtime does.
"""

import base64
import contextlib
import io
import json
import os
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from canaries import Canaries
from moto_child import running_dynamodb
from proofs import many
from reference_table import ReferenceTable
from stand import Stand
from tcp_proxy import Fault, FaultyProxy

from headgate.edge.admission import Admission
from headgate.edge.credentials import Credentials
from headgate.edge.exchange import TokenFunction
from headgate.edge.http import Bug, redact_errors, type_and_place
from headgate.edge.key_pool import KeyPool
from headgate.edge.settings import GateSettings
from headgate.store.record import Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots
from headgate.tokens.fetch import Document, FetchFailed
from headgate.tokens.identity import IdentityVerifier
from headgate.tokens.issuers import parse_issuers

EVENTS = ("token.exchange", "token.jwks", "evaluate.single", "evaluate.bulk", "authorizer.entry", "authorizer.observe",
          "admin.show-flag", "admin.audit", "admin.stage", "kill.kill")  # fmt: skip


@pytest.fixture(scope="module")
def broken(admin_identity: tuple[str, str]) -> Iterator[tuple[Stand, FaultyProxy]]:
    before = dict(os.environ)
    with running_dynamodb() as url, contextlib.closing(FaultyProxy(url)) as proxy:
        try:
            yield Stand(proxy.url, *admin_identity), proxy
        finally:
            os.environ.clear()
            os.environ.update(before)


class Listening:
    """All output of a function, and the text of exceptions that leave it."""

    def __init__(self) -> None:
        self._said = io.StringIO()
        self.bugs = 0

    def call(self, stand: Stand, name: str, event: dict[str, Any]) -> Any:
        """The answer, or None if an exception left the function."""
        with contextlib.redirect_stdout(self._said), contextlib.redirect_stderr(self._said):
            try:
                return stand.handlers[name.partition(".")[0]](event, None)
            except Bug as bug:  # anything else fails the test
                self.bugs += 1
                traceback.print_exception(bug)
                return None

    @property
    def said(self) -> str:
        return self._said.getvalue()


def malformed(event: dict[str, Any], canaries: Canaries) -> Iterator[dict[str, Any]]:
    """The event with one part after another as no gateway makes it, containing canaries."""
    new = canaries.new
    context = event["requestContext"]
    for name in ("headers", "pathParameters", "queryStringParameters", "requestContext"):
        for odd in (new(f"{name}: text"), [new(f"{name}: list")], 7):
            yield event | {name: odd}
    yield event | {"headers": {name: [new("header in a list")] for name in event["headers"]}}
    yield event | {"pathParameters": {name: [new("parameter in a list")] for name in ("key", "user", "id")}}
    yield event | {"queryStringParameters": {name: {"a": new("query")} for name in ("limit", "cursor", "after")}}
    yield event | {"body": [new("body in a list")]}
    yield event | {"body": new("not base64", "{}!"), "isBase64Encoded": True}
    yield event | {"requestContext": context | {"http": new("http"), "authorizer": [new("authorizer")]}}
    yield event | {"requestContext": context | {"authorizer": {"iam": {"userArn": [new("ARN")]}}, "domainName": None}}


def test_no_log_line_contains_text_of_a_malformed_event(broken: tuple[Stand, FaultyProxy]) -> None:
    stand, _ = broken
    stand.renew()
    canaries, listening = Canaries(), Listening()
    for name in EVENTS:
        for event in malformed(stand.event(name), canaries):
            listening.call(stand, name, event)
    for name in (
        "token.jwks",
        "admin.audit",
    ):  # the others accept any route and log its name, which comes from the template
        event = stand.event(name)
        event["requestContext"]["routeKey"] = canaries.new("route")
        listening.call(stand, name, event)
    assert listening.bugs > 20, "nothing here is a bug any more: look for stranger events"
    assert len(canaries) > 15
    assert canaries.within(listening.said) == set()


def test_no_log_line_contains_text_of_an_unreadable_item(broken: tuple[Stand, FaultyProxy]) -> None:
    stand, _ = broken
    canaries = Canaries()
    for sk in ("flag#gastown-access", "profile", "routes", "keys", "head"):
        stand.renew()
        listening = Listening()
        key = {"pk": {"S": "head" if sk == "head" else "rules"}, "sk": {"S": sk}}
        garbage = {name: {"S": canaries.new(f"{sk}: {name}")} for name in ("document", "item", "revision", "killed")}
        stand._tables.put_item(TableName=os.environ["HEADGATE_TABLE"], Item=key | garbage)
        for name in EVENTS:
            listening.call(stand, name, stand.event(name))
        assert canaries.within(listening.said) == set(), sk


@pytest.mark.proof("canaries while KMS fails, in each way it may fail")
@pytest.mark.parametrize("fault", [Fault.FAILING, Fault.THROTTLED, Fault.REFUSED][: many(2, 3)], ids=str)
def test_no_log_line_contains_a_token_when_kms_fails(broken: tuple[Stand, FaultyProxy], fault: Fault) -> None:
    """Neither the offered tokens nor the requested ones."""
    stand, proxy = broken
    stand.renew()
    canaries, listening = Canaries(), Listening()
    for name, token in stand._tokens.items():
        canaries.watch(name, token)
    stand.start()  # new environments: no public key is cached yet
    proxy.break_by(fault, only=() if fault is Fault.REFUSED else ("Sign", "GetPublicKey"))
    try:
        for name in EVENTS:
            answer = listening.call(stand, name, stand.event(name))
            assert answer is not None, name
            assert (
                name.startswith(("admin.", "kill."))
                or answer.get("isAuthorized") is False
                or answer["statusCode"] >= 400
            )
    finally:
        proxy.heal()
    assert "unavailable" in listening.said or "unknown_key" in listening.said
    assert canaries.within(listening.said) == set()


def test_no_log_line_contains_text_of_a_failing_identity_provider() -> None:
    """Neither its answer nor the offered token, in any line or answer."""
    canaries, listening = Canaries(), Listening()
    new, table = canaries.new, ReferenceTable()
    snapshots, issuer = Snapshots(table), "https://idp.example"
    settings = GateSettings("t", (), "headgate", "https://gate.example.com")
    keys = KeyPool((), snapshots)

    def down(_url: str) -> Document:
        raise FetchFailed(new("provider's text"))

    def talks(_url: str) -> Document:
        return Document(new("provider's answer").encode(), None)

    trusted = parse_issuers(json.dumps([{"issuer": issuer, "audience": ["web"], "algorithms": ["ES256"]}]))
    for fetch in (down, talks):
        function = TokenFunction(settings=settings, keys=keys, credentials=Credentials(settings, keys),
                                 identities=IdentityVerifier(trusted, fetch), snapshots=snapshots,
                                 admission=Admission(snapshots, Sessions(table), Record(table)))  # fmt: skip
        claims = {
            "iss": issuer,
            "sub": new("subject"),
            "email": new("e-mail", "{}@example.com"),
            "iat": int(time.time()),
        }
        header = {"alg": "ES256", "kid": new("kid")}
        parts = [_part(header), _part(claims), _part(new("signature"))]
        body = "&".join(
            (
                "grant_type=urn:ietf:params:oauth:grant-type:token-exchange",
                "subject_token_type=urn:ietf:params:oauth:token-type:id_token",
                f"subject_token={'.'.join(parts)}",
            )
        )
        context = {"routeKey": "POST /v1/token", "domainName": "gate.example.com", "http": {}}
        headers = {"content-type": "application/x-www-form-urlencoded"}
        event = {"headers": headers, "body": body, "requestContext": context}
        with contextlib.redirect_stdout(listening._said):
            answer = function(event)
        assert answer["statusCode"] == 503
        assert canaries.within(listening.said, json.dumps(answer)) == set()


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_an_unexpected_exception_is_logged_by_type_and_place() -> None:
    canaries = Canaries()

    @redact_errors
    def handler(event: Any, _context: Any) -> None:
        raise KeyError(event)

    with pytest.raises(Bug) as caught:
        handler(canaries.new("event"), None)
    assert str(caught.value).startswith("KeyError test_log_canaries.py:")
    assert caught.value.__suppress_context__
    assert canaries.within("".join(traceback.format_exception(caught.value))) == set()
    assert type_and_place(ValueError("never raised")) == "ValueError"


def test_the_canary_search_finds_encoded_text() -> None:
    """Otherwise the search could miss every leak."""
    canaries = Canaries()
    value = canaries.new("one", "user {}@example.com")
    for form in (value, value.upper(), value.encode().hex(), json.dumps({value: 1}),
                 "".join(f"\\u{ord(letter):04X}" for letter in value),
                 "".join(f"%{ord(letter):02X}" for letter in value)):  # fmt: skip
        assert canaries.within(f"a line: {form}.") == {"one"}
    for before in range(3):
        assert canaries.within(base64.b64encode(b"x" * before + value.encode())) == {"one"}
    assert canaries.within("a line without it", Canaries().new("another")) == set()
