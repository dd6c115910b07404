"""Revocation of a subject's tokens up to now, and of one token: at once for live decisions, else within 5 s."""

import time
import uuid
from typing import Any

import jwt
import pytest
from refusals import Look, all_refused, beating, evaluating, is_refused, observing, starting
from running_gate import Answer, Gate, Person, is_refused_at_the_gate, until
from running_gate.gate import ID_TOKEN, REASON

ACCESS = "gastown-access"
REVOCATIONS = "/admin/v1/revocations"


@pytest.fixture
def opened(fresh: Gate) -> Gate:
    """Everybody is admitted."""
    fresh.stage(ACCESS, "ga")
    return fresh


def revoke(gate: Gate, key: str | None = None, **named: str) -> Answer:
    return gate.change("POST", REVOCATIONS, {"reason": REASON, **named}, key=key)


def claims(token: str) -> dict[str, Any]:
    read: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return read


def test_revoking_a_subject_rejects_earlier_tokens_and_not_later_ones(opened: Gate, alice: Person) -> None:
    token, other = opened.access_token(alice), Person()
    town = opened.town(alice, token)
    name = f"town:{town}"
    session, evaluation = opened.session_token(token, name), opened.evaluation_token(alice)
    others = opened.access_token(other)
    looks: dict[str, Look] = {
        "observe": observing(opened, token),
        "machine": beating(opened, town, session),
        "evaluate by an access token": evaluating(opened, token),
        "evaluate by its own": evaluating(opened, evaluation),
    }
    for look in looks.values():
        look().expect(200)

    answer = revoke(opened, subject=alice.user).expect(201)
    began = time.monotonic()
    assert is_refused_at_the_gate(starting(opened, alice, token)())
    for own in (token, session):
        opened.session(own, name).expect(400)
    opened.session(opened.id_token(alice), name, ID_TOKEN).expect(400)
    all_refused(looks, began=began)
    assert answer.json["kind"] == "subject"
    assert answer.revision == answer.json["revision"]

    until(lambda: opened.mint(alice), lambda answer: answer.status == 200, within=4)
    later = opened.access_token(alice)
    starting(opened, alice, later)().expect(201)
    assert claims(later)["iat"] > claims(token)["iat"]
    for look in (observing(opened, later), evaluating(opened, opened.evaluation_token(alice))):
        look().expect(200)
    renewed = opened.session_token(later, name)
    beating(opened, town, renewed)().expect(200)
    opened.session(renewed, name).expect(200)
    assert is_refused(beating(opened, town, session)()), "a new session does not make the old token valid again"
    starting(opened, other, others)().expect(201)


def test_revocation_reaches_routes_without_live_decision_within_five_seconds(opened: Gate, alice: Person) -> None:
    """No other request is made: a live decision would refresh the rules for everything its environment answers."""
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    session = opened.session_token(token, f"town:{town}")
    looks = {
        "observe": observing(opened, token),
        "machine": beating(opened, town, session),
        "evaluate": evaluating(opened, token),
    }
    for look in looks.values():
        look().expect(200)
    revoke(opened, subject=alice.user).expect(201)
    all_refused(looks, began=time.monotonic())


def test_revoking_one_token_affects_no_other(opened: Gate, alice: Person) -> None:
    one, two = opened.access_token(alice), opened.access_token(alice)
    looks = {"observe": observing(opened, one), "evaluate": evaluating(opened, one)}
    for look in looks.values():
        look().expect(200)
    revoke(opened, jti=claims(one)["jti"]).expect(201)
    began = time.monotonic()
    assert is_refused_at_the_gate(starting(opened, alice, one)())
    opened.session(one, "town:1").expect(400)
    all_refused(looks, began=began)
    starting(opened, alice, two)().expect(201)
    observing(opened, two)().expect(200)
    opened.session(two, "town:1").expect(200)


def test_revoking_a_session_token_leaves_its_session_alive(opened: Gate, alice: Person) -> None:
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    session = opened.session_token(token, f"town:{town}")
    beating(opened, town, session)().expect(200)
    revoke(opened, jti=claims(session)["jti"]).expect(201)
    opened.session(session, f"town:{town}").expect(400)
    all_refused({"machine": beating(opened, town, session)}, began=time.monotonic())
    beating(opened, town, opened.session_token(token, f"town:{town}"))().expect(200)


def test_admin_and_service_tokens_can_be_revoked(opened: Gate, root: Person) -> None:
    """No rule denies an admin, but a revocation does. A service's subject is the principal that signed.

    Its new token is as old as the rules of the environment that minted it: up to 5 s, and a denial covers 2 s more.
    """
    token, service = opened.access_token(root), opened.service_token()
    about = {"targetingKey": root.user}
    evaluate = lambda: opened.evaluate_all(service, about)  # noqa: E731  # same form as the other requests
    evaluate().expect(200)
    revoke(opened, subject=root.user).expect(201)
    assert is_refused_at_the_gate(starting(opened, root, token)())
    revoke(opened, subject=claims(service)["sub"]).expect(201)
    all_refused({"service": evaluate}, began=time.monotonic())
    until(lambda: opened.evaluate_all(opened.service_token(), about).status, lambda status: status == 200, within=8)


def test_repeated_revocation_gets_the_stored_answer_and_one_entry(opened: Gate, alice: Person) -> None:
    key, revision = uuid.uuid4().hex, opened.revision()
    answer = revoke(opened, key=key, subject=alice.user).expect(201)
    replayed = revoke(opened, key=key, subject=alice.user).expect(201)
    assert (replayed.body, replayed.revision) == (answer.body, answer.revision)
    assert revoke(opened, key=key, subject="another").expect(422).slug == "idempotency-key-reused"
    assert revoke(opened, key=key, jti=alice.user).expect(422).slug == "idempotency-key-reused"
    (entry,) = opened.audit(after=revision)
    assert (entry["action"], entry["before"], entry["reason"]) == ("deny.revoke", None, REASON)
    assert (entry["after"]["kind"], entry["after"]["value"]) == ("subject", alice.user)
    again = revoke(opened, subject=alice.user).expect(201).json
    assert again["revision"] == answer.json["revision"] + 1
    assert again["at"] >= answer.json["at"]
