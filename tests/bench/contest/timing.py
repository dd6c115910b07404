"""Interleaved timing: contestants take turns in each round, so that a slower machine slows all of them.

It counts the calling thread's processor time, to exclude other load on the core.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from contest.contestant import Entry

TURN = 8_000_000
"""Target duration of a turn in nanoseconds: short against load changes, long against the clock's resolution."""


def measure(entries: Sequence[Entry], rounds: int, *, turn: int = TURN) -> dict[str, list[float]]:
    """Nanoseconds per call by contestant, one for each round. Each round starts with another contestant."""
    found: dict[str, list[float]] = {entry.name: [] for entry in entries}
    with _no_collector():
        calls = {entry.name: _calls(entry, turn) for entry in entries}
        for number in range(rounds):
            start = number % len(entries)
            for entry in [*entries[start:], *entries[:start]]:
                found[entry.name].append(entry.nanoseconds(calls[entry.name]))
    return found


def _calls(entry: Entry, turn: int) -> int:
    """The number of calls in a turn: estimated from one call, then from that many."""
    guess = max(1, int(turn / entry.nanoseconds(1)))
    return max(1, int(turn / entry.nanoseconds(guess)))


def ratio(found: dict[str, list[float]], name: str, other: str) -> float:
    """How many times as long `name` takes as `other`: the median of the ratios within each round."""
    return median(mine / theirs for mine, theirs in zip(found[name], found[other], strict=True))


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
