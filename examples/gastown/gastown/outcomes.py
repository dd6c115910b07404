"""What can come of a call: it is done, or it is refused. A refusal tells a caller nothing of others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.edge.problems import PROBLEMS

Json = Any  # what `json.loads` gives


@dataclass(frozen=True, slots=True)
class Done:
    """It is done; `body` tells the caller what is now."""

    status: int
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Refused:
    """It is refused. `slug` is one of the problems' (`headgate.edge.problems`); `faults` lists (path, message)."""

    slug: str
    detail: str
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> int:
        """The HTTP status of the problem."""
        return PROBLEMS[self.slug][0]


Outcome = Done | Refused

NO_TOWN = Refused("not-found", "There is no such town of yours.")
BUSY = Refused("busy", "Others were quicker each time. Try again.")
UNAVAILABLE = Refused("unavailable", "The store did not answer. Try again.")


def unfit(faults: tuple[tuple[str, str], ...]) -> Refused:
    """A body that was read, but does not fit."""
    return Refused("invalid-body", "See errors for each fault.", faults)
