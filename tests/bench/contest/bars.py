"""The bars that Headgate holds itself to, each a ratio within one run."""

from collections.abc import Iterator, Mapping, Sequence

from contest.cases import CASES
from contest.contestant import Entry
from contest.timing import ratio

Found = Mapping[str, dict[str, list[float]]]
OF_THE_FLOOR = {"GA": 2.0, "25 % by user": 1.3, "100 flags at once": 1.7}
PYTHON, NATIVE = 5.0, 1.0
"""At least 5 times as fast as the fastest peer in pure Python; not slower than the fastest in compiled code."""


def bars(found: Found, entries: Mapping[str, Sequence[Entry]]) -> Iterator[tuple[str, float, str, bool]]:
    """What is held to a bar, the figure, the bar, and whether it is met."""
    for case in CASES:
        times = found[case.name]
        if case.name in OF_THE_FLOOR:
            bar, taken = OF_THE_FLOOR[case.name], ratio(times, "headgate", "floor")
            yield f"{case.name}: times the floor", taken, f"at most {bar}", taken <= bar
        for native, bar in ((False, PYTHON), (True, NATIVE)):
            peers = [e.name for e in entries[case.name] if e.native is native and e.name not in ("floor", "headgate")]
            fastest = min(peers, key=lambda name: ratio(times, name, "floor"))
            faster = ratio(times, fastest, "headgate")
            label = "compiled" if native else "pure Python"
            yield f"{case.name}: faster than {fastest} ({label})", faster, f"at least {bar}", faster >= bar
