"""Mint, evaluate, authorizer, and explain give one answer for the same rules and the same subject.

100,000 flag × subject pairs. Real tokens, signed and verified; each function has an execution environment of its own
over one table, as on Lambda.
"""

import io
import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from random import Random
from typing import Any

import pytest
import vector_files
from cryptography.hazmat.primitives.asymmetric import ec
from dice import Dice
from fake_clock import FakeClock
from in_memory_gate import Kms
from proofs import many
from reference_table import ReferenceTable

from headgate.core.changes.placement import inline
from headgate.core.decision import trace
from headgate.core.flag import flag_document
from headgate.core.model import Allow, Flag, LongList, Subject
from headgate.core.ruleset import ruleset
from headgate.core.snapshot import gate_flags
from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.evaluate import BULK, Evaluate
from headgate.edge.exchange import entitlements
from headgate.edge.key_pool import KeyPool
from headgate.edge.settings import GateSettings
from headgate.store.items import PROFILE_KEY, ROUTES_KEY, Head, flag_key, head_item, stored_item
from headgate.store.members import MemberItem
from headgate.store.port import Item
from headgate.store.snapshots import Snapshots, Standing
from headgate.tokens.claims import Kind
from headgate.tokens.issue import Grant, issue

KEYS = ("f0", "f1", "f2", "f3", "gone")
ASKED = "GET /asks"
RULESETS, SUBJECTS = many(500), 40
ISSUER, AUDIENCE = "https://gate.example", "headgate"


class Gate:
    """The three functions, each with its own environment, and tokens for any subject."""

    def __init__(self) -> None:
        self.clock, self.table = FakeClock(), ReferenceTable()
        self.key = Kms("k", ec.derive_private_key(7, ec.SECP256R1()))
        settings = GateSettings("t", ("k",), AUDIENCE, ISSUER)
        self.minting = self.environment()
        mine, yours = self.environment(), self.environment()
        pool = KeyPool((self.key,), mine)
        self.authorizer = Authorizer(Credentials(settings, pool), mine, clock=self.clock)
        pool = KeyPool((self.key,), yours)
        self.evaluate = Evaluate(Credentials(settings, pool), pool, yours, clock=self.clock)
        self.tokens: dict[int, str] = {}
        self.short: dict[str, Flag] = {}

    def environment(self) -> Snapshots:
        return Snapshots(self.table, clock=self.clock)

    def load(self, number: int, documents: Mapping[str, dict[str, Any]]) -> None:
        """Replace the rules, as stored at that revision; every other list is in member items."""
        self.short = {key: replace(vector_files.flag_from(one), version=number) for key, one in documents.items()}
        flags = {key: in_members(flag) if number % 2 else flag for key, flag in self.short.items()}
        routes = [{"route": f"POST /{key}", "class": "entry", "flags": [key]} for key in KEYS]
        routes.append({"route": ASKED, "class": "continue", "asks": list(KEYS)})
        records = {flag_key(key): flag_document(flag) for key, flag in flags.items()}
        records[ROUTES_KEY] = {"routes": routes, "version": 1, "revision": 1}
        records[PROFILE_KEY] = {"access": "f0", "version": 1, "revision": 1}
        killed = {key: flag.killed.reach.value for key, flag in flags.items() if flag.killed}
        head = head_item(Head(number, f"digest-{number}", killed))
        rules = {key[1]: stored_item(key, 1, document) for key, document in records.items()}
        self.table.restore({"rules": rules, "head": {"head": head}, **member_items(self.short if number % 2 else {})})
        self.clock.advance(5)

    def token(self, number: int, subject: Subject) -> str:
        """An access token of one of the subjects."""
        if number not in self.tokens:
            grant = Grant(
                kind=Kind.ACCESS, issuer=ISSUER, audience=AUDIENCE, subject=subject.user or "", client_id="web",
                lifetime=3_600, rev=1, orgs=subject.orgs, admin=subject.admin, attributes=subject.attributes,
            )  # fmt: skip
            self.tokens[number] = issue(self.key, grant, self.clock())[0]
        return self.tokens[number]

    def asks(self, token: str, route: str) -> tuple[bool, dict[str, Any]]:
        """The authorizer's answer."""
        answer = self.authorizer(event(token, route))
        return answer["isAuthorized"], answer["context"]

    def evaluates(self, token: str) -> dict[str, dict[str, Any]]:
        """The evaluate function's answer, by flag."""
        answer = self.evaluate(event(token, BULK))
        assert answer["statusCode"] == 200
        return {flag["key"]: flag for flag in json.loads(answer["body"])["flags"]}


