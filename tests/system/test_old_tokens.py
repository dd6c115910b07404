"""Legacy tokens on a stack that accepts them: whom they admit where, and what they cannot do.

This file acts as the old endpoint: it holds the shared secret, which is random for each run.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from running_gate import Gate, Person, is_refused_at_the_gate, until
from running_gate.gate import ACCESS_TOKEN, ID_TOKEN

from headgate_cli.local.stack import Stack, running_stack

ACCESS = "gastown-access"
SECRET = secrets.token_hex(32)
VALUES: tuple[Any, ...] = (True, False, None, "true", 1, 1.0, "variant-a", {}, [True])


def legacy_settings() -> dict[str, Any]:
    """The parameters of a deployment that accepts legacy tokens."""
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    claims = {"user": "kiloUserId", "access": "gastownAccess", "admin": "isAdmin"}
    return {
        "algorithm": "HS256", "version": 3, "accept_until": later, "issued_before": later, "claims": claims
    }  # fmt: skip


@contextmanager
def stack_with_legacy_issuer(folder: Path, *, empty: bool = False) -> Iterator[Stack]:
    """A stack with those parameters."""
    file = folder / "old.json"
    file.write_text(json.dumps({"issuer": legacy_settings(), "secret": SECRET}))
    with running_stack(legacy=file, empty=empty) as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_with_legacy_issuer(tmp_path_factory.mktemp("old")) as running:
        yield running


def old_token(person: Person, secret: str = SECRET, headers: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A token as the old endpoint issued it, valid for an hour."""
    now = int(time.time())
    said = {"env": "production", "kiloUserId": person.user, "apiTokenPepper": None, "version": 3, "iat": now}
    return jwt.encode({**said, "exp": now + 3_600, **claims}, secret, algorithm="HS256", headers=dict(headers or {}))


def test_r35_without_flags_the_verdict_matches_the_old_gate(tmp_path: Path) -> None:
    """Without any flag, an admin's legacy token passes everywhere; any other value of the claim passes nowhere."""
    with stack_with_legacy_issuer(tmp_path, empty=True) as bare:
        gate = Gate(bare.ready)
        for value in VALUES:
            person = Person()
            answer = gate.create_town(person, old_token(person, isAdmin=value))
            assert answer.status == (201 if value is True else 403), value
        person = Person()
        assert is_refused_at_the_gate(gate.create_town(person, old_token(person)))
        assert is_refused_at_the_gate(gate.create_town(person, old_token(person, gastownAccess=True)))


def test_r39_combinations_of_old_claims(fresh: Gate) -> None:
    """Where nothing is decided live, the claims decide. Where something is, the flag decides for non-admins."""
    tokens = {
        "access": ({"gastownAccess": True}, 200, 403),
        "admin": ({"isAdmin": True}, 200, 201),
        "both": ({"gastownAccess": True, "isAdmin": True}, 200, 201),
        "neither": ({}, 403, 403),
    }
    for name, (claims, observed, entered) in tokens.items():
        person = Person()
        token = old_token(person, **claims)
        assert fresh.call("GET", "/api/towns", token=token).status == observed, name
        assert fresh.create_town(person, token).status == entered, name
    fresh.stage(ACCESS, "ga")
    for name, (claims, observed, _) in tokens.items():
        person = Person()
        assert fresh.create_town(person, old_token(person, **claims)).status == (201 if observed == 200 else 403), name


def test_r39_r45_only_json_true_counts_as_true(fresh: Gate) -> None:
    fresh.stage(ACCESS, "ga")
    for value in VALUES[1:]:
        person = Person()
        token = old_token(person, isAdmin=value, gastownAccess=value)
        assert is_refused_at_the_gate(fresh.call("GET", "/api/towns", token=token)), value
        assert is_refused_at_the_gate(fresh.create_town(person, token)), value


def test_r40_old_endpoint_token_still_passes(fresh: Gate) -> None:
    """For a listed user, next to a Headgate token of the same user. Other claims are ignored."""
    person = Person(orgs=("org-of-the-old",))
    fresh.stage(ACCESS, "allowlist")
    fresh.allow(ACCESS, users=[person.user])
    extra = {"sub": "root", "aud": ["x"], "admin": True, "entitlements": [ACCESS], "orgs": ["x"], "botId": "b"}
    old, own = old_token(person, gastownAccess=True, **extra), fresh.access_token(person)
    town = fresh.town(person, old)
    for token in (old, own):
        assert fresh.call("GET", f"/api/towns/{town}", token=token).expect(200).json["id"] == town
    assert fresh.call("GET", f"/api/towns/{town}", token=old_token(Person(), gastownAccess=True)).status == 404


