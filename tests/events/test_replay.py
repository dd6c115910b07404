"""Every file in events/ is passed to the function it names, as API Gateway would, and gets the expected answer.

The functions run here with moto behind a real socket. Tokens are made at test time: a file says `${ID_TOKEN}` or
`${ACCESS_TOKEN}` where one belongs.
"""

from typing import Any

import pytest
from stand import ROOT, Stand

ANSWERS: dict[str, Any] = {
    "token.exchange": (200, "access"),
    "token.evaluation": (200, "evaluate"),
    "token.session": (200, "session"),
    "token.garbled": (400, "invalid_request"),
    "token.service": (200, "service"),
    "token.jwks": (200, "ES256"),
    "token.metadata": (200, "https://gate.example.com"),
    "evaluate.single": (200, "TARGETING_MATCH"),
    "evaluate.bulk": (200, "gastown-molecules"),
    "evaluate.unknown-flag": (404, "FLAG_NOT_FOUND"),
    "evaluate.no-token": (401, "token"),
    "authorizer.entry": True,
    "authorizer.observe": True,
    "authorizer.batch": True,
    "authorizer.machine-with-access-token": False,
    "authorizer.garbled": False,
    "admin.list-flags": (200, "gastown-access"),
    "admin.show-flag": (200, '"version":1'),
    "admin.stage": (200, '"percent":25'),
    "admin.stage-unknown": (400, "urn:headgate:invalid-body"),
    "admin.allow": (200, '"added":2'),
    "admin.members": (200, '"counts"'),
    "admin.restore": (200, '"killed":null'),
    "admin.create": (201, "new-thing"),
    "admin.delete": (204, ""),
    "admin.routes": (200, "gastown.createTown"),
    "admin.export": (200, '"access":"gastown-access"'),
    "admin.plan": (200, '"action":"create"'),
    "admin.apply": (200, "another-thing"),
    "admin.explain": (200, "ADMIN_ONLY"),
    "admin.preview": (200, '"gains":1,"loses":0'),
    "admin.audit": (200, "routes.replace"),
    "admin.checkpoint": (201, '"issuer":"https://gate.example.com"'),
    "admin.reconcile": (200, '"consistent":true,"findings":[]'),
    "admin.health": (200, '"status":"ok"'),
    "kill.kill": (200, '"reach":"gate"'),
    "kill.unknown-flag": (404, "urn:headgate:unknown-flag"),
    "worker.whoami": (200, '"subject":"ada"'),
    "worker.decision": (200, '"asks":{"beta":false}'),
    "worker.no-gate": (401, "urn:headgate:missing-context"),
}
"""Status and a significant part of the body; for the authorizer, whether it allows the request."""

ELSEWHERE = {"publish.stage", "webhook.stage", "checkpoint.schedule"}
"""Events that API Gateway does not send (tests/system/test_record_leaves.py)."""

CHANGES = ("admin.stage", "admin.allow", "admin.restore", "admin.create", "admin.delete", "admin.apply", "kill.kill")
"""These change the table: each starts with a fresh one, and so does the next event."""


def test_every_function_has_events_and_every_event_an_expected_answer() -> None:
    files = {path.stem for path in (ROOT / "events").glob("*.json")}
    assert files == ANSWERS.keys() | ELSEWHERE
    assert {name.partition(".")[0] for name in files} == {path.name for path in (ROOT / "functions").glob("*/")} | {
        "kill"
    }


@pytest.mark.parametrize("name", ANSWERS)
def test_event_gets_its_expected_answer(stand: Stand, name: str) -> None:
    if not stand.is_fresh:
        stand.renew()
    answer = stand.replay(name)
    stand.is_fresh = name not in CHANGES
    expected = ANSWERS[name]
    if isinstance(expected, bool):
        assert answer["isAuthorized"] is expected
        return
    status, part = expected
    assert answer["statusCode"] == status, answer["body"]
    assert part in answer["body"]


def test_no_event_contains_a_token() -> None:
    for path in (ROOT / "events").glob("*.json"):
        assert "eyJ" not in path.read_text(), path.name
