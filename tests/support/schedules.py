"""Runs several plain functions as if at once: in threads, but one at a time, the turn handed on by a seeded choice.

A worker gives its turn away wherever it calls `turn`. One seed is one interleaving, so a failing one can be seen again.
Threads are kept from one schedule to the next: starting them would cost more than running them.
"""

from collections.abc import Callable, Sequence
from queue import SimpleQueue
from random import Random
from threading import Semaphore, Thread, get_ident
from typing import Any

PATIENCE = 60.0
"""Seconds without a turn after which something is stuck."""


class Schedules:
    """A stage for interleavings."""

    def __init__(self, most: int) -> None:
        self._director = Semaphore(0)
        self._workers = [_Worker(self._director) for _ in range(most)]
        self._source = Random(0)

    def run(self, source: Random, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        """What each job returned or raised. `source` decides who goes on at each turn."""
        cast = self._workers[: len(jobs)]
        for worker, job in zip(cast, jobs, strict=True):
            worker.begin(job)
        waiting = list(cast)
        while waiting:
            worker = waiting[source.randrange(len(waiting))]
            worker.proceed()
            if not self._director.acquire(timeout=PATIENCE):
                raise AssertionError("a worker neither went on nor ended")
            if worker.done:
                waiting.remove(worker)
        return [worker.outcome for worker in cast]

    def turn(self) -> None:
        """Let another go on. Of no effect outside of a schedule."""
        for worker in self._workers:
            if worker.ident == get_ident():
                worker.wait()

    def close(self) -> None:
        """End the threads."""
        for worker in self._workers:
            worker.end()


class _Worker:
    def __init__(self, director: Semaphore) -> None:
        self._director, self._own = director, Semaphore(0)
        self._jobs: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self.done, self.ident = True, 0
        self.outcome: Any = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def begin(self, job: Callable[[], Any]) -> None:
        self.done, self.outcome = False, None
        self._jobs.put(job)

    def proceed(self) -> None:
        self._own.release()

    def wait(self) -> None:
        self._director.release()
        if not self._own.acquire(timeout=PATIENCE):
            raise AssertionError("nobody gave the turn back")

    def end(self) -> None:
        self._jobs.put(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        self.ident = get_ident()
        while (job := self._jobs.get()) is not None:
            self._own.acquire()
            try:
                self.outcome = job()
            except BaseException as failure:  # a crash too is an outcome
                self.outcome = failure
            self.done = True
            self._director.release()
