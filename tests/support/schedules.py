"""Interleaves plain functions: in threads, but one at a time; a seeded choice passes the turn.

A worker yields wherever it calls `turn`. One seed is one interleaving, so a failing one can be reproduced.
Threads are reused from one schedule to the next, and each worker wakes the next one: a schedule costs
little more than its functions.
"""

from collections.abc import Callable, Sequence
from random import Random
from threading import Lock, Thread, get_ident
from typing import Any

PATIENCE = 60.0
"""Seconds after which a schedule counts as stuck."""


class Schedules:
    """Runs schedules on a fixed set of threads."""

    def __init__(self, most: int) -> None:
        self._over = Lock()
        self._over.acquire()
        self._source, self._cast = Random(0), list["_Worker"]()
        self._workers = [_Worker(self._left) for _ in range(most)]

    def run(self, source: Random, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run the jobs; return what each returned or raised. `source` chooses the worker at each turn."""
        workers = self._workers[: len(jobs)]
        for worker, job in zip(workers, jobs, strict=True):
            worker.job, worker.outcome = job, None
        self._source, self._cast = source, list(workers)
        self._next().own.release()
        if not self._over.acquire(timeout=PATIENCE):
            raise AssertionError("a worker is stuck")
        return [worker.outcome for worker in workers]

    def turn(self) -> None:
        """Yield to a randomly chosen worker, possibly the same. No effect outside a schedule."""
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
    """`own` is free only between being chosen and continuing."""

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
        """Wait until chosen."""
        if not self.own.acquire(timeout=PATIENCE):
            raise AssertionError("no worker returned the turn")

    def end(self) -> None:
        """End the thread: it stops when it gets no job."""
        self.job = None
        self.own.release()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        self.ident = get_ident()
        while self.own.acquire() and (job := self.job) is not None:
            try:
                self.outcome = job()
            except BaseException as failure:  # a crash is an outcome
                self.outcome = failure
            self._left(self)
