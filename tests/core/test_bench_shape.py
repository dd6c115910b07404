"""The relative cost of a decision: ratios within one run, with wide margins. `make bench` measures the real cost."""

from statistics import median

import pytest
from contest import floor, ours
from contest.cases import CASES, Case, Kind, Spec
from contest.contestant import Asking, Entry, Wrong
from contest.growth import growth
from contest.timing import measure, ratio

ROUNDS, TURN = 9, 1_000_000
TIMES_THE_FLOOR = {
    "GA": 4, "25 % by user": 3, "list of 1,000": 5, "prerequisite": 6, "attribute rule": 8, "100 flags at once": 3,
    "one of 5,000 flags": 4,
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_decision_costs_a_small_multiple_of_the_floor(case: Case) -> None:
    entries = [Entry(floor, case), Entry(ours, case)]
    for entry in entries:
        entry.check()
    assert ratio(measure(entries, ROUNDS, turn=TURN), "headgate", "floor") <= TIMES_THE_FLOOR[case.name]


def test_decision_cost_does_not_grow_with_data_it_does_not_use() -> None:
    for by_number in growth(ROUNDS, turn=TURN).values():
        few, *many = by_number.values()
        assert max(many) <= 4 * few


def test_a_contestant_with_a_wrong_answer_is_not_timed() -> None:
    case = Case("GA", [Spec("open", Kind.GA)], "open")

    class Never:
        NAME, NATIVE, KINDS = "never", False, frozenset(Kind)

        @staticmethod
        def load(case: Case) -> Asking:
            return Asking("False", {}, floor.load(case).subjects)

    with pytest.raises(Wrong):
        Entry(Never, case).check()


def test_a_median_is_of_the_ratios_within_each_round() -> None:
    found = {"a": [1.0, 20.0, 3.0], "b": [2.0, 10.0, 6.0]}
    assert ratio(found, "a", "b") == median([0.5, 2.0, 0.5])
