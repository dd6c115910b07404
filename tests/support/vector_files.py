"""Reads tests/vectors/*.json: truth that is written down in no programming language."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.core.model import Flag, Subject
from headgate.core.parse import OWN_MEMBERS, load_flag
from headgate.core.ruleset import Ruleset, ruleset

FOLDER = Path(__file__).parents[1] / "vectors"
DECISIONS = ("decision-order", "decision-kill", "decision-units", "decision-lists")
STORED = {"salt": "s", "version": 1, "revision": 1, "updated_at": "2026-03-01T12:00:00.000Z", "updated_by": "vectors"}
KILLED = {"reason": "vectors", "at": "2026-03-01T12:00:00.000Z", "by": "vectors"}
DRAINED = "2026-03-01T13:00:00.000Z"


@dataclass(frozen=True)
class Case:
    """One decision and what it must be."""

    name: str
    rules: Ruleset
    flag: str
    subject: Subject
    gate: bool
    value: bool
    reason: str


def read(name: str) -> dict[str, Any]:
    """One file."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return document


def flag_of(document: dict[str, Any]) -> Flag:
    """A flag as the vectors write it: a manifest's members, and `killed` as the reach alone."""
    kill = document.get("killed")
    killed = None if kill is None else {**KILLED, "reach": kill}
    if kill == "drain":
        killed = {**(killed or {}), "drain_until": DRAINED}
    own = {name: value for name, value in document.items() if name in OWN_MEMBERS}
    assert not document.keys() - {*OWN_MEMBERS, "killed"}, document
    return load_flag({**STORED, **own, "killed": killed})


def subject_of(document: dict[str, Any]) -> Subject:
    """A subject as the vectors write it."""
    return Subject(**{**document, "orgs": tuple(document.get("orgs", ()))})


def decisions() -> Iterator[Case]:
    """Every case of every decision file, with `stages` and `subjects` multiplied out."""
    for name in DECISIONS:
        for case in read(name)["cases"]:
            yield from _multiplied(case)


def _multiplied(case: dict[str, Any]) -> Iterator[Case]:
    for stage in case.get("stages", (None,)):
        documents = [
            {**flag, "stage": stage} if stage is not None and flag["key"] == case["flag"] else flag
            for flag in case["flags"]
        ]
        rules = ruleset({flag["key"]: flag_of(flag) for flag in documents}, 7)
        for subject in case.get("subjects", [case.get("subject")]):
            yield Case(
                case["name"], rules, case["flag"], subject_of(subject), case.get("gate", False),
                case["value"], case["reason"],
            )  # fmt: skip
