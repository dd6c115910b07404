"""How long it takes until what was revoked is refused where no decision is live: promised are 5 s."""

import time
from collections.abc import Callable, Mapping

from running_gate import Answer, Gate, Person, is_refused_at_the_gate, until

WITHIN = 5.0 + 3.0
"""Seconds: what is promised, and the rest for a busy machine."""

Look = Callable[[], Answer]


def observing(gate: Gate, token: str) -> Look:
    """A route of class `observe`."""
    return lambda: gate.call("GET", "/api/towns", token=token)


def beating(gate: Gate, town: str, session: str) -> Look:
    """A route of class `machine`."""
    return lambda: gate.call("POST", f"/api/towns/{town}/agents/agent-1/heartbeat", token=session, body={})


def evaluating(gate: Gate, token: str) -> Look:
    """Every flag over OFREP."""
    return lambda: gate.evaluate_all(token)


def starting(gate: Gate, person: Person, token: str) -> Look:
    """A route of class `entry`."""
    return lambda: gate.create_town(person, token)


def is_refused(answer: Answer) -> bool:
    """By the gate, or by evaluate, which verifies for itself."""
    return is_refused_at_the_gate(answer) or (answer.status == 401 and "token is required" in answer.text)


def all_refused(looks: Mapping[str, Look], *, began: float) -> dict[str, float]:
    """Seconds from `began` until each was refused; all are asked in turns. Says them."""
    took: dict[str, float] = {}

    def ask() -> bool:
        for name in looks.keys() - took.keys():
            if is_refused(looks[name]()):
                took[name] = time.monotonic() - began
        return took.keys() == looks.keys()

    until(ask, within=WITHIN)
    print(", ".join(f"{name} refused after {seconds:.1f} s" for name, seconds in sorted(took.items())))
    return took
