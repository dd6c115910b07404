"""Old tokens at the authorizer: which classes they pass, the effect of a kill, and which verifier is used."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from fake_clock import FakeClock
from in_memory_gate import Kms
from written_rules import WrittenRules

from headgate.core.deny import DenyKind
from headgate.core.documents import Invalid, rfc3339
from headgate.core.keyring import KeyState
from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.key_pool import KeyPool
from headgate.edge.legacy import HeldSecret, LegacyTokens, legacy_tokens
from headgate.edge.settings import GateSettings, Misconfigured
from headgate.store.items import KEYRING_KEY, deny_key
from headgate.store.port import Unavailable
from headgate.store.snapshots import SOFT_TTL, Snapshots
from headgate.tokens import limits
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.issue import Grant, issue
from headgate.tokens.legacy import LegacyVerifier
from headgate.tokens.legacy_issuer import LegacyIssuer
from headgate.tokens.refusals import RefusalCode, TokenRefused

AUTHORIZER = Path(__file__).parents[2] / "functions" / "authorizer"
SETTINGS = GateSettings("t", ("key",), "headgate", "https://gate.example.com")
SECRET = "".join(f"{number:02x}" for number in range(32))
CLASSES = ("entry", "continue", "observe", "stop", "machine", "admin")
DAY = 86_400


SIGNER = Kms("key")


def event(route_key: str, token: str) -> dict[str, Any]:
    context = {"routeKey": route_key, "domainName": "gate.example.com", "requestId": "r", "http": {}}
    return {"routeKey": route_key, "headers": {"authorization": f"Bearer {token}"}, "requestContext": context}


class Scene:
    """A gate with one route of each class that accepts old tokens for a day."""

    def __init__(self, stage: str = "admin_only", *, legacy: bool = True, **members: Any) -> None:
        self.clock = FakeClock(float(int(time.time())))
        self.rules = WrittenRules(self.clock)
        self.rules.profile("access", 60)
        self.rules.routes(
            *({"route": f"GET /{name}", "class": name} for name in CLASSES),
            {"route": "GET /asked", "class": "continue", "asks": ["access"]},
            {"route": "GET /flagged", "class": "observe", "flags": ["access"]},
        )
        self.stage = {"stage": stage, "percent": 0, **members}
        self.rules.flag("access", **self.stage)
        now = int(self.clock.now)
        issuer = LegacyIssuer(
            version=3,
            accept_until=now + DAY,
            issued_before=now + DAY // 2,
            user="kiloUserId",
            access="gastownAccess",
            admin="isAdmin",
        )
        self.reads: list[float] = []
        self.shown: list[str] = []
        self.readable = True
        self._old = LegacyTokens(LegacyVerifier(issuer, HeldSecret(self._read)))
        snapshots = Snapshots(self.rules.table, clock=self.clock, jitter=lambda: 0.0)
        credentials = Credentials(SETTINGS, KeyPool((SIGNER,), snapshots), self._show if legacy else None)
        self.authorizer = Authorizer(credentials, snapshots, clock=self.clock)

    def _show(self, token: str, now: float) -> Credential:
        self.shown.append(token)
        return self._old(token, now)

    def _read(self) -> str:
        self.reads.append(self.clock.now)
        if not self.readable:
            raise Unavailable("AccessDeniedException")
        return SECRET

    def old(self, secret: str = SECRET, **claims: Any) -> str:
        """A token as the old endpoint issued it."""
        now = int(self.clock.now)
        said = {"kiloUserId": "u", "version": 3, "iat": now, "exp": now + 3_600, **claims}
        return jwt.encode(said, secret, algorithm="HS256")

    def own(self, *, admin: bool = False) -> str:
        token, _ = issue(
            SIGNER,
            Grant(kind=Kind.ACCESS, issuer=SETTINGS.issuer, audience=SETTINGS.audience, subject="u", client_id="c",
                  lifetime=3_600, rev=1, admin=admin),
            self.clock.now,
        )  # fmt: skip
        return token

    def ask(self, route: str, token: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.authorizer(event(f"GET /{route}", token))
        return answer

    def passes(self, route: str, token: str) -> bool:
        return self.ask(route, token)["isAuthorized"] is True

    def passed(self, token: str) -> set[str]:
        """The classes that a token passes."""
        return {name for name in CLASSES if self.passes(name, token)}


RUNNING = {"continue", "observe", "stop"}


@pytest.mark.parametrize("stage", ["admin_only", "ga"])
def test_r39_each_combination_of_claims_passes_its_classes(stage: str) -> None:
    scene = Scene(stage)
    entry = {"entry"} if stage == "ga" else set()
    assert scene.passed(scene.old(gastownAccess=True)) == RUNNING | entry
    assert scene.passed(scene.old(isAdmin=True)) == RUNNING | {"entry", "admin"}
    assert scene.passed(scene.old(isAdmin=True, gastownAccess=True)) == RUNNING | {"entry", "admin"}
    assert scene.passed(scene.old()) == set()
    assert scene.passed(scene.old(isAdmin=False, gastownAccess=False)) == set()


def test_a_live_decision_is_for_the_user_of_the_token() -> None:
    scene = Scene("allowlist", allow={"users": ["u"]})
    listed, other = scene.old(gastownAccess=True), scene.old(gastownAccess=True, kiloUserId="v")
    for route in ("entry", "flagged"):
        assert scene.passes(route, listed)
        assert not scene.passes(route, other)
    assert json.loads(scene.ask("asked", listed)["context"]["asks"]) == {"access": True}
    assert json.loads(scene.ask("asked", other)["context"]["asks"]) == {"access": False}


def test_an_old_token_has_no_orgs_and_no_attributes() -> None:
    scene = Scene("allowlist", allow={"orgs": ["acme"], "rules": [
        {"clauses": [{"attribute": "plan", "op": "equals", "value": "pro"}]}]})  # fmt: skip
    claimed = scene.old(gastownAccess=True, orgs=["acme"], plan="pro", attributes={"plan": "pro"})
    assert not scene.passes("entry", claimed)


def test_the_worker_gets_the_context_of_an_access_token() -> None:
    scene = Scene("ga")
    assert scene.ask("observe", scene.old(gastownAccess=True))["context"] == {
        "subject": "u", "orgs": "[]", "admin": False, "entitlements": "[]", "asks": "{}", "reason": "NONE",
        "revision": 3, "session": "", "class": "observe", "credential": "access", "stale": False,
    }  # fmt: skip


@pytest.mark.parametrize("reach", ["gate", "sever"])
def test_a_kill_denies_old_tokens_at_once_and_running_work_continues(reach: str) -> None:
    scene = Scene("ga")
    user, admin = scene.old(gastownAccess=True), scene.old(isAdmin=True)
    assert scene.passed(user) == RUNNING | {"entry"}
    scene.rules.flag("access", killed=reach, **scene.stage)
    assert scene.passed(user) == RUNNING
    assert not scene.passes("flagged", user)
    assert scene.passed(admin) == RUNNING | {"entry", "admin"}


def test_a_subject_revocation_refuses_old_tokens_issued_before_it() -> None:
    scene = Scene("ga")
    before = scene.old(gastownAccess=True)
    assert scene.passes("observe", before)
    now = int(scene.clock.now)
    denial = {"kind": "subject", "value": "u", "at": now, "expires": now + DAY}
    scene.rules.write(deny_key(DenyKind.SUBJECT, "u"), "deny.revoke", denial)
    assert not scene.passes("entry", before), "a live decision: at once"
    scene.clock.advance(SOFT_TTL)
    assert scene.passed(before) == set()
    assert scene.passes("observe", scene.old(gastownAccess=True)), "issued after it"
    assert scene.passes("observe", scene.old(gastownAccess=True, kiloUserId="v", iat=now - 1, exp=now + 60)), (
        "another's"
    )


def test_with_an_unreadable_key_ring_no_old_token_passes() -> None:
    scene = Scene("ga")
    scene.rules.write(KEYRING_KEY, "keys.rotate", {"keys": [{"kid": "key", "state": "no such state", "since": 0}]})
    assert scene.passed(scene.old(isAdmin=True)) == set()


def test_revoking_one_of_our_keys_does_not_affect_old_tokens() -> None:
    scene = Scene("ga")
    scene.rules.write(
        KEYRING_KEY, "keys.revoke", {"keys": [{"kid": "key", "state": KeyState.REVOKED.value, "since": 1}]}
    )
    assert not scene.passes("observe", scene.own())
    assert scene.passes("observe", scene.old(gastownAccess=True))


def test_old_tokens_are_refused_after_accept_until_in_a_warm_environment() -> None:
    scene = Scene("ga")
    scene.clock.advance(DAY // 2 - 1)
    late = scene.old(isAdmin=True)
    assert scene.passes("observe", late)
    scene.clock.advance(1)
    assert not scene.passes("observe", scene.old(isAdmin=True)), "issued at the cut-off"
    assert scene.passes("observe", late), "issued before it"
    scene.clock.advance(DAY // 2)
    assert not scene.passes("observe", scene.old(isAdmin=True))
    assert scene.passes("observe", scene.own())


# -- which verifier is used


def test_without_a_legacy_issuer_no_old_token_passes() -> None:
    scene = Scene("ga", legacy=False)
    assert scene.passed(scene.old(isAdmin=True, gastownAccess=True)) == set()
    assert scene.passes("entry", scene.own())


def test_t14_a_token_with_the_other_verifiers_algorithm_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene("ga")
    der = SIGNER.public_key()
    kid = {"kid": SIGNER.kid}
    own = jwt.decode(scene.own(admin=True), options={"verify_signature": False})
    forged = {
        "our claims by the secret, our header": jwt.encode(own, SECRET, "HS256", {**kid, "typ": "at+jwt"}),
        "our claims by the secret": jwt.encode(own, SECRET, "HS256"),
        "by our public key": scene.old(der.hex(), isAdmin=True),
        "by our public key, with its id": jwt.encode(own, der.hex(), "HS256", kid),
        "unsigned": jwt.encode({**own, "isAdmin": True, "version": 3, "kiloUserId": "u"}, None, "none"),
        "no token": "e30.e30.e30",
    }
    assert [name for name, token in forged.items() if scene.passed(token)] == []
    assert "unexpected" not in capsys.readouterr().out


def test_our_own_tokens_never_reach_the_legacy_verifier() -> None:
    """Even with another signature, kind, time, or text."""
    scene = Scene("ga")
    head, body, seal = scene.own().split(".")
    for token in (f"{head}.{body}.{seal}", f"{head}.{body}.{seal[:-4]}AAAA", f"{head}.{body}.", "x", ""):
        scene.passes("observe", token)
    scene.clock.advance(3_600)
    assert not scene.passes("observe", f"{head}.{body}.{seal}")
    assert (scene.shown, scene.reads) == ([], [])
    scene.passes("observe", scene.old())
    assert len(scene.shown) == 1


# -- the secret and the metrics


def counted(capsys: pytest.CaptureFixture[str]) -> Callable[[str], int]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return lambda metric: sum(line.get(metric, 0) for line in lines)


def test_each_accepted_old_token_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    scene.passes("observe", scene.old(gastownAccess=True))
    scene.passes("entry", scene.old(gastownAccess=True))  # valid, but the flag denies it
    scene.passes("observe", scene.old())
    scene.passes("observe", scene.old("another secret of the same length", isAdmin=True))
    scene.passes("observe", scene.own())
    assert counted(capsys)("LegacyTokens") == 2
    assert len(scene.reads) == 1


def test_an_unreadable_secret_refuses_only_old_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene("ga")
    scene.readable = False
    for _ in range(5):
        assert not scene.passes("observe", scene.old(isAdmin=True))
    assert scene.passes("entry", scene.own())
    assert len(scene.reads) == 1, "not asked again at once"
    out = capsys.readouterr().out
    assert out.count('"LegacySecretUnavailable":1') == 1
    assert "Unavailable:AccessDeniedException" in out
    scene.clock.advance(limits.SECRET_PAUSE)
    assert not scene.passes("observe", scene.old(isAdmin=True))
    scene.readable = True
    scene.clock.advance(limits.SECRET_PAUSE)
    assert scene.passes("observe", scene.old(isAdmin=True))
    assert len(scene.reads) == 3


def test_a_clock_that_is_set_back_does_not_stop_the_next_read_of_the_secret() -> None:
    def unreadable() -> str:
        raise Unavailable("x")

    held = HeldSecret(unreadable)
    for now in (1_000.0, 1.0):
        with pytest.raises(TokenRefused):
            held(now)
    assert held._failed_at == 1.0


def test_an_invalid_secret_counts_as_unreadable(capsys: pytest.CaptureFixture[str]) -> None:
    held = HeldSecret(lambda: "short")
    with pytest.raises(TokenRefused) as caught:
        held(1.0)
    assert caught.value.code is RefusalCode.KEY_UNAVAILABLE
    out = capsys.readouterr().out
    assert "shorter than 32 bytes" in out
    assert '"LegacySecretUnavailable":1' in out
    assert '"short"' not in out


def test_no_log_line_contains_a_token_the_secret_or_the_user(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    person = "someone-in-particular"
    for claims in ({"gastownAccess": True}, {}, {"gastownAccess": True, "version": 4}):
        token = scene.old(kiloUserId=person, **claims)
        scene.passed(token)
        out = capsys.readouterr().out
        assert person not in out
        assert not any(part in out for part in (*token.split("."), SECRET))


# -- the start of the function


def configured(**members: Any) -> str:
    """A legacy issuer whose tokens are accepted for another hour."""
    soon = rfc3339(time.time() + 3_600)
    claims = {"user": "kiloUserId", "access": "gastownAccess", "admin": "isAdmin"}
    said = {"algorithm": "HS256", "version": 3, "accept_until": soon, "issued_before": soon, "claims": claims}
    return json.dumps({**said, **members})


def started(issuer: str) -> "subprocess.CompletedProcess[str]":
    """Start the authorizer in a fresh process without network; return what it made and what it loaded."""
    script = "import app, sys; print(app.legacy is not None, 'headgate.tokens.legacy' in sys.modules)"
    environment = {
        "HEADGATE_TABLE": "t", "HEADGATE_SIGNING_KEYS": "one", "HEADGATE_AUDIENCE": "headgate",
        "HEADGATE_LEGACY_ISSUER": issuer, "HEADGATE_LEGACY_SECRET_ARN": "arn", "HEADGATE_IDENTITY_ISSUERS": "[]",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", script], cwd=AUTHORIZER, env={**os.environ, **environment}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_without_a_legacy_issuer_nothing_is_loaded_and_with_one_the_secret_is_not_read_at_start() -> None:
    assert started("").stdout.split() == ["False", "False"]
    assert started(configured()).stdout.split() == ["True", "True"]


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"accept_until": None}, "accept_until"),
        ({"accept_until": "2999-01-01T00:00:00Z"}, "accept_until"),
        ({"algorithm": "ES256"}, "algorithm"),
    ],
    ids=["no end", "a far end", "another algorithm"],
)
def test_an_invalid_configuration_stops_the_start(wrong: dict[str, Any], path: str) -> None:
    done = started(configured(**wrong))
    assert done.returncode != 0
    assert f"{path}: must" in done.stderr


@pytest.mark.parametrize(
    "missing", ["HEADGATE_LEGACY_ISSUER", "HEADGATE_LEGACY_SECRET_ARN", "HEADGATE_IDENTITY_ISSUERS"]
)
def test_an_incomplete_configuration_stops_the_start(missing: str) -> None:
    whole = {
        "HEADGATE_LEGACY_ISSUER": configured(), "HEADGATE_LEGACY_SECRET_ARN": "arn", "HEADGATE_IDENTITY_ISSUERS": "[]"
    }  # fmt: skip
    assert isinstance(legacy_tokens(whole), LegacyTokens)
    with pytest.raises(Misconfigured, match=missing):
        legacy_tokens({**whole, missing: ""})


A, B = "https://a.example", "https://b.example"


def prefix_of(issuer: str | None, *trusted: Mapping[str, object]) -> str:
    """The prefix of legacy subjects, next to these identity issuers."""
    environment = {
        "HEADGATE_LEGACY_ISSUER": configured(**({} if issuer is None else {"issuer": issuer})),
        "HEADGATE_LEGACY_SECRET_ARN": "arn",
        "HEADGATE_IDENTITY_ISSUERS": json.dumps([{"audience": ["web"], **entry} for entry in trusted]),
    }
    return legacy_tokens(environment)._verifier.prefix.own


def test_legacy_subjects_are_those_of_the_issuer_that_the_entry_names() -> None:
    both = {"issuer": A, "prefix": ""}, {"issuer": B, "prefix": "b:"}
    assert (prefix_of(A, *both), prefix_of(B, *both)) == ("", "b:")
    assert (prefix_of(None, {"issuer": B, "prefix": "b:"}), prefix_of(None)) == ("b:", "")
    for unclear in (None, "https://c.example"):
        with pytest.raises(Invalid, match="must name one of the identity issuers"):
            prefix_of(unclear, *both)