def in_members(flag: Flag) -> Flag:
    """The flag with its list in member items; rules stay in the flag."""
    users, orgs = len(flag.allow.users), len(flag.allow.orgs)
    return replace(flag, allow=Allow(rules=flag.allow.rules), members=LongList(users, orgs) if users + orgs else None)


def member_items(flags: Mapping[str, Flag]) -> dict[str, dict[str, Item]]:
    """The member items of these flags, by partition."""
    items: dict[str, dict[str, Item]] = {}
    for key, flag in flags.items():
        for member in inline(flag.allow):
            put = MemberItem().put(key, member, [(0, True)])
            items.setdefault(str(put.item["pk"]), {})[str(put.item["sk"])] = put.item
    return items


def event(token: str, route: str) -> dict[str, Any]:
    """A request as API Gateway sends it."""
    return {"requestContext": {"routeKey": route, "domainName": "gate.example"}, "body": "{}",
            "headers": {"authorization": f"Bearer {token}"}}  # fmt: skip


def random_subject(thrown: Dice) -> Subject:
    """A subject that a token can describe: no acting org; attributes are scalars and lists of them."""
    subject = thrown.subject(admins=0.15)
    attributes = {
        name: value
        for name, value in subject.attributes.items()
        if isinstance(value, (str, int, float)) and value != ""
    }
    return Subject(subject.user or "nobody", subject.orgs, subject.admin, attributes)


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


def test_every_gate_gives_the_same_decision(gate: Gate) -> None:
    thrown = Dice(Random(8))
    people = list(enumerate(random_subject(thrown) for _ in range(200)))
    pairs, on = 0, 0
    with redirect_stdout(io.StringIO()):  # every denial is logged
        for number in range(1, RULESETS + 1):
            gate.load(number, thrown.rules(KEYS[:-1]))
            for index, subject in thrown.source.sample(people, SUBJECTS):
                verdicts = verdicts_on(gate, gate.token(index, subject), subject, thrown)
                pairs, on = pairs + len(verdicts), on + sum(verdicts.values())
    assert pairs == RULESETS * SUBJECTS * len(KEYS)
    assert pairs * 0.2 < on < pairs * 0.8


def verdicts_on(gate: Gate, token: str, subject: Subject, thrown: Dice) -> dict[str, bool]:
    """The decision of all four on each flag, and what it would be if all lists were inline."""
    view = gate.minting.live()
    assert view.standing is Standing.FRESH
    listing = gate.minting.with_lists(view, subject, KEYS)
    assert not listing.unread
    minted = entitlements(view.snapshot, tuple(gate_flags(view.snapshot)), listing.subject)
    explained, short = {}, ruleset(gate.short)
    for key in KEYS:
        *_passed, (_flag, _step, made) = trace(view.snapshot.rules, key, listing.subject)
        *_passed, (_flag, _step, plain) = trace(short, key, subject)
        assert made is not None
        assert plain is not None
        assert (made.value, made.reason) == (plain.value, plain.reason)
        explained[key] = made
    verdicts = {key: made.value for key, made in explained.items()}
    assert {key: key in minted for key in KEYS} == verdicts

    passed, context = gate.asks(token, ASKED)
    assert passed
    assert json.loads(context["asks"]) == verdicts
    key = thrown.one(KEYS)
    passed, context = gate.asks(token, f"POST /{key}")
    assert passed is verdicts[key]
    assert context.get("reason") == (explained[key].reason.value if passed else None)
    assert context.get("revision", view.snapshot.revision) == view.snapshot.revision

    evaluated = gate.evaluates(token)
    assert "gone" not in evaluated
    assert {key: (flag["variant"] == "on", flag["metadata"]["reason"]) for key, flag in evaluated.items()} == {
        key: (made.value, made.reason.value) for key, made in explained.items() if key != "gone"
    }
    return verdicts
