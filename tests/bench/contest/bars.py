"""The performance bars of Headgate, each a ratio within one run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from contest.cases import CASES
from contest.contestant import Entry
from contest.timing import ratio

Found = Mapping[str, dict[str, list[float]]]
OF_THE_FLOOR = {"GA": 2.0, "25 % by user": 1.3, "100 flags at once": 1.7}
PYTHON, NATIVE = 5.0, 1.0
"""At least 5 times as fast as the fastest pure Python peer; not slower than the fastest compiled one."""
KNOWN = {"25 % by user": 0.55}
"""A bar that is missed, and by how much at most: one SHA-256 in Python's hashlib takes about as long as Eppo's
whole answer, whose MD5 never leaves Rust."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The subject, the figure, the bar in words, and whether it is met; `known` marks a known miss."""

    what: str
    figure: float
    words: str
    met: bool
    known: bool = False

    @property
    def verdict(self) -> str:
        """The verdict, for the table."""
        return "met" if self.met else "missed, as known" if self.known else "missed"


def bars(found: Found, entries: Mapping[str, Sequence[Entry]]) -> Iterator[Bar]:
    """Every bar of every case."""
    for case in CASES:
        times = found[case.name]
        if case.name in OF_THE_FLOOR:
            bar, taken = OF_THE_FLOOR[case.name], ratio(times, "headgate", "floor")
            yield Bar(f"{case.name}: times the floor", taken, f"at most {bar}", taken <= bar)
        for native, bar in ((False, PYTHON), (True, NATIVE)):
            peers = [e.name for e in entries[case.name] if e.native is native and e.name not in ("floor", "headgate")]
            fastest = min(peers, key=lambda name: ratio(times, name, "floor"))
            faster = ratio(times, fastest, "headgate")
            known = native and faster >= KNOWN.get(case.name, bar)
            label = "compiled" if native else "pure Python"
            yield Bar(f"{case.name}: faster than {fastest} ({label})", faster, f"at least {bar}", faster >= bar, known)
