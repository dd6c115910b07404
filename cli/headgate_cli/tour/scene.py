"""What the tour shows: scenes (one request and its answer) in chapters. It must not know HTTP or the terminal."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Scene:
    """A request and its answer. `told` summarizes it; `holds` says whether it is as expected, `wanted` what was."""

    who: str
    asked: str
    status: int | None
    told: str
    holds: bool
    wanted: str = ""

    def as_document(self) -> dict[str, Any]:
        """Return the scene as `--json` writes it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the tour that is not a request."""

    text: str


@dataclass(frozen=True, slots=True)
class Chapter(Generic[C]):
    """A title and its scenes."""

    title: str
    play: Callable[[C], Iterator[Scene | Note]]
