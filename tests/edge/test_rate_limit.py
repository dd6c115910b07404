"""One subject gets only so many tokens in an environment, and no more signatures; all others get theirs."""

import json
from random import Random

import pytest
from in_memory_gate import ADMIN, Environment, InMemoryGate, event

from headgate.edge.oauth import GRANT, ID_TOKEN
from headgate.edge.rate_limit import BURST, MAX_SUBJECTS, RATE, RateLimit

NOW = 1_790_000_000.25


def test_a_subject_may_have_a_burst_and_then_the_rate() -> None:
    limit = RateLimit()
    assert [limit.allows("alice", NOW) for _ in range(BURST + 20)] == [True] * BURST + [False] * 20
    assert limit.allows("bob", NOW)
    for second in range(1, 30):
        allowed = [limit.allows("alice", NOW + second) for _ in range(RATE + 3)]
        assert allowed == [True] * RATE + [False] * 3, second
    assert sum(limit.allows("alice", NOW + 1_000) for _ in range(2 * BURST)) == BURST


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    limit = RateLimit()
    for _ in range(BURST):
        limit.allows("alice", NOW)
    assert not limit.allows("alice", NOW - 3_600)
    assert limit.allows("alice", NOW - 3_600 + 1 / RATE)


@pytest.mark.parametrize("seed", range(3))
def test_no_second_has_more_than_burst_and_rate(seed: int) -> None:
    dice, limit, now, given = Random(seed), RateLimit(), NOW, []
    for _ in range(3_000):
        now += dice.expovariate(20)
        if limit.allows("alice", now):
            given.append(now)
    for start in given:
        assert sum(start <= at <= start + 10 for at in given) <= BURST + 10 * RATE + 1


def test_memory_is_bounded() -> None:
    limit = RateLimit()
    for number in range(MAX_SUBJECTS + 500):
        limit.allows(f"user-{number}", NOW)
    assert len(limit._due) == MAX_SUBJECTS


def test_a_flood_by_a_verified_subject_costs_no_signatures_and_no_reads() -> None:
    gate = InMemoryGate()
    environment, signed = Environment(gate.table, gate.clock), []
    environment.kms.before_sign = lambda: signed.append(1)

    def asks(person: str) -> dict[str, object]:
        form = {"grant_type": GRANT, "subject_token": person, "subject_token_type": ID_TOKEN}
        answer: dict[str, object] = environment.token(event("POST /v1/token", form=form))
        return answer

    answers = [asks(ADMIN) for _ in range(BURST + 50)]
    assert [answer["statusCode"] for answer in answers] == [200] * BURST + [429] * 50
    assert len(signed) == BURST
    last = answers[-1]
    assert last["headers"]["retry-after"] == "1"
    assert json.loads(str(last["body"]))["error"] == "temporarily_unavailable"
    assert asks("alice")["statusCode"] == 403, "as an empty table decides"
    gate.clock.advance(1)
    assert asks(ADMIN)["statusCode"] == 200
