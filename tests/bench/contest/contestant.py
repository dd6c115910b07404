"""A contestant: the exact statement that is timed, and how to read its answer.

The statement is what a user would write, with `subject` (one of `subjects`, the crowd in its own form,
made beforehand) and `key`. The same compiled statement is checked and timed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from math import sqrt
from time import thread_time_ns
from typing import Any, Protocol

from contest.cases import PERCENT, Case, Kind, is_right


@dataclass(frozen=True, slots=True)
class Asking:
    """`one` evaluates the flag `key`, `all` every flag of `keys`, as a mapping from key to `read`'s argument."""

    one: str
    names: Mapping[str, Any]
    subjects: Sequence[Any]
    all: str = ""
    read: Callable[[Any], bool] = bool

    def statement(self, case: Case) -> str:
        """The statement that is timed."""
        return self.one if case.key else self.all or f"{{key: {self.one} for key in keys}}"


class Contestant(Protocol):
    """A module of `peers`, `ours` or `floor`."""

    NAME: str
    NATIVE: bool  # its engine is compiled code
    KINDS: frozenset[Kind]

    def load(self, case: Case) -> Asking:
        """The case's flags, translated and loaded."""


class Wrong(Exception):
    """A contestant's answers are wrong, so it is not timed."""


class Entry:
    """A contestant in a case, checked and ready to be timed."""

    def __init__(self, contestant: Contestant, case: Case) -> None:
        self.name, self.native, self._case = contestant.NAME, contestant.NATIVE, case
        self._asking = contestant.load(case)
        names = {**self._asking.names, "key": case.key, "keys": [spec.key for spec in case.specs]}
        statement = self._asking.statement(case)
        exec(_LOOPS.format(statement=statement), names)  # noqa: S102 - as timeit does; the statements are our own
        self._answers: Callable[[Sequence[Any]], list[Any]] = names["answers"]
        self._run: Callable[[Sequence[Any]], None] = names["run"]

    def check(self) -> None:
        """Compare the answers for the crowd. Raises `Wrong`."""
        crowd = self._case.crowd[: None if len(self._case.specs) <= 1_000 else 20]  # some evaluate all to answer one
        answers = self._answers(self._asking.subjects[: len(crowd)])
        for spec in self._case.asked:
            given = [self._asking.read(answer if self._case.key else answer[spec.key]) for answer in answers]
            wrong = sum(is_right(spec, person) not in (None, on) for person, on in zip(crowd, given, strict=True))
            share = sum(given) / len(given)
            off = abs(share - PERCENT / 100) > 4 * sqrt(0.1875 / len(given))  # four standard deviations
            if wrong or (spec.kind is Kind.SPLIT and off):
                raise Wrong(f"{self.name}, {self._case.name}: {spec.key} on for {share:.1%}, {wrong} wrong")

    def nanoseconds(self, calls: int) -> float:
        """Processor time of one call, over the crowd in order, repeated if necessary."""
        subjects = list(islice(cycle(self._asking.subjects), calls))
        began = thread_time_ns()
        self._run(subjects)
        return (thread_time_ns() - began) / calls


_LOOPS = """
def answers(subjects):
    return [{statement} for subject in subjects]

def run(subjects):
    for subject in subjects:
        {statement}
"""
