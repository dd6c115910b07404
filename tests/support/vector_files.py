"""Reads tests/vectors/*.json: truth that is written down in no programming language."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headgate.core.ruleset import ruleset
from headgate_cli.vectors import DRAINED, KILLED, STORED, Case, flag_from, multiplied, subject_from

__all__ = ["DRAINED", "FOLDER", "KILLED", "STORED", "Case", "decisions", "flag_from", "read", "ruleset", "subject_from"]

FOLDER = Path(__file__).parents[1] / "vectors"
DECISIONS = ("decision-order", "decision-kill", "decision-units", "decision-lists")


def read(name: str) -> dict[str, Any]:
    """One file."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return document


def decisions() -> Iterator[Case]:
    """Every case of every decision file, with `stages` and `subjects` multiplied out."""
    for name in DECISIONS:
        for case in read(name)["cases"]:
            yield from multiplied(case, {})
