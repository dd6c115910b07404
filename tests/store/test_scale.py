"""Where it bends, at a tenth of DynamoDB's limit so that it takes seconds; `make scale` simulates the whole.

The product's snapshots, client, and record run on virtual time (throttled_herd, head_copies).
"""

from pathlib import Path

import pytest
import scale
from head_copies import killings
from proofs import Tally, many
from throttled_herd import deciding, refreshing, starting

from headgate.store.snapshots import SOFT_JITTER, SOFT_TTL
from headgate_cli.cost.figures import read_figures

UNITS = 300
BEND = UNITS * (SOFT_TTL - SOFT_JITTER / 2)
"""Environments that refresh as often as one head can be read."""


@pytest.mark.proof("refreshes below and above what one head can answer")
def test_refreshes_bend_where_one_head_cannot_answer_them(tally: Tally) -> None:
    below, above = refreshing(round(0.8 * BEND), units=UNITS), refreshing(round(1.6 * BEND), units=UNITS)
    assert below.stale == 0
    assert below.oldest_s <= SOFT_TTL
    assert above.reads <= UNITS
    assert above.stale > 0.1
    tally.add(environments=below.environments + above.environments)
    tally.most(oldest_rules_below=round(below.oldest_s, 1), above=round(above.oldest_s, 1))


@pytest.mark.proof("live decisions below and above what one head can answer, and with two heads")
def test_live_decisions_above_the_limit_are_denied_and_never_stale(tally: Tally) -> None:
    """What is answered is what the head can answer. A kill needs one read among them, and gets it."""
    below, above = deciding(240, units=UNITS), deciding(600, units=UNITS)
    assert below.denied == 0
    assert 600 * (1 - above.denied) <= 1.1 * UNITS
    assert above.kill_p99_ms < 5_000
    assert deciding(480, copies=2, units=UNITS).denied == 0
    tally.add(decisions=5 * (240 + 600 + 480))
    tally.most(denied_above_in_percent=round(100 * above.denied), kill_p99_ms=round(above.kill_p99_ms))


@pytest.mark.proof("cold starts below and above what the rules' partition can answer")
def test_cold_starts_above_the_limit_are_denied_until_they_have_loaded(tally: Tally) -> None:
    few, many_flags = starting(20, 10, units=UNITS), starting(20, 300, units=UNITS)
    assert few.denied == 0
    assert few.units * 20 < UNITS < many_flags.units * 20
    assert many_flags.denied > 0.2
    tally.add(cold_starts=2 * 2 * 20)
    tally.most(
        units_of_one_with_few=few.units, with_many=many_flags.units, seconds_until_loaded=round(many_flags.p99_s, 1)
    )


@pytest.mark.proof("kills with one head and with eight")
def test_each_copy_of_the_head_makes_a_kill_dearer_and_likelier_to_lose_a_race(tally: Tally) -> None:
    one, eight = (killings(copies, 10, kills=many(300, 2_000)) for copies in (1, 8))
    assert eight.write_units == one.write_units + 7 * 2
    assert one.p50_ms < eight.p50_ms
    assert one.lost < eight.lost
    tally.add(kills=2 * many(300, 2_000))
    tally.most(lost_with_one_in_percent=round(100 * one.lost), with_eight=round(100 * eight.lost))


def test_the_page_has_the_limits_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    scale.show_limits(read_figures())
    page = (Path(__file__).parents[2] / "docs/cost.md").read_text(encoding="utf-8")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(scale.KINDS)
    assert all(row in page for row in rows)
