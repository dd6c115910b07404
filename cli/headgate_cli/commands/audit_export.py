"""`headgate audit export`: the log of changes as a file that proves itself, and that is gone on with."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from headgate_cli import audit_file, failures, render
from headgate_cli.audit_stream import oldest_first, stream_head
from headgate_cli.settings import client_of, settings_of

STANDARD_OUTPUT = "-"
_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="What to write, or to go on with; - is stdout.", show_default=False)
]


def export_entries(ctx: typer.Context, file: _File) -> None:
    """Write every entry, oldest first, one a line (JSON Lines); a file that is there already is gone on with.

    The file's chain is walked first, and each new entry has to continue it. Exits 1 where one does not, adding nothing.
    """
    from headgate.core.audit import verify_chain

    client, added = client_of(ctx), 0
    head = stream_head(client)
    last = int(head.get("revision", 0))
    with _opened(file) as target:

        def write(line: bytes) -> None:
            nonlocal added
            target.write(line)
            added += 1

        held = () if str(file) == STANDARD_OUTPUT else audit_file.entries_in(target)
        broken = verify_chain(audit_file.went_on(held, lambda after: oldest_first(client, last, after), write), head)
    if broken is not None:
        raise failures.chain_broken(broken.revision, f"{broken.what}; every link before it holds")
    told = f"{last} entries, {added} of them new; head {last}:{head.get('digest')}"
    if str(file) == STANDARD_OUTPUT:
        typer.echo(told, err=True)
    elif settings_of(ctx).as_json:
        render.show_json({"file": str(file), "entries": last, "added": added, "head": head})
    else:
        render.show_lines([f"{file}: {told}"])


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file to read and to go on with, without what an interrupted export left of a line; on disk afterwards."""
    if str(path) == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = path.open("r+b" if path.exists() else "x+b")
    except OSError as error:
        raise failures.usage(f"{path}: {error.strerror}") from None
    with file:
        audit_file.cut_short(file)
        yield file
        file.flush()
        os.fsync(file.fileno())
