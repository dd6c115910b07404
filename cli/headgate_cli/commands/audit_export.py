"""`headgate audit export`: write the audit log to a file that can be verified, and continued later."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from headgate_cli import audit_file, failures, render
from headgate_cli.audit_file import ExportedFile
from headgate_cli.audit_stream import oldest_first, stream_head
from headgate_cli.settings import client_of, settings_of

STANDARD_OUTPUT = "-"
_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="File to write or continue; - for stdout.", show_default=False)
]


def export_entries(ctx: typer.Context, file: _File) -> None:
    """Export the log as JSON Lines, oldest first.

    If FILE exists, its chain is verified and the new entries are appended. Exits with 1, changing nothing, if FILE
    contains anything else, or if an entry does not continue the chain.
    """
    client, added = client_of(ctx), 0
    head = stream_head(client)
    last = int(head.get("revision", 0))
    with _opened(file) as target:

        def write(line: bytes) -> None:
            nonlocal added
            target.write(line)
            added += 1

        held = ExportedFile(() if str(file) == STANDARD_OUTPUT else target)
        whole = audit_file.continued(held, lambda after: oldest_first(client, last, after), write)
        total = len(audit_file.verified_digests(whole, head))
    summary = f"{total} entries, {added} new; head {last}:{head.get('digest')}"
    if str(file) == STANDARD_OUTPUT:
        typer.echo(summary, err=True)
    elif settings_of(ctx).as_json:
        render.show_json({"file": str(file), "entries": total, "added": added, "head": head})
    else:
        render.show_lines([f"{file}: {summary}"])


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open the file to continue, and sync it to disk in the end."""
    if str(path) == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        file = path.open("r+b" if path.exists() else "x+b")
    except OSError as error:
        raise failures.usage(f"cannot open {path}: {error.strerror}") from None
    with file:
        try:
            yield file
        finally:
            file.flush()
            os.fsync(file.fileno())
