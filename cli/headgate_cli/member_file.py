"""A file of ids, one per line, read once and kept on disk: any size in little memory, each id once, in order.

A CSV file with one column is such a file: quotes around an id are removed, and a line with several columns is an error.
Blank lines and lines that start with # are skipped. Errors are reported with their lines before anything is sent.
"""

import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from headgate.core.allow import is_member_id
from headgate.core.audit import GENESIS
from headgate.core.limits import MAX_ID_BYTES, MAX_MEMBERS_A_CALL
from headgate.core.members import chained
from headgate_cli import failures
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import id_in

_STANDARD_INPUT = "-"
MAX_LINE = 4_096  # bytes; far longer than any id
MAX_FAULTS = 20
_AT_ONCE = 10_000
BATCH_BYTES = 49_152  # of ids; up to six times as many as escaped JSON, which one API call still accepts
MEMORY_KB = 32_768
PLAIN_ID = re.compile(rf"[!#-+\--:<-~]{{1,{MAX_ID_BYTES}}}")  # nearly all ids: checked in a tenth of the time

Line = tuple[int, str]


class MemberFile:
    """The ids of a file: `count` of them, without `duplicates`. `digest` is computed like an import's."""

    def __init__(self) -> None:
        self._ids = sqlite3.connect("")  # a temporary file, deleted on close
        for pragma in (f"cache_size = -{MEMORY_KB}", "journal_mode = OFF", "synchronous = OFF"):
            self._ids.execute(f"PRAGMA {pragma}")
        self._ids.execute("CREATE TABLE ids (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, line INTEGER)")
        self.count = self.duplicates = 0
        self.digest = GENESIS

    def add(self, lines: Iterator[Line]) -> None:
        """Add ids with their lines."""
        while part := list(islice(lines, _AT_ONCE)):
            before = self._ids.total_changes
            self._ids.executemany("INSERT OR IGNORE INTO ids (line, id) VALUES (?, ?)", part)
            new = self._ids.total_changes - before
            self.count, self.duplicates = self.count + new, self.duplicates + len(part) - new
        self.digest = self.digest_of(self.count)

    def digest_of(self, count: int) -> str:
        """Return the digest of the first `count` ids, computed like an import's."""
        first = self._ids.execute("SELECT id FROM ids WHERE place <= ? ORDER BY place", (count,))
        return chained(GENESIS, (str(name) for (name,) in first))

    def batch(self, at: int) -> list[str]:
        """Return the ids from index `at` on, as many as one call accepts."""
        query = "SELECT id FROM ids WHERE place > ? ORDER BY place LIMIT ?"
        found: list[str] = []
        size = 0
        for (name,) in self._ids.execute(query, (at, MAX_MEMBERS_A_CALL)):
            size += len(name.encode())
            if found and size > BATCH_BYTES:
                break
            found.append(str(name))
        return found

    def line(self, at: int) -> int:
        """Return the line number of the id at index `at`."""
        found = self._ids.execute("SELECT line FROM ids WHERE place = ?", (at + 1,)).fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Delete the temporary file."""
        self._ids.close()


def read_members(path: Path) -> MemberFile:
    """Read a file, or standard input for `-`. Raises `Failure` (usage) with the first 20 invalid lines."""
    members, faults = MemberFile(), _Faults()
    try:
        if str(path) == _STANDARD_INPUT:
            members.add(_ids(sys.stdin.buffer, faults))
        else:
            with closing(path.open("rb")) as stream:
                members.add(_ids(stream, faults))
    except OSError as error:
        raise failures.usage(f"cannot read {path}: {type(error).__name__}") from None
    if faults.count:
        raise faults.failure(path)
    if not members.count:
        raise failures.usage(f"{path} contains no ids")
    return members


def member_line(name: str) -> str:
    """Return an id as a line that `read_members` reads back: quoted if it would mean something else there."""
    if id_in(name) == name and not name.startswith("#"):
        return name
    return '"' + name.replace('"', '""') + '"'


class _Faults:
    def __init__(self) -> None:
        self.count = 0
        self._first: list[tuple[str, str]] = []

    def add(self, line: int, what: str) -> None:
        self.count += 1
        if len(self._first) < MAX_FAULTS:
            self._first.append((f"line {line}", what))

    def failure(self, path: Path) -> Failure:
        more = [("more", f"{self.count - MAX_FAULTS:,} lines")] if self.count > MAX_FAULTS else []
        title = f"{path} has lines that are not ids; nothing was sent"
        return Failure(ExitCode.USAGE, title, slug="usage", faults=(*self._first, *more))


def _ids(stream: BinaryIO, faults: _Faults) -> Iterator[Line]:
    for number, line in _lines(stream):
        text = line.strip(b" \t\r\n")
        if not text or text.startswith(b"#"):
            continue
        try:
            name = text.decode()
        except UnicodeDecodeError:
            faults.add(number, "is not UTF-8")
            continue
        is_plain = PLAIN_ID.fullmatch(name)
        found = name if is_plain else id_in(name)
        if found is None:
            faults.add(number, "has several columns; keep one id per line, and quote an id that has a comma")
        elif not is_plain and not is_member_id(found):
            faults.add(number, "must be one id of 1 to 256 bytes, without spaces or control characters")
        elif not faults.count:
            yield number, found


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield line numbers, from 1, and lines. A line longer than `MAX_LINE` is truncated."""
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        rest = line
        while len(rest) == MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE)
        yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
