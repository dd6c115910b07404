"""Draws the measurements as plain SVG, with text as text."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median

import matplotlib as mpl
from contest.growth import Growth
from matplotlib import pyplot

mpl.use("svg")
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "headgate", "font.size": 9, "axes.spines.top": False,
                     "axes.spines.right": False})  # fmt: skip
SHOWN = ("GA", "25 % by user", "list of 1,000", "attribute rule")


def draw_peers(path: Path, found: Mapping[str, dict[str, list[float]]]) -> None:
    """One panel per case, fastest on top: dots on one logarithmic scale, where bars would have no true length."""
    figure, panels = pyplot.subplots(1, len(SHOWN), figsize=(13, 3.4), layout="constrained", sharex=True)
    colours = {"headgate": "#0b6e4f", "floor": "#909090"}
    for panel, name in zip(panels, SHOWN, strict=True):
        times = {who: median(rounds) for who, rounds in found[name].items()}
        order = sorted(times, key=lambda who: -times[who])
        panel.scatter([times[who] for who in order], order, color=[colours.get(who, "#6c8ebf") for who in order])
        panel.grid(axis="y", color="#e4e4e4")
        panel.set_axisbelow(True)
        panel.set_xscale("log")
        panel.set_title(name)
        panel.set_xlabel("ns a decision (log scale)")
    save(figure, path)


def draw_growth(path: Path, grown: Growth) -> None:
    """One line for what grows, from zero."""
    figure, panel = pyplot.subplots(figsize=(6.4, 3.2), layout="constrained")
    for what, by_number in grown.items():
        panel.plot(list(by_number), list(by_number.values()), marker="o", label=what)
    panel.set_xscale("log")
    panel.set_ylim(bottom=0)
    panel.set_xlabel("number (log scale)")
    panel.set_ylabel("ns a decision")
    panel.legend(frameon=False)
    save(figure, path)


def save(figure: "pyplot.Figure", path: Path) -> None:
    """Write a figure without a date, so that the same measurements make the same file."""
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
