"""The cost of a decision, compared with a floor and with other systems: `python tests/bench/bench_evaluate.py`.

One process, one run. Every contestant first answers for a whole crowd, correctly; then all are timed in turns. Prints
the Markdown tables of docs/benchmarks.md and fails if a bar is missed. `--figures FOLDER` also draws them.
"""

import argparse
import logging
import os
import platform
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from statistics import median

from contest import floor, ours
from contest.bars import Found, bars
from contest.cases import CASES
from contest.contestant import Contestant, Entry
from contest.growth import Growth, growth
from contest.timing import measure, ratio

PEERS = (
    "configcat", "eppo", "flagd", "flagsmith", "growthbook_sdk", "launchdarkly", "posthog_sdk", "powertools", "statsig",
    "unleash",
)  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Print everything; return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--figures", type=Path)
    options = parser.parse_args(arguments)
    logging.disable()
    contestants: list[Contestant] = [floor, ours, *(import_module(f"contest.peers.{name}") for name in PEERS)]
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {options.rounds} rounds\n")
    entries, found = {}, {}
    for case in CASES:
        entries[case.name] = [Entry(contestant, case) for contestant in contestants if case.kinds <= contestant.KINDS]
        for entry in entries[case.name]:
            entry.check()
        found[case.name] = measure(entries[case.name], options.rounds)
        show_case(case.name, found[case.name])
    show_all(found)
    grown = growth(options.rounds)
    show_growth(grown)
    if options.figures:
        draw(options.figures, found, grown)
    return show_bars(found, entries)


def show_case(name: str, times: dict[str, list[float]]) -> None:
    """Print one case, fastest first."""
    print(f"### {name}\n\n| | ns | × floor | × headgate |\n|---|--:|--:|--:|")
    for who in sorted(times, key=lambda who: ratio(times, who, "floor")):
        print(f"| {who} | {median(times[who]):,.0f} | {near(ratio(times, who, 'floor'))}"
              f" | {near(ratio(times, who, 'headgate'))} |")  # fmt: skip
    print(flush=True)


def show_all(found: Found) -> None:
    """Print all cases in one table, as multiples of Headgate's time."""
    names = list(found[CASES[0].name])
    print("### × headgate\n\n| | " + " | ".join(found) + " |\n|---|" + "--:|" * len(found))
    for name in names:
        cells = [near(ratio(times, name, "headgate")) if name in times else "–" for times in found.values()]
        print(f"| {name} | " + " | ".join(cells) + " |")
    cells = [f"{median(times['headgate']):,.0f}" for times in found.values()]
    print("| headgate, ns | " + " | ".join(cells) + " |\n", flush=True)


def show_growth(grown: Growth) -> None:
    """Print the figures that do not grow."""
    print("### Growth\n\n| of what | number | ns |\n|---|--:|--:|")
    for what, by_number in grown.items():
        for number, nanoseconds in by_number.items():
            print(f"| {what} | {number:,} | {nanoseconds:,.0f} |")
    print(flush=True)


def show_bars(found: Found, entries: dict[str, list[Entry]]) -> int:
    """Print each bar, met or missed."""
    print("### Bars\n\n| | measured | bar | |\n|---|--:|--:|---|")
    missed = False
    for bar in bars(found, entries):
        print(f"| {bar.what} | {near(bar.figure)} | {bar.words} | {bar.verdict} |")
        missed |= not (bar.met or bar.known)
    return int(missed)


def near(figure: float) -> str:
    """The number with two or three significant digits."""
    return f"{figure:.2f}" if figure < 10 else f"{figure:,.0f}"


def draw(folder: Path, found: Found, grown: Growth) -> None:
    """Draw the figures. Only this function loads a drawing library."""
    from contest.figures import draw_growth, draw_peers

    folder.mkdir(parents=True, exist_ok=True)
    draw_peers(folder / "evaluate.svg", found)
    draw_growth(folder / "growth.svg", grown)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
