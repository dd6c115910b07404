"""Signing keys: rotation without interruption, and emergency revocation with immediate effect.

With a stack of its own, since all other tests depend on the keys.
"""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from joserfc import jwt as jose
from joserfc.jwk import KeySet
from refusals import Look, all_refused, beating, evaluating, is_refused, observing, starting
from running_gate import Answer, Gate, Person, is_refused_at_the_gate, until
from running_gate.gate import ID_TOKEN, REASON

from headgate_cli.local.stack import running_stack

ACCESS = "gastown-access"
KEYS, JWKS = "/admin/v1/keys", "/.well-known/jwks.json"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A stack with its initial keys, at GA."""
    with running_stack() as stack:
        client = Gate(stack.ready)
        client.stage(ACCESS, "ga")
        yield client
        client.http.close()


def move(gate: Gate, what: str, key: str | None = None, **named: str) -> Answer:
    return gate.change("POST", f"{KEYS}/{what}", {"reason": REASON, **named}, key=key)


def states(answer: Answer) -> dict[str, str]:
    """State by key id."""
    return {key["kid"]: key["state"] for key in answer.expect(200).json["keys"]}


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def published(gate: Gate) -> set[str]:
    """The published key ids."""
    return {str(key["kid"]) for key in gate.call("GET", JWKS).expect(200).json["keys"]}


class Verifiers:
    """Stock libraries that know only the JWKS URL. Each keeps the keys it fetched first."""

    def __init__(self, gate: Gate) -> None:
        self._client = jwt.PyJWKClient(gate.api + JWKS, cache_keys=True, lifespan=300)
        self._fetched = KeySet.import_key_set(gate.call("GET", JWKS).expect(200).json)
        self._audience = gate.ready["audience"]

    def verify(self, token: str) -> dict[str, Any]:
        """The claims, as both libraries read them."""
        key = self._client.get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], audience=self._audience)
        assert jose.decode(token, self._fetched, algorithms=["ES256"]).claims == claims
        return claims


def test_rotation_keeps_issued_tokens_valid(gate: Gate) -> None:
    """Two rotations in a row; a third is refused until a key's tokens have expired. Earlier JWKS fetches still work."""
    alice, verifiers = Person(), Verifiers(gate)
    ring = states(gate.signed("GET", KEYS, role="viewer"))
    first, second, third = ring
    assert ring == {first: "active", second: "next", third: "next"}
    assert gate.signed("GET", KEYS).json["keys"][0] == {
        "kid": first, "state": "active", "since": None, "age_seconds": None
    }  # fmt: skip
    old = gate.access_token(alice)
    town = gate.town(alice, old)
    session, evaluation = gate.session_token(old, f"town:{town}"), gate.evaluation_token(alice)
    assert {kid(token) for token in (old, session, evaluation)} == {first}
    verifiers.verify(old)

    rotated = move(gate, "rotate")
    assert states(rotated) == {first: "previous", second: "active", third: "next"}
    assert rotated.json["keys"][1]["age_seconds"] in range(5)
    new = gate.access_token(alice)
    assert kid(new) == second
    assert published(gate) == {first, second, third}
    for token in (old, new):
        assert verifiers.verify(token)["sub"] == alice.user
        starting(gate, alice, token)().expect(201)
        observing(gate, token)().expect(200)
        evaluating(gate, token)().expect(200)
    beating(gate, town, session)().expect(200)
    evaluating(gate, evaluation)().expect(200)
    renewed = gate.session(session, f"town:{town}").expect(200).json["access_token"]
    assert kid(renewed) == second
    beating(gate, town, renewed)().expect(200)
    assert gate.signed("GET", "/admin/v1/health").json["status"] == "ok"

    assert states(move(gate, "rotate")) == {first: "previous", second: "previous", third: "active"}
    newest = gate.access_token(alice)
    assert kid(newest) == third
    for token in (old, new, newest):
        assert verifiers.verify(token)["sub"] == alice.user
        observing(gate, token)().expect(200)
        evaluating(gate, token)().expect(200)
        starting(gate, alice, token)().expect(201)
    refused = move(gate, "rotate")
    assert (refused.status, refused.slug) == (409, "cannot-rotate")
    assert states(gate.signed("GET", KEYS)) == {first: "previous", second: "previous", third: "active"}
    assert kid(gate.access_token(alice)) == third


