"""The OpenAPI document is correct: every answer of the admin API, to valid and invalid calls, is as described."""

import json
from typing import Any

import pytest
from bad_bodies import MALFORMED, MISFIT, UNREASONED, VALUES, encoded
from described import described, operation, responses, undescribed
from good_calls import GOOD, OWN, SPOILT, Place, slug_of

from headgate.openapi import SERVED
from headgate.openapi.calls import slugs

REFUSALS = [(route, slug) for route in SERVED for slug in sorted(slugs(route, SERVED[route]))]
WITH_BODY = [route for route in SERVED if SERVED[route].body is not None]


def test_every_route_has_a_valid_call_here() -> None:
    assert set(GOOD) == set(SERVED), "a new route needs a good call in tests/support/good_calls.py"


@pytest.mark.parametrize("route", SERVED)
def test_a_valid_call_is_answered_as_described(route: str) -> None:
    place = Place()
    answer = place.send(GOOD[route])
    assert answer["statusCode"] in SERVED[route].answers, answer["body"]
    assert undescribed(route, answer) == []
    assert undescribed(route, place.send(GOOD[route])) == []


@pytest.mark.parametrize(("route", "slug"), REFUSALS)
def test_every_described_refusal_occurs_as_described(route: str, slug: str) -> None:
    spoil = OWN.get((route, slug)) or SPOILT[slug]
    answer = spoil(Place(), GOOD[route])
    assert slug_of(answer) == slug, answer["body"]
    assert undescribed(route, answer) == []


def test_every_known_refusal_of_a_call_is_described() -> None:
    assert set(OWN) <= set(REFUSALS)


@pytest.mark.parametrize("route", WITH_BODY)
def test_the_answer_to_any_body_is_described(route: str) -> None:
    """Bodies that are not JSON, have another shape, have no reason, or have a wrong value for any member."""
    place, good = Place(), GOOD[route].body
    sent = [make(good) for make in (*MALFORMED.values(), *MISFIT.values())]
    sent += [encoded(make(good)) for make in UNREASONED.values()]
    sent += [encoded({**good, name: value}) for name in members(route) for value in VALUES.values()]
    faults = {body[:80]: undescribed(route, place.send(GOOD[route], body)) for body in sent}
    assert {body: found for body, found in faults.items() if found} == {}


def members(route: str) -> list[str]:
    """The members of the body, as described."""
    schema = operation(route)["requestBody"]["content"]["application/json"]["schema"]
    name = schema["$ref"].rpartition("/")[2]
    return list(described()["components"]["schemas"][name].get("properties", {}))


QUERIES: dict[str, list[str]] = {
    "limit": ["1", "3", "0", "1001", "x", "-1", "", "٣"],
    "cursor": ["", "x", "W10", "WyJmbGFncyIsICJmIl0", "é"],
    "kind": ["org", "user", "team"],
    "flag": ["f", "", "unheard-of"],
    "actor": ["arn:aws:iam::123456789012:role/ops", "x"],
    "action": ["flag.kill", ""],
    "after": ["0", "3", "999999999999", "9999999999999", "-1", "x"],
    "before": ["0", "3", "x"],
    "since": ["2026-05-01T00:00:00Z", "2099-01-01T00:00:00+05:00", "yesterday", "0001-01-01T00:00:00+23:59", ""],
    "until": ["2026-05-01T00:00:00Z", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "1"],
    "as_of": ["0", "3", "2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "99", "now", "-1", "1.5", "", "9" * 40],
}


@pytest.mark.parametrize("route", [route for route in SERVED if set(SERVED[route].takes.split()) & set(QUERIES)])
def test_the_answer_to_any_query_is_described(route: str) -> None:
    place = Place()
    for name in SERVED[route].takes.split():
        for value in QUERIES.get(name, ()):
            answer = place.send(GOOD[route], query={name: value})
            assert undescribed(route, answer) == [], (name, value)


def test_every_page_is_answered_as_described() -> None:
    place = Place()
    for route in ("GET /admin/v1/flags", "GET /admin/v1/audit", "GET /admin/v1/flags/{key}/allow"):
        query, seen = {"limit": "1"}, 0
        while True:
            answer = place.send(GOOD[route], query=query)
            assert undescribed(route, answer) == []
            seen += 1
            following: Any = json.loads(answer["body"])["next"]
            if following is None:
                break
            query["cursor"] = following
        assert seen > 1 or route.endswith("allow")


def test_the_check_finds_undescribed_answers() -> None:
    route = "GET /admin/v1/flags/{key}"
    good = Place().send(GOOD[route])
    flag = json.loads(good["body"])
    assert undescribed(route, good) == []
    for wrong in (
        {"statusCode": 418},
        {"body": json.dumps({**flag, "salty": 1})},
        {"body": json.dumps({**flag, "stage": "everyone"})},
        {"body": json.dumps({name: value for name, value in flag.items() if name != "owner"})},
        {"headers": {**good["headers"], "content-type": "text/html"}},
        {"headers": {**good["headers"], "x-headgate-revision": "new"}},
    ):
        assert undescribed(route, {**good, **wrong}), wrong
    assert "503" in responses(route)
