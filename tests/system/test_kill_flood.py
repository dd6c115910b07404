"""The kill under a flood of requests: its function has its own route, permission, and concurrency."""

from collections import Counter
from collections.abc import Iterator

import pytest
from exact_http import ExactHttp
from hammer import Call, Hammer, now
from killing import ACCESS, is_granted, kill, open_all, restore
from running_gate import Gate, Person

from headgate_cli.local.stack import running_stack

CLIENTS = 12


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A stack of its own: a flood slows it down for later tests."""
    with running_stack() as stack:
        yield Gate(stack.ready, ExactHttp())


def _mint(gate: Gate, identity: str) -> tuple[str, Call]:
    return "mint", lambda: gate.exchange(identity)


def test_a84_flood_does_not_delay_the_kill(gate: Gate) -> None:
    """A84: pages ask for flags, users for tokens, and operators for the log, all without pause. Every kill succeeds."""
    open_all(gate)
    token = gate.service_token()
    context = {"targetingKey": "somebody"}
    evaluate: tuple[str, Call] = ("evaluate", lambda: gate.evaluate_all(token, context))
    mints_of = [_mint(gate, gate.id_token(Person())) for _ in range(CLIENTS)]
    read: tuple[str, Call] = ("read", lambda: gate.signed("GET", "/admin/v1/audit?limit=1000"))
    with Hammer([[evaluate] * 4 + [mint, read] for mint in mints_of]) as flood:
        for _ in range(4):
            began = now()
            flood.wait(4 * CLIENTS, "evaluate", since=began)
            killed = kill(gate, ACCESS)
            flood.wait(CLIENTS, "mint", since=killed.ended)
            restored = restore(gate, ACCESS)
            mints = [shot.answer for shot in flood.between(killed.ended, restored.began) if shot.name == "mint"]
            assert mints
            assert not any(map(is_granted, mints))
        shots = flood.shots
    assert {shot.answer.status for shot in shots} <= {200, 403, 429}
    assert min(Counter(shot.name for shot in shots).values()) >= CLIENTS
