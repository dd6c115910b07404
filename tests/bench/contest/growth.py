"""Whether the cost of a decision grows with data it does not use: other flags, and other entries of a list."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from contest import ours
from contest.cases import CROWD, Case, Kind, Spec, mixture
from contest.contestant import Asking, Entry
from contest.timing import TURN, measure

FLAGS = (10, 1_000, 5_000)
ENTRIES = (10, 1_000, 1_000_000)
Growth = Mapping[str, Mapping[int, float]]


class Sized:
    """Headgate as a contestant, under the name of a size."""

    NATIVE, KINDS = ours.NATIVE, ours.KINDS

    def __init__(self, name: str) -> None:
        self.NAME = name

    def load(self, case: Case) -> Asking:
        return ours.load(case)


def growth(rounds: int, *, turn: int = TURN) -> Growth:
    """Nanoseconds by the growing data and its size."""
    cases = {
        "flags, one at GA": (FLAGS, lambda count: Case("GA", mixture(count), f"flag-{count // 20 * 10:04}")),
        "flags, one at 25 %": (FLAGS, lambda count: Case("25 %", mixture(count), f"flag-{count // 20 * 10 + 4:04}")),
        "entries of the list": (ENTRIES, lambda count: Case("list", [_list_of(count)], "listed")),
    }
    return {name: _by_number(numbers, case, rounds, turn) for name, (numbers, case) in cases.items()}


def _by_number(numbers: Sequence[int], case: Callable[[int], Case], rounds: int, turn: int) -> dict[int, float]:
    entries = [Entry(Sized(f"{number}"), case(number)) for number in numbers]
    for entry in entries:
        entry.check()
    return {int(name): median(times) for name, times in measure(entries, rounds, turn=turn).items()}


def _list_of(count: int) -> Spec:
    """Up to half of the crowd, and other people."""
    known = [person.user for person in CROWD if person.number % 4 < 2][:count]
    return Spec("listed", Kind.LISTED, users=frozenset([*known, *(f"other-{n}" for n in range(count - len(known)))]))