def test_r20_invalid_old_token_is_rejected(fresh: Gate) -> None:
    person, now = Person(), int(time.time())
    bad = {
        "another secret": old_token(person, secrets.token_hex(32), isAdmin=True),
        "version 2": old_token(person, isAdmin=True, version=2),
        "version in words": old_token(person, isAdmin=True, version="3"),
        "expired": old_token(person, isAdmin=True, iat=now - 3_600, exp=now - 1),
        "longer than an hour": old_token(person, isAdmin=True, exp=now + 3_601),
        "another algorithm": jwt.encode({"kiloUserId": person.user, "version": 3, "isAdmin": True}, SECRET, "HS512"),
        "none": jwt.encode({"kiloUserId": person.user, "version": 3, "isAdmin": True}, None, "none"),
        "a type of ours": old_token(person, isAdmin=True, headers={"typ": "at+jwt"}),
        "its key along": old_token(person, isAdmin=True, headers={"jwk": {"kty": "oct"}}),
        "nobody's": old_token(person, isAdmin=True, kiloUserId=""),
    }
    for name, token in bad.items():
        assert is_refused_at_the_gate(fresh.call("GET", "/api/towns", token=token)), name


def test_kill_at_ga_denies_entry_to_old_tokens_and_running_work_continues(fresh: Gate) -> None:
    fresh.stage(ACCESS, "ga")
    person, root = Person(), Person()
    token, of_admin = old_token(person, gastownAccess=True), old_token(root, isAdmin=True)
    town = fresh.town(person, token)
    fresh.call("POST", f"/api/towns/{town}/container", token=token, body={}).expect(201)
    fresh.kill(ACCESS)
    assert is_refused_at_the_gate(fresh.create_town(person, token))
    fresh.create_town(root, of_admin).expect(201)
    fresh.call("GET", f"/api/towns/{town}/status", token=token).expect(200)
    fresh.call("PATCH", f"/api/towns/{town}/config", token=token, body={"merge_strategy": "direct"}).expect(200)
    fresh.call("DELETE", f"/api/towns/{town}/container", token=token).expect(200)
    assert is_refused_at_the_gate(fresh.create_town(person, old_token(person, gastownAccess=True))), (
        "issued after the revocation"
    )
    fresh.restore(ACCESS)
    fresh.create_town(person, token).expect(201)


def test_revoking_the_user_revokes_old_tokens(fresh: Gate) -> None:
    fresh.stage(ACCESS, "ga")
    person = Person()
    before = old_token(person, gastownAccess=True)
    fresh.create_town(person, before).expect(201)
    fresh.change("POST", "/admin/v1/revocations", {"subject": person.user, "reason": "a test"}).expect(201)
    assert is_refused_at_the_gate(fresh.create_town(person, before))
    until(lambda: fresh.call("GET", "/api/towns", token=before).status, lambda status: status == 403)
    later = int(time.time()) + 5
    fresh.create_town(person, old_token(person, gastownAccess=True, iat=later, exp=later + 60)).expect(201)


def test_old_token_is_rejected_outside_the_authorizer(fresh: Gate) -> None:
    fresh.stage(ACCESS, "ga")
    person = Person()
    for token in (old_token(person, isAdmin=True), old_token(person, gastownAccess=True)):
        for kind in (ACCESS_TOKEN, ID_TOKEN):
            assert fresh.exchange(token, kind).expect(400).json["error"] == "invalid_request"
        assert fresh.session(token, "town:1").expect(400).json["error"] == "invalid_request"
        assert fresh.session(token, "town:1", ID_TOKEN).expect(400).json["error"] == "invalid_request"
        fresh.evaluate(ACCESS, token).expect(401)
        machine = f"/api/towns/{secrets.token_hex(4)}/agents/a/heartbeat"
        assert is_refused_at_the_gate(fresh.call("POST", machine, token=token, body={}))
        assert fresh.call("GET", "/admin/v1/flags", token=token).status == 403


def test_old_tokens_are_counted_and_never_logged(fresh: Gate, stack: Stack) -> None:
    def old_token_count() -> int:
        return stack.logs.read_text().count('"LegacyTokens":1')

    before, person = old_token_count(), Person()
    token = old_token(person, gastownAccess=True)
    fresh.call("GET", "/api/towns", token=token).expect(200)
    fresh.call("GET", "/api/towns", token=old_token(person, secrets.token_hex(32), isAdmin=True)).expect(403)
    until(old_token_count, lambda seen: seen == before + 1)
    logs = stack.logs.read_text()
    assert not any(part in logs for part in (SECRET, person.user, *token.split(".")))
