"""The kill under load: no stale grant from the moment it answers, and running work continues."""

from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest
from exact_http import ExactHttp
from hammer import Call, Hammer, Shot, now
from killing import ACCESS, BATCH, heartbeat, is_granted, kill, make_session, open_all, post, restore
from running_gate import Gate, Person

from headgate_cli.local.stack import running_stack

CLIENTS = 8
DOORS = ("mint", "batch", "session", "town")


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A stack of its own: many towns slow moto down for later tests."""
    with running_stack() as stack:
        yield Gate(stack.ready, ExactHttp())


def eager_client(gate: Gate, person: Person) -> list[tuple[str, Call]]:
    """A non-admin who tries every way in, with an earlier token."""
    identity, token = gate.id_token(person), gate.access_token(person)
    numbers = count()
    mint: tuple[str, Call] = ("mint", lambda: gate.exchange(identity))
    batch: tuple[str, Call] = ("batch", lambda: post(gate, BATCH, token))
    town: tuple[str, Call] = ("town", lambda: gate.create_town(person, token))
    session: tuple[str, Call] = ("session", lambda: gate.session(token, f"new:{next(numbers)}"))
    return [mint, batch, town, mint, batch, session, mint, batch, batch]


def steady_client(gate: Gate, person: Person) -> list[tuple[str, Call]]:
    """Work that was admitted before: heartbeats and session renewals."""
    town, _, session = make_session(gate, person)
    beat: tuple[str, Call] = ("beat", lambda: heartbeat(gate, town, session))
    return [beat, beat, ("renew", lambda: gate.session(session, f"town:{town}"))]


def admin_client(gate: Gate, person: Person) -> list[tuple[str, Call]]:
    """An admin, whom the kill does not affect."""
    identity, token = gate.id_token(person), gate.access_token(person)
    return [("admin mint", lambda: gate.exchange(identity)), ("admin batch", lambda: post(gate, BATCH, token))]


def test_no_stale_grant_under_load(gate: Gate) -> None:
    """Four kills in one run. A call that overlaps the kill's answer may go either way and is not counted."""
    open_all(gate)
    clients = [eager_client(gate, Person()) for _ in range(CLIENTS)]
    clients += [steady_client(gate, Person()), steady_client(gate, Person()), admin_client(gate, Person(admin=True))]
    totals: Counter[str] = Counter()
    with Hammer(clients) as hammer:
        for role in ("kill_operator", "admin", "kill_operator", "admin"):
            began = now()
            hammer.wait(12, "batch", since=began)
            killed = kill(gate, ACCESS, role=role)
            hammer.wait(48, "batch", since=killed.ended)
            restored = restore(gate, ACCESS)
            tally(totals, "open", hammer.between(began, killed.began))
            tally(totals, "killed", hammer.between(killed.ended, restored.began))
            again = now()
            hammer.wait(12, "batch", since=again)
            tally(totals, "restored", hammer.between(again, now()))
        shots = hammer.shots
    print(f"{len(shots)} calls: {dict(sorted(totals.items()))}")

    for door in DOORS:
        assert totals[f"killed {door} granted"] == 0
        assert totals[f"killed {door} refused"] > 0
        assert totals[f"open {door} refused"] == 0
        assert totals[f"restored {door} refused"] == 0
    passing = [shot for shot in shots if shot.name in ("beat", "renew", "admin mint", "admin batch")]
    assert [shot for shot in passing if not is_granted(shot.answer)] == []
    assert min(Counter(shot.name for shot in passing).values()) >= 12
    assert {shot.answer.status for shot in shots} <= {200, 201, 403, 501}


def tally(totals: Counter[str], phase: str, shots: list[Shot]) -> None:
    """Count the outcomes of a phase's calls."""
    for shot in shots:
        totals[f"{phase} {shot.name} {'granted' if is_granted(shot.answer) else 'refused'}"] += 1
