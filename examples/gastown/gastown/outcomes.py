"""The outcome of a call: done or refused. A refusal reveals nothing about other users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.edge.problems import PROBLEMS

Json = Any  # what `json.loads` returns


@dataclass(frozen=True, slots=True)
class Done:
    """The call is done. `body` is the new state."""

    status: int
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Refused:
    """The call is refused. `slug` is a key of `headgate.edge.problems.PROBLEMS`; `faults` are pairs (path, message)."""

    slug: str
    detail: str
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> int:
        """The HTTP status of the problem."""
        return PROBLEMS[self.slug][0]


Outcome = Done | Refused

NO_TOWN = Refused("not-found", "You have no town with this id.")
BUSY = Refused("busy", "Other requests changed the town at the same time. Try again.")
UNAVAILABLE = Refused("unavailable", "The store did not answer. Try again.")


def unfit(faults: tuple[tuple[str, str], ...]) -> Refused:
    """Refuse a body with faults."""
    return Refused("invalid-body", "errors lists each fault", faults)
