"""Writes output: Rich tables on a terminal, plain columns in a pipe, JSON with `--json`.

Text from the server is escaped first: a control character in a reason must not forge a log line,
move the cursor, or reverse the text (attack: log forging).
"""

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from headgate_cli.failures import Failure

Row = Sequence[object]

UNSAFE = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode categories that are always escaped: controls, direction marks, surrogates, line separators."""

STYLES = {
    **dict.fromkeys(("ga", "on", "yes"), "green"),
    **dict.fromkeys(("killed", "off", "no"), "red"),
    "percentage": "yellow",
    "allowlist": "cyan",
}


def escaped(value: object) -> str:
    """Return the value's text with every unsafe character escaped, as in `\\x1b`."""
    return "".join(_safe(ch) for ch in str(value))


def _safe(ch: str) -> str:
    if ch.isascii() and ch.isprintable():
        return ch
    return ascii(ch)[1:-1] if unicodedata.category(ch) in UNSAFE else ch


def json_text(value: Any) -> str:
    """Return indented JSON that is safe on a terminal: unsafe characters become JSON escapes, so nothing is lost."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return "".join(ch if ch == "\n" else _json_safe(ch) for ch in text)


def _json_safe(ch: str) -> str:
    if (ch.isascii() and ch.isprintable()) or unicodedata.category(ch) not in UNSAFE:
        return ch
    return json.dumps(ch)[1:-1] if ch != "\x7f" else "\\u007f"


def show_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    typer.echo(json_text(value))


def show_lines(lines: Iterable[str]) -> None:
    """Write lines to stdout, each escaped."""
    for line in lines:
        typer.echo(escaped(line))


def show_alarm(line: str) -> None:
    """Write a line to stdout, escaped; in red on a terminal."""
    typer.secho(escaped(line), fg=typer.colors.RED)


def show_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Write `name  value` lines with aligned values, leaving out empty ones."""
    kept = [(name, str(value)) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in kept), default=0)
    show_lines(f"{name:<{width}}  {value}" for name, value in kept)


def show_table(headers: Sequence[str], rows: Iterable[Row], empty: str = "nothing to show") -> None:
    """Write a table: Rich on a terminal, aligned columns elsewhere."""
    cells = [[escaped("" if cell is None else cell) for cell in row] for row in rows]
    if not cells:
        typer.echo(empty)
    elif sys.stdout.isatty():
        _rich_table(headers, cells)
    else:
        _plain_table(headers, cells)


def _plain_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = [[header.upper() for header in headers], *rows]
    widths = [max(len(row[index]) for row in table) for index in range(len(headers))]
    for row in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = [index for index in range(len(headers)) if any(row[index] for row in rows)]  # no empty columns
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for index in shown:
        table.add_column(headers[index], overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(row[index], style=STYLES.get(row[index].partition(" ")[0], "")) for index in shown))
    Console(highlight=False).print(table)


def show_failure(failure: Failure, *, as_json: bool) -> None:
    """Write a failure to stderr: one line, then each fault, then the hint. Nothing goes to stdout."""
    if as_json:
        typer.echo(json_text(failure.as_document()), err=True)
        return
    status = f" ({failure.status})" if failure.status is not None else ""
    what = f"{failure.title}: {failure.detail}" if failure.detail else failure.title
    typer.echo(f"headgate: {escaped(what)}{status}", err=True)
    for path, message in failure.faults:
        typer.echo(f"  {escaped(path)}: {escaped(message)}", err=True)
    if failure.hint:
        typer.echo(f"  hint: {escaped(failure.hint)}", err=True)
