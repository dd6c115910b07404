"""A flag that comes from PostHog, with its key there: its users stay where they are, however the flag is written."""

from hashlib import sha1
from typing import Any

import pytest
from desk import Ask, Desk
from in_memory_gate import InMemoryGate

from headgate.core.decision import decide
from headgate.core.model import Subject

KEY, THERE, PERCENT = "new-checkout-flow", "newCheckoutFlow", 40
FLAG = {"stage": "percentage", "percent": PERCENT, "algorithm": "posthog-v1", "hash_key": THERE}
PUT = "PUT /admin/v1/flags/{key}"
PEOPLE = [f"distinct_id_{number}" for number in range(100)]


def is_in_posthog(person: str) -> bool:
    """PostHog's published rule."""
    return int(sha1(f"{THERE}.{person}".encode()).hexdigest()[:15], 16) / 0xFFFFFFFFFFFFFFF <= PERCENT / 100


def created(desk: Desk) -> Any:
    put = Ask(PUT, {**FLAG, "reason": "moved"}, path={"key": KEY}, headers={"if-none-match": "*"})
    return desk.must(put)


def replaced(desk: Desk) -> Any:
    etag = created(desk).etag
    return desk.must(Ask(PUT, {**FLAG, "reason": "again"}, path={"key": KEY}, headers={"if-match": etag}))


def applied(desk: Desk) -> Any:
    return desk.must(Ask("POST /admin/v1/manifest", {"flags": [{"key": KEY, **FLAG}], "reason": "moved"}))


@pytest.mark.parametrize("write", [created, replaced, applied])
def test_users_of_posthog_stay_where_they_are(write: Any) -> None:
    gate = InMemoryGate()
    write(gate.desk())
    rules = gate.cold().soft().snapshot.rules
    assert (rules.flags[KEY].hash_key, rules.flags[KEY].salt) == (THERE, "")
    for person in PEOPLE:
        assert decide(rules, KEY, Subject(user=person)).value is is_in_posthog(person)
