"""Exported audit files: one entry per line as canonical JSON (JSON Lines), oldest first, starting at revision 1."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from headgate.core.audit import Entry
from headgate_cli import failures

BLOCK = 65_536


def entries_in(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of a file, line by line. Raises `Failure` at a line that is not an entry."""
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            raise failures.chain_broken(number, f"line {number} of the file is not an audit entry")
        yield entry


def continued(
    held: Iterable[Entry], following: Callable[[int], Iterable[Entry]], write: Callable[[bytes], object]
) -> Iterator[Entry]:
    """Yield the entries in `held`, then the entries `following` their last revision.

    A new entry is written once the consumer asks for the next one, so an entry that breaks the chain is not written.
    """
    from headgate.core.documents import canonical

    last = 0
    for entry in held:
        last = entry.get("revision", 0)
        yield entry
    for entry in following(last):
        yield entry
        write(canonical(entry).encode() + b"\n")


def drop_partial_line(file: IO[bytes]) -> None:
    """Remove an incomplete last line, left by an interrupted export, and seek to the start."""
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
