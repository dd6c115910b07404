"""The answers of the token and evaluate functions, to valid and invalid calls, match the OpenAPI document."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from bad_bodies import MALFORMED, VALUES, encoded
from described import undescribed
from stand import ROOT, Stand

from headgate.edge.oauth import ACCESS_TOKEN, SESSION_TOKEN

FORMS: Mapping[str, Mapping[str, str]] = {
    "as it is": {},
    "a session": {"subject_token_type": ACCESS_TOKEN, "requested_token_type": SESSION_TOKEN, "session_id": "x"},
    "a session that is not": {"requested_token_type": SESSION_TOKEN, "session_id": "unheard-of"},
    "evaluation": {"scope": "evaluate"},
    "another grant": {"grant_type": "password"},
    "another audience": {"audience": "elsewhere"},
    "another scope": {"scope": "everything"},
    "no token": {"subject_token": ""},
    "garbled": {"subject_token": "a.b.c"},
    "too long": {"subject_token": "x" * 17_000},
    "delegation": {"actor_token": "x"},
}
TOKEN, FLAG, FLAGS = "POST /v1/token", "POST /ofrep/v1/evaluate/flags/{key}", "POST /ofrep/v1/evaluate/flags"


@pytest.fixture(scope="module", autouse=True)
def fresh(stand: Stand) -> None:
    stand.renew()


def sent(stand: Stand, name: str, **changed: Any) -> Any:
    """The answer to an event, with parts of it changed."""
    return stand.handlers[name.partition(".")[0]]({**stand.event(name), **changed}, None)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "events").glob("*.json")))
def test_event_answers_match_the_document(stand: Stand, name: str) -> None:
    if "routeKey" in stand.event(name) and not name.startswith(("authorizer.", "worker.")):
        assert undescribed(stand.event(name)["routeKey"], stand.replay(name)) == []


def test_form_answers_match_the_document(stand: Stand) -> None:
    good = dict(parse_qsl(stand.event("token.exchange")["body"]))
    access = stand.event("evaluate.single")["headers"]["authorization"].removeprefix("Bearer ")
    statuses = set()
    for name, changed in FORMS.items():
        own = {"subject_token": access} if changed.get("subject_token_type") == ACCESS_TOKEN else {}
        answer = sent(stand, "token.exchange", body=urlencode({**good, **own, **changed}))
        statuses.add(answer["statusCode"])
        assert undescribed(TOKEN, answer) == [], name
    unlabelled = sent(stand, "token.exchange", headers={})
    assert undescribed(TOKEN, unlabelled) == []
    assert statuses | {unlabelled["statusCode"]} == {200, 400, 403, 413, 415}


@pytest.mark.parametrize(("name", "route"), [("evaluate.single", FLAG), ("evaluate.bulk", FLAGS)])
def test_evaluation_answers_match_the_document(stand: Stand, name: str, route: str) -> None:
    good = {"context": {"targetingKey": "ada"}}
    bodies = [make(good) for make in MALFORMED.values()]
    bodies += [encoded({"context": value}) for value in VALUES.values()]
    bodies += [encoded({"context": {"targetingKey": value}}) for value in VALUES.values()]
    bodies += [encoded({"context": {"x": "y" * 40_000}})]
    statuses = set()
    for body in bodies:
        answer = sent(stand, name, body=body.decode("utf-8", "surrogateescape"))
        statuses.add(answer["statusCode"])
        assert undescribed(route, answer) == [], body[:80]
    assert statuses == {200, 400, 403, 413}


def test_repeated_evaluation_matches_the_document(stand: Stand) -> None:
    tag = stand.replay("evaluate.bulk")["headers"]["etag"]
    headers = {**stand.event("evaluate.bulk")["headers"], "if-none-match": tag}
    answer = sent(stand, "evaluate.bulk", headers=headers)
    assert answer["statusCode"] == 304
    assert undescribed(FLAGS, answer) == []


@pytest.mark.parametrize("key", ["unheard-of", "NO KEY", ""])
def test_evaluation_of_an_unknown_flag_matches_the_document(stand: Stand, key: str) -> None:
    answer = sent(stand, "evaluate.single", pathParameters={"key": key})
    assert answer["statusCode"] == (404 if key == "unheard-of" else 400)
    assert undescribed(FLAG, answer) == []
