"""Interleaved timing: contestants take turns round by round, so that a machine that slows down slows all of them.

What is counted is the calling thread's processor time, so that a neighbour on the same core is not.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from contest.contestant import Entry

TURN = 8_000_000
"""Nanoseconds that one turn should take: short against the machine's moods, long against the clock."""


def measure(entries: Sequence[Entry], rounds: int, *, turn: int = TURN) -> dict[str, list[float]]:
    """Nanoseconds a call, one per round, by contestant. Each round starts with another one."""
    found: dict[str, list[float]] = {entry.name: [] for entry in entries}
    with _no_collector():
        calls = {entry.name: _calls(entry, turn) for entry in entries}
        for number in range(rounds):
            start = number % len(entries)
            for entry in [*entries[start:], *entries[:start]]:
                found[entry.name].append(entry.nanoseconds(calls[entry.name]))
    return found


def _calls(entry: Entry, turn: int) -> int:
    """How many calls fill a turn: guessed from one, then from as many as that said."""
    guess = max(1, int(turn / entry.nanoseconds(1)))
    return max(1, int(turn / entry.nanoseconds(guess)))


def ratio(found: dict[str, list[float]], name: str, other: str) -> float:
    """How many times as long `name` takes as `other`: the median of the rounds' own ratios."""
    return median(mine / theirs for mine, theirs in zip(found[name], found[other], strict=True))


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
