"""Decides what a function's variables must be, in an emergency and after it. It must not know any API."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from headgate.core.emergency import packed
from headgate.core.model import RoutePolicy

KILL, ROUTES = "HEADGATE_EMERGENCY_KILL", "HEADGATE_EMERGENCY_ROUTES"
MAX_BYTES = 4_096
"""The limit for all variables of a function together (AWS Lambda quotas)."""

Variables = Mapping[str, str]


class Stuck(Exception):
    """A function could not be changed. The text says why."""


def variables_of(configuration: Mapping[str, Any]) -> Variables:
    """Return a function's variables. Raises `Stuck` if they cannot be read: writing them back would lose some."""
    environment = configuration.get("Environment", {})
    if "Error" in environment:
        raise Stuck(f"its variables cannot be read: {environment['Error'].get('ErrorCode')}")
    variables: Variables = environment.get("Variables", {})
    if KILL not in variables:
        raise Stuck(f"it has no variable {KILL}: not a function of the gate, or an older deployment")
    return variables


def killed(held: Variables, flags: str, work: Sequence[RoutePolicy] | None) -> tuple[Variables, int | None]:
    """Return the variables with a kill, and how many policies of `work` fit in them.

    The count is None, and the routes stay as they are, if `work` is None or the function accepts no routes.
    """
    changed = {**held, KILL: flags}
    if work is None or ROUTES not in held:
        return changed, None
    count = fitting(work, MAX_BYTES - size({**changed, ROUTES: ""}))
    return {**changed, ROUTES: packed(work[:count]) if count else ""}, count


def lifted(held: Variables) -> Variables:
    """Return the variables without a kill."""
    return {**held, KILL: "", **({ROUTES: ""} if ROUTES in held else {})}


def fitting(work: Sequence[RoutePolicy], room: int) -> int:
    """Return how many policies, from the first one on, fit into `room` bytes."""
    return bisect_right(range(1, len(work) + 1), room, key=lambda count: len(packed(work[:count])))


def size(variables: Variables) -> int:
    """Return the size of the variables in bytes, measured like Lambda: as JSON."""
    return len(json.dumps(dict(variables), separators=(",", ":")).encode())
