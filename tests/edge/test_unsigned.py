"""A call without a signature verified by API Gateway is refused: a route that lost its authorizer opens nothing."""

import json
from copy import deepcopy
from typing import Any

import pytest
from desk import Ask, Desk, event, quiet
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.core.changes.refusal import Slug
from headgate.edge.admin.call import handle
from headgate.openapi import SERVED

UNSIGNED: dict[str, Any] = {
    "no authorizer": None,
    "an empty authorizer": {},
    "no iam": {"iam": None},
    "an empty iam": {"iam": {}},
    "iam that is not an object": {"iam": "arn:aws:iam::123456789012:role/ops"},
    "the gate's own authorizer": {"lambda": {"subject": "alice", "admin": True}},
    "a JWT authorizer": {"jwt": {"claims": {"sub": "alice"}}},
    "an authorizer that is not an object": "iam",
    "no ARN": {"iam": {"userArn": None, "callerId": "AIDA"}},
    "an empty ARN": {"iam": {"userArn": "", "callerId": "AIDA"}},
    "an ARN that is not text": {"iam": {"userArn": 42}},
}
PATHS = {"key": "f", "id": "0" * 64, "import": "one"}


@pytest.mark.parametrize("authorizer", UNSIGNED.values(), ids=UNSIGNED)
@quiet()
def test_every_admin_route_refuses_an_unsigned_call(authorizer: Any) -> None:
    table = ReferenceTable()
    desk = Desk(table, FakeClock())
    desk.must(Ask("PUT /admin/v1/flags/{key}", {"reason": "for the test"}, PATHS, {"if-none-match": "*"}))
    before = deepcopy(table._rows)
    for route in SERVED:
        made = event(Ask(route, {"reason": "because", "stage": "ga"}, PATHS, {"if-match": '"1"'}), "request")
        made["requestContext"]["authorizer"] = authorizer
        answer = handle(desk.admin, SERVED, made)
        assert (answer["statusCode"], json.loads(answer["body"])["type"]) == (403, "urn:headgate:forbidden"), route
    assert table._rows == before


@quiet()
def test_a_function_with_one_route_serves_no_other() -> None:
    desk = Desk(ReferenceTable(), FakeClock())
    kill = "POST /admin/v1/flags/{key}/kill"
    made = event(Ask("GET /admin/v1/flags"), "request")
    answer = handle(desk.admin, {kill: SERVED[kill]}, made)
    assert json.loads(answer["body"])["type"] == f"urn:headgate:{Slug.NOT_FOUND}"
