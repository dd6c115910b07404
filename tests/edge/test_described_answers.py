"""The OpenAPI document is true: whatever the admin API answers, to good calls and bad, is what it says of that call."""

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


def test_there_is_a_good_call_of_every_route() -> None:
    assert set(GOOD) == set(SERVED), "a new route needs a good call in tests/support/good_calls.py"


@pytest.mark.parametrize("route", SERVED)
def test_a_good_call_is_answered_as_described(route: str) -> None:
    place = Place()
    answer = place.send(GOOD[route])
    assert answer["statusCode"] in SERVED[route].answers, answer["body"]
    assert undescribed(route, answer) == []
    assert undescribed(route, place.send(GOOD[route])) == []


@pytest.mark.parametrize(("route", "slug"), REFUSALS)
def test_every_refusal_that_is_described_is_made_and_as_described(route: str, slug: str) -> None:
    spoil = OWN.get((route, slug)) or SPOILT[slug]
    answer = spoil(Place(), GOOD[route])
    assert slug_of(answer) == slug, answer["body"]
    assert undescribed(route, answer) == []


def test_every_refusal_that_is_known_of_one_call_is_described() -> None:
    assert set(OWN) <= set(REFUSALS)


@pytest.mark.parametrize("route", WITH_BODY)
def test_whatever_is_sent_the_answer_is_described(route: str) -> None:
    """Bodies that are no JSON, of another shape, without a reason, with a wrong value for each member there may be."""
    place, good = Place(), GOOD[route].body
    sent = [make(good) for make in (*MALFORMED.values(), *MISFIT.values())]
    sent += [encoded(make(good)) for make in UNREASONED.values()]
    sent += [encoded({**good, name: value}) for name in members(route) for value in VALUES.values()]
    faults = {body[:80]: undescribed(route, place.send(GOOD[route], body)) for body in sent}
    assert {body: found for body, found in faults.items() if found} == {}


def members(route: str) -> list[str]:
    """Of the body, as described."""
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
def test_whatever_is_asked_the_answer_is_described(route: str) -> None:
    place = Place()
    for name in SERVED[route].takes.split():
        for value in QUERIES.get(name, ()):
            answer = place.send(GOOD[route], query={name: value})
            assert undescribed(route, answer) == [], (name, value)


def test_pages_are_described_to_their_end() -> None:
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


def test_the_checks_find_what_is_wrong() -> None:
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
