"""Exported audit files: one entry per line as canonical JSON (JSON Lines), oldest first, starting at revision 1.

An interrupted export may leave an incomplete last line. It is completed if it begins the next entry of the log; a file
is never truncated.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from headgate.core.audit import Entry
from headgate_cli import failures


class ExportedFile:
    """The entries of a file's complete lines. `rest` is the incomplete last line, once they are read."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.rest = b""

    def entries(self) -> Iterator[Entry]:
        """Yield the entries of the complete lines. Raises `Failure` at a line that is not an entry."""
        for number, line in enumerate(self._lines, 1):
            if not line.endswith(b"\n"):
                self.rest = line
                return
            yield entry_in(number, line)


def entries_in(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the entries of a file, line by line. Raises `Failure` at a line that is not an entry."""
    for number, line in enumerate(lines, 1):
        yield entry_in(number, line)


def entry_in(number: int, line: bytes) -> Entry:
    """Return the entry in a line. Raises `Failure` if it is not one."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise failures.chain_broken(number, f"line {number} of the file is not an audit entry")
    return entry


def verified_digests(
    entries: Iterable[Entry], head: Mapping[str, Any] | None = None, anchors: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Verify a chain (see `core.audit.verify_chain`), and return its digests by revision. Raises `Failure`."""
    from headgate.core.audit import verify_chain

    digests: dict[int, str] = {}

    def noted() -> Iterator[Entry]:
        for entry in entries:
            yield entry
            digests[entry["revision"]] = entry["digest"]

    broken = verify_chain(noted(), head, anchors)
    if broken is not None:
        raise failures.chain_broken(broken.revision, f"{broken.what}; every entry before it is intact")
    return digests


def verified_file(path: Path, anchors: Mapping[int, str] | None = None) -> dict[int, str]:
    """As `verified_digests`, for an exported file."""
    try:
        with path.open("rb") as file:
            return verified_digests(entries_in(file), None, anchors)
    except OSError as error:
        raise failures.usage(f"cannot read {path}: {error.strerror}") from None


def continued(
    held: ExportedFile, following: Callable[[int], Iterable[Entry]], write: Callable[[bytes], object]
) -> Iterator[Entry]:
    """Yield the entries in `held`, then the entries `following` their last revision.

    A new entry is written once the consumer asks for the next one, so an entry that breaks the chain is not written.
    Raises `Failure` if the file's incomplete last line is not the beginning of the next entry.
    """
    from headgate.core.documents import canonical

    last = 0
    for entry in held.entries():
        last = entry.get("revision", 0)
        yield entry
    rest = held.rest
    for entry in following(last):
        line = canonical(entry).encode() + b"\n"
        if not line.startswith(rest):
            break
        yield entry
        write(line[len(rest) :])
        rest = b""
    if rest:
        raise failures.chain_broken(last + 1, "the file's last line is not this entry; the file was not changed")