def test_tokens_of_a_revoked_key_are_rejected_and_the_next_key_signs(gate: Gate) -> None:
    alice, root = Person(), Person(admin=True)
    first, second, third = states(gate.signed("GET", KEYS))
    token, admins = gate.access_token(alice), gate.access_token(root)
    town = gate.town(alice, token)
    session, evaluation = gate.session_token(token, f"town:{town}"), gate.evaluation_token(alice)
    looks: dict[str, Look] = {
        "observe": observing(gate, token),
        "machine": beating(gate, town, session),
        "evaluate": evaluating(gate, evaluation),
    }
    for look in looks.values():
        look().expect(200)
    assert published(gate) == {first, second, third}

    assert states(move(gate, "revoke", kid=first)) == {first: "revoked", second: "active", third: "next"}
    began = time.monotonic()
    until(lambda: published(gate), lambda kids: kids == {second, third}, within=8)
    print(f"not published after {time.monotonic() - began:.1f} s")
    all_refused(looks, began=began)
    for person, lost in ((alice, token), (root, admins)):
        assert is_refused_at_the_gate(starting(gate, person, lost)())
    gate.session(session, f"town:{town}").expect(400)
    gate.session(token, "town:new").expect(400)

    new = gate.access_token(alice)
    assert kid(new) == second
    starting(gate, alice, new)().expect(201)
    again = gate.session(gate.id_token(alice), f"town:{town}", ID_TOKEN).expect(200).json["access_token"]
    beating(gate, town, again)().expect(200)
    assert Verifiers(gate).verify(new)["sub"] == alice.user
    assert states(move(gate, "revoke", kid=first)) == {first: "revoked", second: "active", third: "next"}


def test_key_revocation_is_immediate_for_live_decisions(gate: Gate) -> None:
    """The first request after the answer is refused. Every key but the last can be revoked."""
    alice = Person()
    ring = list(states(gate.signed("GET", KEYS)))
    for lost in ring[:-1]:
        token = gate.access_token(alice)
        assert kid(token) == lost
        starting(gate, alice, token)().expect(201)
        move(gate, "revoke", kid=lost).expect(200)
        assert is_refused_at_the_gate(starting(gate, alice, token)())
        gate.session(token, "town:1").expect(400)
        gate.mint(alice).expect(200)
    last = move(gate, "revoke", kid=ring[-1])
    assert (last.status, last.slug) == (409, "cannot-rotate")
    assert "last key" in last.json["detail"]
    assert (rotated := move(gate, "rotate")).slug == "cannot-rotate", rotated
    starting(gate, alice, gate.access_token(alice))().expect(201)
    assert gate.signed("GET", "/admin/v1/health").json["status"] == "ok"


def test_each_key_change_is_audited_once_and_its_answer_stored(gate: Gate) -> None:
    revision, key = gate.revision(), uuid.uuid4().hex
    once = move(gate, "rotate", key=key)
    again = move(gate, "rotate", key=key)
    assert (states(once), once.body, once.revision) == (states(again), again.body, again.revision)
    lost = next(name for name, state in states(once).items() if state == "previous")
    assert move(gate, "revoke", key=key, kid=lost).expect(422).slug == "idempotency-key-reused"
    move(gate, "revoke", kid=lost).expect(200)
    rotation, revocation = gate.audit(after=revision)
    assert [entry["action"] for entry in (rotation, revocation)] == ["keys.rotate", "keys.revoke"]
    assert rotation["before"] is None
    assert rotation["after"] == revocation["before"]
    assert {item["kid"]: item["state"] for item in revocation["after"]["keys"]}[lost] == "revoked"
    assert all(set(item) == {"kid", "state", "since"} for item in revocation["after"]["keys"]), "no key material"
    verified = gate.audit()
    assert [entry["prev"] for entry in verified[1:]] == [entry["digest"] for entry in verified[:-1]]


def test_service_token_of_a_revoked_key_is_rejected(gate: Gate) -> None:
    service = gate.service_token()
    look = lambda: gate.evaluate_all(service, {"targetingKey": "somebody"})  # noqa: E731  # same form as `again`
    look().expect(200)
    move(gate, "revoke", kid=kid(service)).expect(200)
    until(lambda: is_refused(look()), within=8)
    # the token function learns of it by its own clock: until then it signs with the old key, and every verifier refuses
    again = lambda: gate.evaluate_all(gate.service_token(), {"targetingKey": "somebody"})  # noqa: E731  # same form as `look`
    until(again, lambda answer: answer.status == 200, within=8)
