"""Every answer fits into Lambda's response: pages are bounded by bytes as well as by count, and nothing is left out."""

import json
from typing import Any

import pytest
from desk import Ask, Desk, event, quiet
from in_memory_gate import ADMIN, Environment, InMemoryGate

from headgate.edge.admin.call import handle
from headgate.edge.http import ANSWER_BYTES
from headgate.openapi import SERVED

LAMBDA = 6 * 1024 * 1024
NEW = {"if-none-match": "*"}
QUOTES = '"' * 4_000
"""Each of these takes four bytes in Lambda's response: it is escaped twice."""


def fat(number: int) -> dict[str, Any]:
    """A flag of some 50 KB."""
    values = {"on": {"text": [QUOTES] * 3}, "off": {"text": []}}
    users = [f"user-{number}-{n:04}-{'x' * 20}" for n in range(700)]
    return {"values": values, "allow": {"users": users}, "stage": "allowlist"}


@pytest.fixture(scope="module")
def gate() -> InMemoryGate:
    """Ninety fat flags, each made, killed, and made again: an audit stream of some 15 MB."""
    gate = InMemoryGate()
    desk = gate.desk()
    with quiet():
        for number in range(90):
            key = {"key": f"f{number:02}"}
            desk.must(Ask("PUT /admin/v1/flags/{key}", {**fat(number), "reason": "x"}, key, NEW))
            desk.must(Ask("POST /admin/v1/flags/{key}/kill", {"reason": "x" * 1_000}, key))
        for number in range(1_200):
            subject = "\U0001f600" * 60 + str(number)
            gate.start_session(subject, f"{number}" + "s" * 120)
    return gate


def pages(gate: InMemoryGate, route: str, member: str) -> list[list[Any]]:
    """All pages of a list, each checked for its size as Lambda sends it."""
    found: list[list[Any]] = []
    cursor: str | None = None
    desk = gate.desk()
    while not found or cursor:
        limit = {} if member == "manifest" else {"limit": "1000"}
        ask = Ask(f"GET /admin/v1/{route}", query={**limit, **({"cursor": cursor} if cursor else {})})
        response = handle(desk.admin, SERVED, event(ask, "request"))
        assert response["statusCode"] == 200
        assert len(json.dumps(response).encode()) < LAMBDA
        body = json.loads(response["body"])
        found.append(body["flags" if member == "manifest" else member])
        cursor = body.get("next")
    return found


@quiet()
@pytest.mark.parametrize(
    ("route", "member", "name", "count"),
    [
        ("flags", "flags", "key", 90), ("kills", "flags", "key", 90), ("audit", "entries", "revision", 180),
        ("sessions", "sessions", "id", 1_200), ("manifest", "manifest", "key", 90),
    ],
)  # fmt: skip
def test_a_list_of_any_size_is_read_page_by_page(
    gate: InMemoryGate, route: str, member: str, name: str, count: int
) -> None:
    found = pages(gate, route, member)
    names = [one[name] for page in found for one in page]
    assert (len(names), len(set(names))) == (count, count)
    assert len(found) == 1 if route == "kills" else len(found) > 1


@quiet()
def test_an_export_in_pages_is_of_one_revision(gate: InMemoryGate) -> None:
    desk: Desk = gate.desk()
    first = desk.must(Ask("GET /admin/v1/manifest"))
    change = Ask(
        "POST /admin/v1/flags/{key}/stage", {"stage": "ga", "reason": "x"}, {"key": "f89"}, {"if-match": '"2"'}
    )
    desk.must(change)
    second = desk.must(Ask("GET /admin/v1/manifest", query={"cursor": first.body["next"]}))
    assert second.headers["x-headgate-revision"] == first.headers["x-headgate-revision"] == "180"
    assert second.body.keys() <= {"flags", "next"}
    rest = second.body
    while "next" in rest:
        rest = desk.must(Ask("GET /admin/v1/manifest", query={"cursor": rest["next"]})).body
    assert rest["flags"][-1]["stage"] == "allowlist"
    forged = Ask("GET /admin/v1/manifest", query={"cursor": "x"})
    assert desk.answers(forged).slug == "invalid-cursor"


@quiet()
def test_an_evaluation_of_all_flags_names_those_that_do_not_fit(gate: InMemoryGate) -> None:
    environment = Environment(gate.table, gate.clock)
    outcome = environment.asks("evaluate all", ADMIN)
    assert outcome.status == 200
    flags = outcome.body["flags"]
    assert [flag["key"] for flag in flags] == [f"f{number:02}" for number in range(90)]
    failed = [flag for flag in flags if "errorCode" in flag]
    assert 0 < len(failed) < 90
    assert all(flag["value"]["text"] for flag in flags if flag not in failed)
    assert len(json.dumps(json.dumps(outcome.body, ensure_ascii=False))) <= ANSWER_BYTES
