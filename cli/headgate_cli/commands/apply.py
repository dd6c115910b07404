"""`headgate apply`: apply a manifest."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.commands.plan import ManifestFile, Prune, step_row
from headgate_cli.failures import Failure
from headgate_cli.options import AllowShrink, option
from headgate_cli.settings import client_of, settings_of

Cursor = Annotated[str | None, option("--cursor", metavar="CURSOR", help="Go on where an interrupted apply stopped.")]


def apply(
    ctx: typer.Context,
    file: ManifestFile,
    reason: Annotated[str | None, option("--reason", metavar="TEXT", help="Why; else the file's name.")] = None,
    prune: Prune = False,
    allow_shrink: AllowShrink = False,
    cursor: Cursor = None,
) -> None:
    """Make a manifest so, one revision for each changed flag.

    It goes page by page. Where it is interrupted it says how to go on; applying again from the start is safe too.
    """
    from headgate_cli.manifest_file import read_manifest

    body: dict[str, Any] = {**read_manifest(file), "reason": reason or f"headgate apply {file.name}"}
    body |= {name: True for name, given in (("prune", prune), ("allow_shrink", allow_shrink)) if given}
    client = client_of(ctx)
    applied: list[dict[str, Any]] = []
    while True:
        page = {**body, "cursor": cursor} if cursor else body
        try:
            answer = client.change("POST", "/admin/v1/manifest", page).required().document
        except Failure as failure:
            raise _interrupted(failure, file, cursor, len(applied)) from None
        applied.extend(answer.get("changes") or [])
        cursor = answer.get("next")
        if not cursor:
            break
        typer.echo(f"{len(applied)} changes applied, going on", err=True)
    _show_applied(ctx, {**answer, "changes": applied})


def _interrupted(failure: Failure, file: Path, cursor: str | None, done: int) -> Failure:
    if cursor is None:
        return failure
    hint = f"{done} changes are applied; go on with: headgate apply {file} --cursor {cursor}"
    return replace(failure, hint=f"{failure.hint}; {hint}" if failure.hint else hint)


def _show_applied(ctx: typer.Context, answer: dict[str, Any]) -> None:
    if settings_of(ctx).as_json:
        render.show_json({name: value for name, value in answer.items() if name != "next"})
        return
    steps = answer["changes"]
    render.show_table(("change", "of", "access"), [step_row(step) for step in steps], empty="nothing to change")
    if steps:
        render.show_lines(["", f"applied {len(steps)} changes"])
