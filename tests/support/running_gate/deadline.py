"""Wait for what a running stack guarantees within a time: poll until it holds or the time is up."""

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")

EVERY = 0.05
"""Seconds between two polls."""


def until(look: Callable[[], T], holds: Callable[[T], bool] = bool, *, within: float = 10.0) -> T:
    """The value of `look` once `holds` accepts it. Raises AssertionError with the last value after `within` seconds."""
    end = time.monotonic() + within
    pause = Event()
    while True:
        seen = look()
        if holds(seen):
            return seen
        if time.monotonic() >= end:
            raise AssertionError(f"not within {within} s; last seen: {seen!r}")
        pause.wait(EVERY)
