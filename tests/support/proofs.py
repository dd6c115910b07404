"""The number of cases in a run, and the table of what the proofs counted.

A proof is a test with the mark `proof(claim)`; several tests may share a claim. `HEADGATE_CASES` sets how many cases
proofs and Hypothesis go through: `quick` (make quick), `ci` (make check, the default), `full` (make prove).
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeVar

EXAMPLES = {"quick": 20, "ci": 100, "full": 1_000}
"""How many examples Hypothesis makes for each test, by profile."""
PROFILE = os.environ.get("HEADGATE_CASES", "ci")
PROOF = "proof"
Row = TypeVar("Row")
Column = TypeVar("Column")


def many(in_ci: int, full: int | None = None) -> int:
    """How many cases this run goes through: a fifth of CI's in `quick`; as many as in CI where `full` is not given."""
    return {"quick": max(in_ci // 5, 1), "ci": in_ci, "full": full or in_ci}[PROFILE]


def pairs(rows: Iterable[Row], columns: Iterable[Column]) -> list[tuple[Row, Column]]:
    """Every pair in `full`; otherwise as many as it takes for each row and each column to occur."""
    rows, columns = list(rows), list(columns)
    if PROFILE == "full":
        return list(product(rows, columns))
    count = max(len(rows), len(columns))
    return [(rows[number % len(rows)], columns[number % len(columns)]) for number in range(count)]


class Tally:
    """What one test counted, kept in its report. A violation is a failed test."""

    def __init__(self, claim: str, properties: list[tuple[str, object]]) -> None:
        self._sums: dict[str, int] = {}
        self._mosts: dict[str, float] = {}
        properties.append((PROOF, [claim, self._sums, self._mosts]))

    def add(self, **counts: int) -> None:
        """Counts that are added up, over the tests of a claim too."""
        for name, count in counts.items():
            self._sums[name] = self._sums.get(name, 0) + count

    def most(self, **values: float) -> None:
        """Values of which the largest is reported."""
        for name, value in values.items():
            self._mosts[name] = max(self._mosts.get(name, value), value)


@dataclass
class Claim:
    """What all tests of one claim counted."""

    sums: Counter[str] = field(default_factory=Counter)
    mosts: dict[str, float] = field(default_factory=dict)
    violations: int = 0

    def __str__(self) -> str:
        told = {**self.sums, **self.mosts, "violations": self.violations}
        return ", ".join(f"{value:,.10g} {name.replace('_', ' ')}" for name, value in told.items())


def table(reports: Iterable[Any]) -> Iterator[str]:
    """One line for each claim: what, how many, violations."""
    claims: defaultdict[str, Claim] = defaultdict(Claim)
    for report in reports:
        for claim, sums, mosts in (value for name, value in report.user_properties if name == PROOF):
            claims[claim].sums.update(sums)
            for name, value in mosts.items():
                claims[claim].mosts[name] = max(claims[claim].mosts.get(name, value), value)
            claims[claim].violations += bool(report.failed)
    yield from (f"{claim}: {counted}" for claim, counted in claims.items())
