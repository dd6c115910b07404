"""Plays the story and tells it: each scene as it happens, then the sum. Knows the terminal, not the API."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import typer

from headgate_cli.failures import Failure
from headgate_cli.render import escaped
from headgate_cli.tour.cast import Cast
from headgate_cli.tour.scene import Chapter, Note, Scene

WHO, ASKED = 9, 46  # columns
Say = Callable[[str], None]


@dataclass
class _Outcome:
    """What came of the tour."""

    chapters: list[tuple[str, list[Scene]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def scenes(self) -> list[Scene]:
        """Every scene, in order."""
        return [scene for _, scenes in self.chapters for scene in scenes]

    @property
    def failed(self) -> int:
        """How many scenes differ from what is promised."""
        return sum(not scene.holds for scene in self.scenes)

    def as_document(self) -> dict[str, Any]:
        """As `--json` writes it."""
        chapters = [
            {"title": title, "scenes": [scene.as_document() for scene in scenes]} for title, scenes in self.chapters
        ]
        held = len(self.scenes) - self.failed
        return {"held": held, "differ": self.failed, "seconds": round(self.seconds, 2), "chapters": chapters}


def play(cast: Cast, story: Iterable[Chapter[Cast]], say: Say) -> _Outcome:
    """Play every chapter, also after one that differs; `say` takes each line as it comes."""
    began, outcome = time.monotonic(), _Outcome()
    for number, chapter in enumerate(story, 1):
        say("")
        say(typer.style(f"{number}  {chapter.title}", bold=True))
        scenes: list[Scene] = []
        for shown in _played(chapter, cast):
            if isinstance(shown, Scene):
                scenes.append(shown)
            say(line_of(shown))
        outcome.chapters.append((chapter.title, scenes))
    outcome.seconds = time.monotonic() - began
    return outcome


def _played(chapter: Chapter[Cast], cast: Cast) -> Iterator[Scene | Note]:
    try:
        yield from chapter.play(cast)
    except Failure as failure:
        told = f"{failure.title}: {failure.detail}" if failure.detail else failure.title
        yield Scene("", "", failure.status, told, False, "an answer")


def line_of(shown: Scene | Note) -> str:
    """One line: mark, who, what was asked, status, what the answer tells."""
    if isinstance(shown, Note):
        return "     " + escaped(shown.text)
    mark = (
        typer.style(_mark("✓", "ok"), fg="green") if shown.holds else typer.style(_mark("✗", "NO"), fg="red", bold=True)
    )
    status = "" if shown.status is None else str(shown.status)
    asked = f"{escaped(shown.asked):<{ASKED}}"
    told = escaped(shown.told) + ("" if shown.holds else typer.style(f"   expected {shown.wanted}", fg="red"))
    return f"   {mark} {shown.who:<{WHO}}{asked} {status:<4} {told}".rstrip()


def sum_line(outcome: _Outcome) -> str:
    """The last line."""
    total, seconds = len(outcome.scenes), f"{outcome.seconds:.1f} s"
    if outcome.failed:
        return typer.style(
            f"{outcome.failed} of {total} answers differ from what is promised ({seconds})", fg="red", bold=True
        )
    return typer.style(f"{total} of {total} answers as promised, in {seconds}", fg="green", bold=True)


def _mark(sign: str, plain: str) -> str:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return sign if encoding == "utf8" else plain


def say_aloud(line: str) -> None:
    """Write a line at once; without colours where there is no terminal, or NO_COLOR is set."""
    typer.echo(line, color=False if os.environ.get("NO_COLOR") else None)
    sys.stdout.flush()
