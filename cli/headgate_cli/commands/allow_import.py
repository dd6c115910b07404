"""`headgate allow import`: add a file of ids of any size to a flag's allowlist, or remove it, in one change."""

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

INTERRUPTED = 130  # what shells return for Ctrl-C


class MemberKind(StrEnum):
    """What the ids identify."""

    USER = "user"
    ORG = "org"


_File = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="File of ids, one per line; - for stdin.", show_default=False)
]
KindOption = Annotated[MemberKind, typer.Option("--kind", help="What the ids identify.")]
Remove = Annotated[bool, typer.Option("--remove", help="Remove the ids instead.")]
Why = Annotated[
    str | None,
    option("--reason", metavar="TEXT", help="Why. Default: the command and the file's name.",
           callback=lambda text: None if text is None else checked_reason(text)),
]  # fmt: skip
Again = Annotated[bool, typer.Option("--again", help="Import the same ids again.")]
Abandon = Annotated[str | None, option("--abandon", metavar="ID", help="Discard this import; without FILE.")]


def allow_import(
    ctx: typer.Context,
    key: FlagKeyArgument,
    file: _File = None,
    kind: KindOption = MemberKind.USER,
    remove: Remove = False,
    reason: Why = None,
    allow_shrink: AllowShrink = False,
    again: Again = False,
    abandon: Abandon = None,
) -> None:
    """Add a file of ids to a flag's allowlist in one change.

    Blank lines and lines that start with # are skipped. Nothing takes effect until all ids are sent. If it is
    interrupted, run the same command again to resume; once it is done, the same command changes nothing.

    Example: headgate allow import access beta.txt --reason "beta testers"
    """
    if (file is None) == (abandon is None):
        raise failures.usage("pass either FILE or --abandon ID")
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
    render.show_lines([f"abandoned {name}: its staged ids are discarded"])


def _carried_out(run: "Run", members: "MemberFile", key: str) -> bool:
    """Run the import. Returns False if it was already committed. Raises `Failure` with a hint on how to resume."""
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
        typer.echo(f"\ninterrupted: {_resume(run, members, key)}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    return True


def _resume(run: "Run", members: "MemberFile", key: str) -> str:
    state = f"{run.staged:,} of {members.count:,} ids are staged, none is in effect"
    return f"{state}; run the same command to resume, or headgate allow import {key} --abandon {run.id} to discard them"


def _with_hint(failure: Failure, run: "Run", members: "MemberFile", key: str) -> Failure:
    if failure.slug == "import-open":
        other = failure.document.get("import", "ID")
        hint = f"resume it with its own file, or discard it: headgate allow import {key} --abandon {other}"
    elif run.staged and not failure.slug.startswith("import-"):
        hint = "; ".join(filter(None, (failure.hint, _resume(run, members, key))))
    else:
        hint = failure.hint
    return replace(failure, hint=hint)


@contextmanager
def progress(count: int, done: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr if it is a terminal; yield a function that sets the number of staged ids."""
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
    duplicates = f" ({members.duplicates:,} duplicates skipped)" if members.duplicates else ""
    if settings_of(ctx).as_json:
        render.show_json({**found, "count": members.count, "duplicates": members.duplicates, "changed": is_new})
        return
    render.show_pairs((
        ("import", found.get("id")),
        ("ids", f"{members.count:,}{duplicates}"),
        ("added", f"{found.get('added', 0):,}" if found.get("mode") == "add" else ""),
        ("removed", f"{found.get('removed', 0):,}" if found.get("mode") == "remove" else ""),
        ("revision", found.get("revision")),
        ("note", "" if is_new else "already imported, nothing changed; pass --again to import it again"),
    ))  # fmt: skip
