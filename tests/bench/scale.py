"""What grows until it bends: `python tests/bench/scale.py`. Prints the tables of docs/cost.md and decision record 19.

Virtual time; the product's own snapshots, client, and record (tests/support: throttled_herd.py, head_copies.py); each
partition key answers 3,000 read units a second. `--figures FOLDER` also draws them. Takes about four minutes.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "support"))

from head_copies import killings
from throttled_herd import UNITS_A_SECOND, Deciding, Refreshing, Starting, deciding, refreshing, starting

from headgate_cli.cost.bill import MONTH, bill
from headgate_cli.cost.figures import Figures, Mix, read_figures

ENVIRONMENTS = (10, 100, 1_000, 3_000, 10_000, 12_000, 13_000, 14_000, 16_000, 20_000, 30_000)
RATES = (500, 1_000, 2_000, 2_700, 3_000, 3_100, 3_300, 3_500, 4_000, 5_000, 10_000)
STARTS = {10: (10, 100, 300), 100: (10, 100, 200, 300), 1_000: (10, 30, 50, 100), 5_000: (2, 5, 10)}
"""Starts per second, by number of flags."""
COPIES, OTHERS = (1, 2, 4, 8), (0, 1, 10, 30)
SHARES = (0.9, 0.95, 1.0, 1.05)
"""What N heads are asked for, as a share of N times 3,000."""
DENIED = 0.001
"""A rate is answered if at most this share is denied."""
KINDS = ("continue", "live", "exchange", "session", "evaluation", "refused")


def main(arguments: Sequence[str]) -> int:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path)
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores\n")
    show_limits(read_figures())
    refreshed = [refreshing(number) for number in ENVIRONMENTS]
    show_refreshing(refreshed)
    decided = [deciding(rate) for rate in RATES]
    show_deciding(decided)
    started = [starting(rate, flags) for flags, rates in STARTS.items() for rate in rates]
    show_starting(started)
    show_copies()
    if options.figures:
        draw(options.figures / "scale.svg", refreshed, decided, started)
    return 0


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table in Markdown."""
    print(f"### {title}\n\n| " + " | ".join(header) + " |\n|" + "--:|" * len(header))
    for row in rows:
        print("| " + " | ".join(cell if isinstance(cell, str) else f"{cell:,}" for cell in row) + " |")
    print(flush=True)


def show_limits(figures: Figures) -> None:
    """Print at how many requests a second each kind reaches each limit, by arithmetic."""
    rows = []
    for kind in KINDS:
        load = bill(Mix({kind: 1_000 * MONTH}, peak=1), figures).load
        reached = {limit: 1_000 / share for limit, share in load.items() if share}
        first = min(reached, key=lambda limit: reached[limit])
        rows.append([kind, *(f"{reached[name]:,.0f}" if name in reached else "" for name in load), first])
    table("Requests a second at which a limit is reached", ["", *figures.limits, "first"], rows)


def show_refreshing(found: Sequence[Refreshing]) -> None:
    """Print what environments read that only refresh."""
    rows = [(one.environments, round(one.reads), f"{one.stale:.1%}", f"{one.oldest_s:.1f}", round(one.p99_ms))
            for one in found]  # fmt: skip
    table("Refreshes", ("environments", "head reads a second", "on stale rules", "oldest, s", "refresh p99, ms"), rows)


def show_deciding(found: Sequence[Deciding]) -> None:
    """Print how live decisions fare."""
    rows = [(one.rate, f"{one.denied:.1%}", round(one.mean_ms), round(one.p99_ms),
             round(one.rate * one.mean_ms / 1_000), round(one.kill_p99_ms)) for one in found]  # fmt: skip
    table("Live decisions", ("a second", "denied", "mean, ms", "p99, ms", "at once", "kill p99, ms"), rows)


def show_starting(found: Sequence[Starting]) -> None:
    """Print how cold starts fare."""
    rows = [(one.flags, one.units, fit(one), one.rate, f"{one.denied:.0%}", f"{one.p99_s:.2f}") for one in found]
    header = ("flags", "units of one", "starts a second that fit", "starts a second", "first denied", "p99, s")
    table("Cold starts", header, rows)


def fit(one: Starting) -> int:
    """How many starts a second the head, which each reads twice, and the rules' partition can answer."""
    return min(UNITS_A_SECOND // 2, UNITS_A_SECOND // (one.units - 3))


def show_copies() -> None:
    """Print what copies of the head give and take."""
    rows = []
    for copies in COPIES:
        asked = [round(UNITS_A_SECOND * copies * share) for share in SHARES]
        answered = [rate for rate in asked if deciding(rate, copies=copies, seconds=4).denied <= DENIED]
        rows.append([copies, f"{max(answered, default=0):,}"])
    table("Copies of the head: live decisions a second that are answered", ("heads", "a second"), rows)
    kills = [killings(copies, others, kills=2_000) for others in OTHERS for copies in COPIES]
    cells = [(one.changes_a_second, one.copies, one.write_units, round(one.p50_ms), round(one.p99_ms),
              f"{one.lost:.0%}") for one in kills]  # fmt: skip
    table("Copies of the head: a kill", ("other changes a second", "heads", "write units", "p50, ms", "p99, ms",
                                         "attempts that lose"), cells)  # fmt: skip


def draw(path: Path, refreshed: Sequence[Refreshing], decided: Sequence[Deciding], started: Sequence[Starting]) -> None:
    """Draw the three curves. Only this function loads a drawing library."""
    from contest.figures import pyplot, save

    figure, panels = pyplot.subplots(1, 3, figsize=(13, 3.4), layout="constrained")
    panels[0].plot([one.environments for one in refreshed], [100 * one.stale for one in refreshed], marker="o")
    panels[0].set(title="requests on stale rules", xscale="log", xlabel="warm environments (log scale)", ylabel="%")
    panels[1].plot([one.rate for one in decided], [100 * one.denied for one in decided], marker="o")
    panels[1].set(title="live decisions denied", xscale="log", xlabel="live decisions a second (log scale)", ylabel="%")
    for flags in STARTS:
        some = [one for one in started if one.flags == flags]
        panels[2].plot(
            [one.rate for one in some], [100 * one.denied for one in some], marker="o", label=f"{flags:,} flags"
        )
    panels[2].set(title="cold starts whose first request is denied", xscale="log", ylabel="%",
                  xlabel="cold starts a second (log scale)")  # fmt: skip
    panels[2].legend(frameon=False)
    for panel in panels:
        panel.set_ylim(bottom=-2)
    save(figure, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
