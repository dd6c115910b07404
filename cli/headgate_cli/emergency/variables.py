"""Decides what the variables of a function are to be, in an emergency and after it. Knows no API."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from headgate.core.emergency import packed
from headgate.core.model import RoutePolicy

KILL, ROUTES = "HEADGATE_EMERGENCY_KILL", "HEADGATE_EMERGENCY_ROUTES"
MAX_BYTES = 4_096
"""All variables of a function (AWS Lambda quotas)."""

Variables = Mapping[str, str]


class Stuck(Exception):
    """A function could not be brought where it should be. The text says why."""


def variables_of(configuration: Mapping[str, Any]) -> Variables:
    """What a function is told. Raises `Stuck` where that cannot be read: writing it back would lose the rest."""
    environment = configuration.get("Environment", {})
    if "Error" in environment:
        raise Stuck(f"its variables cannot be read: {environment['Error'].get('ErrorCode')}")
    variables: Variables = environment.get("Variables", {})
    if KILL not in variables:
        raise Stuck(f"it has no {KILL}: not a function of the gate, or deployed before there was one")
    return variables


def killed(held: Variables, flags: str, work: Sequence[RoutePolicy] | None) -> tuple[Variables, int | None]:
    """With a kill; and how many policies of `work` are carried, None where the function takes none or none are given:
    then it keeps what it carries."""
    told = {**held, KILL: flags}
    if work is None or ROUTES not in held:
        return told, None
    count = fitting(work, MAX_BYTES - size({**told, ROUTES: ""}))
    return {**told, ROUTES: packed(work[:count]) if count else ""}, count


def lifted(held: Variables) -> Variables:
    """Without one."""
    return {**held, KILL: "", **({ROUTES: ""} if ROUTES in held else {})}


def fitting(work: Sequence[RoutePolicy], room: int) -> int:
    """How many policies, from the first, fit into so many bytes."""
    return bisect_right(range(1, len(work) + 1), room, key=lambda count: len(packed(work[:count])))


def size(variables: Variables) -> int:
    """In bytes, as Lambda measures it: as JSON."""
    return len(json.dumps(dict(variables), separators=(",", ":")).encode())
