"""`headgate allow import`: list the ids of a file, however many, or take them off. All of them at once, or none."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from headgate_cli import failures, render
from headgate_cli.failures import Failure
from headgate_cli.options import AllowShrink, FlagKeyArgument, checked_reason, flag_path, option
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.imports import Run
    from headgate_cli.member_file import MemberFile

INTERRUPTED = 130  # as shells have it for Ctrl-C


class _Kind(StrEnum):
    """What the ids are of."""

    USER = "user"
    ORG = "org"


_File = Annotated[Path | None, typer.Argument(metavar="FILE", help="Ids, one a line; - is stdin.", show_default=False)]
KindOption = Annotated[_Kind, typer.Option("--kind", help="What the ids are of.")]
Remove = Annotated[bool, typer.Option("--remove", help="Take them off instead.")]
Why = Annotated[
    str | None,
    option("--reason", metavar="TEXT", help="Why; else the command and the file's name.",
           callback=lambda text: None if text is None else checked_reason(text)),
]  # fmt: skip
Again = Annotated[bool, typer.Option("--again", help="Also where this file was imported before: once more.")]
Abandon = Annotated[str | None, option("--abandon", metavar="ID", help="No file: give up the import of this id.")]


def allow_import(
    ctx: typer.Context,
    key: FlagKeyArgument,
    file: _File = None,
    kind: KindOption = _Kind.USER,
    remove: Remove = False,
    reason: Why = None,
    allow_shrink: AllowShrink = False,
    again: Again = False,
    abandon: Abandon = None,
) -> None:
    """List the ids of a file, or take them off, by one change.

    Blank lines and lines that begin with # are passed over. Nothing counts until all is sent. Where it is stopped,
    however it is, the same command goes on; when it is done, the same command changes nothing.
    """
    if (file is None) == (abandon is None):
        raise failures.usage("name a file of ids, or give up an import with --abandon ID")
    if abandon is not None:
        _abandon(ctx, key, abandon, reason or "headgate allow import --abandon")
        return
    from headgate_cli.imports import ImportPlan, Run
    from headgate_cli.member_file import read_members

    path = file or Path()
    plan = ImportPlan(key, kind.value, "remove" if remove else "add", reason or f"headgate allow import {path.name}",
                allow_shrink, again)  # fmt: skip
    client = client_of(ctx)
    if sys.stderr.isatty():
        typer.echo(f"reading {render.escaped(path)}", err=True)
    with closing(read_members(path)) as members:
        run = Run(client, plan, members)
        is_new = _carried_out(run, members, key)
        _show(ctx, run.state(), members, is_new=is_new)


def _abandon(ctx: typer.Context, key: str, name: str, reason: str) -> None:
    path = f"{flag_path(key)}/imports/{quote(name, safe='')}"
    client_of(ctx).change("DELETE", path, {"reason": reason}).required()
    if settings_of(ctx).as_json:
        render.show_json({"abandoned": name})
        return
    render.show_lines([f"abandoned {name}: what was staged never counts"])


def _carried_out(run: "Run", members: "MemberFile", key: str) -> bool:
    """Do it, unless it was done before. Raises `Failure` that says how to go on."""
    try:
        if run.open().get("state") == "committed":
            return False
        with progress(members.count, run.staged) as advance:
            while run.stage():
                advance(run.staged)
        run.commit()
    except Failure as failure:
        raise _with_hint(failure, run, members, key) from None
    except KeyboardInterrupt:
        typer.echo(f"\nstopped: {_go_on(run, members, key)}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    return True


def _go_on(run: "Run", members: "MemberFile", key: str) -> str:
    there = f"{run.staged:,} of {members.count:,} ids are staged and none counts yet"
    return f"{there}; the same command goes on, headgate allow import {key} --abandon {run.id} gives it up"


def _with_hint(failure: Failure, run: "Run", members: "MemberFile", key: str) -> Failure:
    if failure.slug == "import-open":
        other = failure.document.get("import", "ID")
        hint = f"go on with its own file, or give it up: headgate allow import {key} --abandon {other}"
    elif run.staged and not failure.slug.startswith("import-"):
        hint = "; ".join(filter(None, (failure.hint, _go_on(run, members, key))))
    else:
        hint = failure.hint
    return replace(failure, hint=hint)


@contextmanager
def progress(count: int, done: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr with rate and time to go, at a terminal; else nothing."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("staging"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=count, completed=done, rate="")

        def advance(now: int) -> None:
            bar.update(task, completed=now)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed:,.0f}/s" if speed else "")

        yield advance


def _show(ctx: typer.Context, found: dict[str, Any], members: "MemberFile", *, is_new: bool) -> None:
    twice = f" ({members.duplicates:,} more were there twice)" if members.duplicates else ""
    if settings_of(ctx).as_json:
        render.show_json({**found, "count": members.count, "duplicates": members.duplicates, "changed": is_new})
        return
    render.show_pairs((
        ("import", found.get("id")),
        ("ids", f"{members.count:,}{twice}"),
        ("added", f"{found.get('added', 0):,}" if found.get("mode") == "add" else ""),
        ("removed", f"{found.get('removed', 0):,}" if found.get("mode") == "remove" else ""),
        ("revision", found.get("revision")),
        ("note", "" if is_new else "done before, nothing was changed; --again imports it once more"),
    ))  # fmt: skip
