"""Exported audit files: one entry a line as canonical JSON (JSON Lines), oldest first, from revision 1 on."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from headgate.core.audit import Entry
from headgate_cli import failures

BLOCK = 65_536


def entries_in(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of a file, a line at a time. Raises `Failure` at a line that is none."""
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise failures.chain_broken(number, f"line {number} of the file is no audit entry")
        yield entry


def went_on(
    held: Iterable[Entry], following: Callable[[int], Iterable[Entry]], write: Callable[[bytes], object]
) -> Iterator[Entry]:
    """The entries that are held, then those `following` the last revision of these.

    Each of those is written when whoever walks the chain asks for the next: what does not continue it never is.
    """
    from headgate.core.documents import canonical

    last = 0
    for entry in held:
        last = entry.get("revision", 0)
        yield entry
    for entry in following(last):
        yield entry
        write(canonical(entry).encode() + b"\n")


def cut_short(file: IO[bytes]) -> None:
    """Take away what stands after the last end of a line: an interrupted export left it. Back to the beginning then."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - BLOCK)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        end = begin if found < 0 else begin + found + 1
        if found >= 0:
            break
    file.truncate(end)
    file.seek(0)
