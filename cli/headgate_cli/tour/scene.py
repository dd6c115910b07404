"""What the tour shows: scenes (one request and its answer) in chapters. Knows neither HTTP nor the terminal."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Scene:
    """Who asked what, what came back, and whether that is what Headgate promises. `wanted` says what was expected."""

    who: str
    asked: str
    status: int | None
    told: str
    holds: bool
    wanted: str = ""

    def as_document(self) -> dict[str, Any]:
        """As `--json` writes it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the story that is not a request."""

    text: str


@dataclass(frozen=True, slots=True)
class Chapter(Generic[C]):
    """A title and what happens under it."""

    title: str
    play: Callable[[C], Iterator[Scene | Note]]
