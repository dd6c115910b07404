"""Whether a history of overlapping operations has an equivalent sequential order: the search of Wing, Gong, and Lowe.

As in Porcupine and Knossos: try each operation that may come next and whose answer fits the state; backtrack
if none does; never visit the same set of operations with the same state twice. An operation without an answer may
have taken effect at any time since it began, or never.

G. Lowe, "Testing for linearizability", Concurrency and Computation 29(4), 2017.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)
Call = TypeVar("Call")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Operation(Generic[Call, Answer]):
    """`begin` and `end` are positions in one order of all events; without an answer, `end` has no meaning."""

    begin: float
    end: float
    call: Call
    answer: Answer | None


Step = Callable[[State, Call, Answer | None], State | None]
"""Returns the state after a call with this answer (None: unknown answer), or None if the answer does not fit."""


def is_linearizable(
    history: Sequence[Operation[Call, Answer]], initial: State, step: Step[State, Call, Answer]
) -> bool:
    """Whether some order explains every answer and keeps operations that did not overlap in sequence."""
    operations = sorted(history, key=lambda operation: operation.begin)
    ends = [inf if operation.answer is None else operation.end for operation in operations]
    needed = sum(1 << index for index, end in enumerate(ends) if end < inf)
    seen: set[tuple[int, State]] = set()
    paths = [(0, initial)]
    while paths:
        done, state = paths.pop()
        if done & needed == needed:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        for index in _next(operations, ends, done):
            after = step(state, operations[index].call, operations[index].answer)
            if after is not None:
                paths.append((done | 1 << index, after))
    return False


def _next(operations: Sequence[Operation[Call, Answer]], ends: Sequence[float], done: int) -> list[int]:
    """The remaining operations that began before any of them ended."""
    index = (~done & (done + 1)).bit_length() - 1
    first_end, found = inf, []
    while index < len(operations) and operations[index].begin < first_end:
        if not done >> index & 1:
            first_end = min(first_end, ends[index])
            found.append(index)
        index += 1
    return [index for index in found if operations[index].begin < first_end]
