"""Runs several plain functions as if at once: in threads, but one at a time, the turn handed on by a seeded choice.

A worker gives its turn away wherever it calls `turn`. One seed is one interleaving, so a failing one can be seen again.
Threads are kept from one schedule to the next, and whoever goes on is woken by whoever was before: a schedule costs
what its functions cost, and little more.
"""

from collections.abc import Callable, Sequence
from random import Random
from threading import Lock, Thread, get_ident
from typing import Any

PATIENCE = 60.0
"""Seconds without an end after which something is stuck."""


class Schedules:
    """A stage for interleavings."""

    def __init__(self, most: int) -> None:
        self._over = Lock()
        self._over.acquire()
        self._source, self._cast = Random(0), list["_Worker"]()
        self._workers = [_Worker(self._left) for _ in range(most)]

    def run(self, source: Random, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        """What each job returned or raised. `source` decides who goes on at each turn."""
        workers = self._workers[: len(jobs)]
        for worker, job in zip(workers, jobs, strict=True):
            worker.job, worker.outcome = job, None
        self._source, self._cast = source, list(workers)
        self._next().own.release()
        if not self._over.acquire(timeout=PATIENCE):
            raise AssertionError("a worker neither went on nor ended")
        return [worker.outcome for worker in workers]

    def turn(self) -> None:
        """Let another go on, or the same. Of no effect outside of a schedule."""
        me = get_ident()
        for worker in self._cast:
            if worker.ident == me:
                following = self._next()
                if following is not worker:
                    following.own.release()
                    worker.wait()
                return

    def close(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.end()

    def _next(self) -> "_Worker":
        return self._cast[int(self._source.random() * len(self._cast))]

    def _left(self, worker: "_Worker") -> None:
        self._cast.remove(worker)
        (self._next().own if self._cast else self._over).release()


class _Worker:
    """`own` is held by nobody but for the moment between being chosen and going on."""

    def __init__(self, left: Callable[["_Worker"], None]) -> None:
        self.own = Lock()
        self.own.acquire()
        self.ident = 0
        self.job: Callable[[], Any] | None = None
        self.outcome: Any = None
        self._left = left
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until chosen."""
        if not self.own.acquire(timeout=PATIENCE):
            raise AssertionError("nobody gave the turn back")

    def end(self) -> None:
        """No job is the last."""
        self.job = None
        self.own.release()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        self.ident = get_ident()
        while self.own.acquire() and (job := self.job) is not None:
            try:
                self.outcome = job()
            except BaseException as failure:  # a crash too is an outcome
                self.outcome = failure
            self._left(self)
