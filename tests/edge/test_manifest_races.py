"""An apply is conditional on the state that its plan read: concurrent changes are never overwritten."""

import json

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from operators import check
from reference_table import Overtaken

WHY = {"reason": "a test", "allow_shrink": True}
OPEN = {**WHY, "allow_open": True}
ONE, OTHER, THIRD = ([{"route": f"GET /{name}", "class": "observe"}] for name in ("one", "other", "third"))


RACES = {
    "the first routes": (
        {}, {"routes": ONE},
        Ask("PUT /admin/v1/routes", {"routes": OTHER, **OPEN}, {}, {"if-match": '"0"'}),
    ),
    "routes": (
        {"routes": THIRD}, {"routes": ONE},
        Ask("PUT /admin/v1/routes", {"routes": OTHER, **OPEN}, {}, {"if-match": '"1"'}),
    ),
    "the first profile": ({}, {"access": "f"}, Ask("POST /admin/v1/manifest", {"max_stale": 5, **WHY})),
    "the profile": ({"access": "f"}, {"max_stale": 7}, Ask("POST /admin/v1/manifest", {"max_stale": 5, **WHY})),
    "a flag": (
        {}, {"flags": [{"key": "f", "stage": "allowlist"}]},
        Ask("POST /admin/v1/flags/{key}/stage", {"stage": "ga", **WHY}, {"key": "f"}, {"if-match": '"1"'}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RACES)
@quiet()
def test_an_apply_does_not_overwrite_a_concurrent_change(name: str) -> None:
    before, wanted, other = RACES[name]
    clock, table = FakeClock(), Overtaken()
    one, another = Desk(table, clock), Desk(table, clock)
    one.must(Ask("POST /admin/v1/manifest", {"flags": [{"key": "f"}], **before, **WHY}))
    table.before_write = lambda: another.must(other)
    reply = one.answers(Ask("POST /admin/v1/manifest", {**wanted, **OPEN}))
    assert (reply.status, reply.slug) == (412, "precondition-failed")
    in_force = one.must(Ask("GET /admin/v1/manifest")).body
    assert {member: in_force[member] for member in wanted}.items() != wanted.items()
    check(table)
    one.must(Ask("POST /admin/v1/manifest", {**wanted, **OPEN}))
    check(table)


WRITTEN = {"reason": "a test", "stage": "allowlist"}
MEANWHILE = {
    "killed": (Ask("POST /admin/v1/flags/{key}/kill", {"reason": "now"}, {"key": "f"}), 200),
    "mended": (Ask("PUT /admin/v1/flags/{key}", WRITTEN, {"key": "f"}, {"if-match": '"1"'}), 412),
}


@pytest.mark.parametrize("name", MEANWHILE)
@quiet()
def test_an_apply_repairs_an_unreadable_flag_which_stays_killed(name: str) -> None:
    other, status = MEANWHILE[name]
    clock, table = FakeClock(), Overtaken()
    one, another = Desk(table, clock), Desk(table, clock)
    one.must(Ask("POST /admin/v1/manifest", {"flags": [{"key": "f"}], **WHY}))
    place = table.partition("rules")
    body = json.loads(str(place["flag#f"]["body"])) | {"stage": "nonsense"}
    place["flag#f"] = {**place["flag#f"], "body": json.dumps(body)}
    fresh = Desk(table, clock)
    table.before_write = lambda: another.must(other)
    reply = fresh.answers(Ask("POST /admin/v1/manifest", {"flags": [{"key": "f", "stage": "ga"}], **WHY}))
    flag = fresh.must(Ask("GET /admin/v1/flags/{key}", None, {"key": "f"})).body
    assert (reply.status, flag["stage"]) == ((200, "ga") if status == 200 else (412, "allowlist"))
    assert (flag["killed"] is not None) is (name == "killed")
    assert set(fresh.must(Ask("GET /admin/v1/health")).body["killed_flags"]) == ({"f"} if name == "killed" else set())
