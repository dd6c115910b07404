"""Waits for what a running stack promises within a time: asks again and again, until it holds or the time is over."""

import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

T = TypeVar("T")

EVERY = 0.05
"""Seconds between two looks."""


def until(look: Callable[[], T], holds: Callable[[T], bool] = bool, *, within: float = 10.0) -> T:
    """What `look` gives once `holds` says so. Raises AssertionError with the last look after `within` seconds."""
    end = time.monotonic() + within
    pause = Event()
    while True:
        seen = look()
        if holds(seen):
            return seen
        if time.monotonic() >= end:
            raise AssertionError(f"not within {within} s; last seen: {seen!r}")
        pause.wait(EVERY)
