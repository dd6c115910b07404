"""`headgate apply`: apply a manifest."""

from dataclasses import replace
from shlex import quote
from typing import Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.commands.plan import ManifestFile, Prune, step_row
from headgate_cli.failures import Failure
from headgate_cli.options import AllowOpen, AllowShrink, option
from headgate_cli.settings import client_of, settings_of

Cursor = Annotated[str | None, option("--cursor", metavar="CURSOR", help="Resume an interrupted apply.")]


def apply(
    ctx: typer.Context,
    file: ManifestFile,
    reason: Annotated[str | None, option("--reason", metavar="TEXT", help="Why. Default: the file's name.")] = None,
    prune: Prune = False,
    allow_shrink: AllowShrink = False,
    allow_open: AllowOpen = False,
    cursor: Cursor = None,
) -> None:
    """Apply a manifest, one revision per changed flag.

    A change that removes access needs --allow-shrink, and one that opens a route needs --allow-open. See both with
    headgate plan.

    Changes are made in pages. If it is interrupted, it prints the command that resumes it. Applying again from the
    start is safe too.

    Example: headgate apply manifest.yaml --reason "release 41"
    """
    from headgate_cli.manifest_file import read_manifest

    body: dict[str, Any] = {**read_manifest(file), "reason": reason or f"headgate apply {file.name}"}
    given = {"prune": prune, "allow_shrink": allow_shrink, "allow_open": allow_open}
    body |= {name: True for name, is_given in given.items() if is_given}
    client = client_of(ctx)
    applied: list[dict[str, Any]] = []
    while True:
        page = {**body, "cursor": cursor} if cursor else body
        try:
            answer = client.change("POST", "/admin/v1/manifest", page).required().document
        except Failure as failure:
            words = [f" --{name.replace('_', '-')}" for name, is_given in given.items() if is_given]
            options = f" --reason {quote(str(body['reason']))}{''.join(words)}"
            raise _interrupted(failure, f"{file} --cursor {cursor}{options}" if cursor else "", len(applied)) from None
        applied.extend(answer.get("changes") or [])
        cursor = answer.get("next")
        if not cursor:
            break
        typer.echo(f"{len(applied)} changes applied so far", err=True)
    _show_applied(ctx, {**answer, "changes": applied})


def _interrupted(failure: Failure, resume: str, done: int) -> Failure:
    if not resume:
        return failure
    hint = f"{done} changes are applied; to resume: headgate apply {resume}"
    return replace(failure, hint=f"{failure.hint}; {hint}" if failure.hint else hint)


def _show_applied(ctx: typer.Context, answer: dict[str, Any]) -> None:
    if settings_of(ctx).as_json:
        render.show_json({name: value for name, value in answer.items() if name != "next"})
        return
    steps = answer["changes"]
    render.show_table(("change", "of", "access"), [step_row(step) for step in steps], empty="no changes")
    if steps:
        render.show_lines(["", f"applied {len(steps)} changes"])
