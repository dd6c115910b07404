"""Clients that call without pause from several threads, and the outcome of each call.

A call belongs to a time span only if it began and ended within it: one that overlaps an edge may go either way.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from running_gate import Answer

Call = Callable[[], Answer]


@dataclass(frozen=True, slots=True)
class Shot:
    """One call: its name and its answer."""

    name: str
    answer: Answer


class Hammer:
    """Each client is a list of named calls, made in turn until the block ends."""

    def __init__(self, clients: Sequence[Sequence[tuple[str, Call]]]) -> None:
        self._clients = clients
        self._shots: list[Shot] = []
        self._failures: list[BaseException] = []
        self._stop = threading.Event()
        self._fired = threading.Condition()
        self._threads = [threading.Thread(target=self._run, args=(calls,), daemon=True) for calls in clients]

    def __enter__(self) -> "Hammer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures

    def between(self, began: float, ended: float) -> list[Shot]:
        """The calls that began and ended between two times of the monotonic clock."""
        with self._fired:
            return [shot for shot in self._shots if began < shot.answer.began and shot.answer.ended < ended]

    @property
    def shots(self) -> list[Shot]:
        """All calls so far."""
        with self._fired:
            return list(self._shots)

    def wait(self, count: int, name: str, *, since: float, seconds: float = 20.0) -> None:
        """Wait until so many calls of this name that began after `since` have been answered."""

        def enough() -> bool:
            fired = sum(1 for shot in self._shots if shot.name == name and shot.answer.began > since)
            return fired >= count or bool(self._failures)

        with self._fired:
            assert self._fired.wait_for(enough, seconds), f"fewer than {count} of {name} in {seconds} s"

    def _run(self, calls: Sequence[tuple[str, Call]]) -> None:
        try:
            while not self._stop.is_set():
                for name, call in calls:
                    answer = call()
                    with self._fired:
                        self._shots.append(Shot(name, answer))
                        self._fired.notify_all()
        except BaseException as failure:  # passed to the test, which then fails
            with self._fired:
                self._failures.append(failure)
                self._fired.notify_all()


def now() -> float:
    """The clock of `Answer.began`."""
    return time.monotonic()
