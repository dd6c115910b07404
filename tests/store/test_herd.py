"""Many environments at once, every read counted: simultaneous cold starts, and refreshes of warm ones.

Each environment is its own `Snapshots` on one reference table and one clock; requests come at random. The cost of a
read is counted as DynamoDB does: one unit for each 4 KB of a consistent read (one head, one page of rules).
"""

import pytest
from herd import Herd, Requests
from operators import killing
from proofs import Tally, many

from headgate.store.snapshots import SOFT_JITTER, SOFT_TTL, Standing

FLAGS, FEW = 100, 10
COLD, COLD_SECONDS = many(200, 1_000), 10.0


@pytest.mark.proof("cold starts within ten seconds")
def test_a_cold_start_is_one_load_between_two_reads_of_the_head(tally: Tally) -> None:
    """The queries are of the rules and of the denials. The second read shows what was changed during the load."""
    herd = Herd(flags=FLAGS)
    for at in sorted(herd.source.uniform(0, COLD_SECONDS) for _ in range(COLD)):
        herd.clock.now = at
        herd.table.calls.clear()
        view = herd.cold().soft()
        assert view.standing is Standing.FRESH
        assert len(view.snapshot.rules.flags) == FLAGS
        assert [call.op for call in herd.table.calls] == ["get", "query", "query", "get"]
        tally.add(cold_starts=1, head_reads=2, whole_loads=1)
    units = 3 + herd.units_of_the_rules()
    tally.most(read_units_for_one=units, read_units_in_the_worst_second=max(herd.reads.values()) // 2 * units)


TOGETHER = pytest.mark.proof("warm environments that all started in one second")
APART = pytest.mark.proof("warm environments that started within ten seconds")


@pytest.mark.parametrize(
    "start_within", [pytest.param(1.0, marks=TOGETHER), pytest.param(10.0, marks=APART)], ids=["together", "apart"]
)
def test_jitter_spreads_refreshes(start_within: float, tally: Tally) -> None:
    """Two minutes, of which the second is counted. The first two seconds contain the starts, at two reads each."""
    herd, count, span = Herd(flags=FEW), many(300, 10_000), 60
    requests = Requests(herd, [herd.cold() for _ in range(count)], start_within=start_within)
    requests.until(2.0 * span)
    assert requests.seen.keys() == {Standing.FRESH}
    late = [herd.reads[second] for second in range(span, 2 * span)]
    mean, peak = sum(late) / span, max(late)
    assert mean <= count / (SOFT_TTL - SOFT_JITTER)
    assert peak <= 1.6 * mean
    early = max(herd.reads[second] for second in range(2, 12))
    tally.add(environments=count, refreshes=sum(late))
    tally.most(head_reads_in_the_mean_second=round(mean), in_the_worst=peak, in_the_worst_after_the_start=early)


def test_a_change_reaches_all_environments_within_five_seconds_by_reading_one_entry() -> None:
    """No herd of whole loads: a warm environment reads the head and the new entry."""
    herd, count = Herd(flags=FEW), 300
    requests = Requests(herd, [herd.cold() for _ in range(count)], start_within=5.0)
    requests.until(20.0)
    herd.ops.makes("flag-7", killing("flag-7"))
    herd.table.calls.clear()
    known = requests.until(20.0 + SOFT_TTL + 1.0)
    assert len(known) == count
    assert all(rules.flags["flag-7"].killed for rules in known)
    queries = [call.keys[0][0] for call in herd.table.calls if call.op == "query"]
    assert queries == ["audit"] * count
