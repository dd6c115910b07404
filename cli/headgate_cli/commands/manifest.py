"""`headgate plan`, `apply` and `export`: flags, route policies and the token profile as one YAML file."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate_cli import render, wording
from headgate_cli.commands.options import AllowShrink, AsOf, option
from headgate_cli.failures import Failure
from headgate_cli.settings import client_of, settings_of

File = Annotated[Path, typer.Argument(metavar="FILE", help="A manifest; - is stdin.", show_default=False)]
Prune = Annotated[bool, typer.Option("--prune", help="Delete the flags that the manifest does not name.")]
Cursor = Annotated[str | None, option("--cursor", metavar="CURSOR", help="Go on where an interrupted apply stopped.")]


def plan(ctx: typer.Context, file: File, prune: Prune = False) -> None:
    """Say what a manifest would change, and for whom; change nothing."""
    from headgate_cli.manifest_file import read_manifest

    body = {**read_manifest(file), **({"prune": True} if prune else {})}
    found = client_of(ctx).ask("/admin/v1/manifest/plan", body).document
    if settings_of(ctx).as_json:
        render.show_json(found)
        return
    steps = found.get("changes") or []
    rows = [(*_row(step), wording.moved(step) if "gains" in step else "") for step in steps]
    render.show_table(("change", "of", "access", "who is known"), rows, empty="nothing to change")
    also = wording.affected(found.get("affects") or [])
    warning = "Some lose access: apply needs --allow-shrink." if found.get("shrinks") else ""
    render.show_lines(line for told in (also, warning) if told for line in ("", told))


def _row(step: dict[str, Any]) -> tuple[object, ...]:
    return step.get("action"), step.get("flag") or step.get("target"), "some lose it" if step.get("shrinks") else ""


def export(ctx: typer.Context, as_of: AsOf = None) -> None:
    """Write what is in force as a manifest.

    Salts are in it, so that applying it elsewhere keeps everyone's bucket. With --as-of it is what was in force then.
    """
    from headgate_cli.manifest_file import manifest_text

    document = client_of(ctx).get("/admin/v1/manifest", {"as_of": as_of}).document
    if settings_of(ctx).as_json:
        render.show_json(document)
    else:
        typer.echo(manifest_text(document), nl=False)


def apply(
    ctx: typer.Context,
    file: File,
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
    render.show_table(("change", "of", "access"), [_row(step) for step in steps], empty="nothing to change")
    if steps:
        render.show_lines(["", f"applied {len(steps)} changes"])
