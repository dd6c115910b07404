"""`headgate plan`: show what a manifest would change."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from headgate_cli import render, wording
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.settings import client_of, settings_of

DETAILED = "--detailed-exitcode"
CHANGES_FOUND = 2
"""The exit code of `terraform plan -detailed-exitcode` for a plan that is not empty."""
ManifestFile = Annotated[Path, typer.Argument(metavar="FILE", help="A manifest; - for stdin.", show_default=False)]
Prune = Annotated[bool, typer.Option("--prune", help="Delete flags that the manifest does not name.")]
DetailedExitCode = Annotated[
    bool, typer.Option(DETAILED, help="Exit with 0 if nothing changes, 2 if something does, 1 on every error.")
]


class PlanCommand(TyperCommand):
    """Ends a wrong command line with 1 where 2 means that there are changes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        detailed = DETAILED in args  # parsing empties the list
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if detailed and getattr(error, "exit_code", None) == ExitCode.USAGE:
                error.exit_code = int(ExitCode.CHECK_FAILED)  # type: ignore[attr-defined]  # a usage error of click
            raise


def plan(ctx: typer.Context, file: ManifestFile, prune: Prune = False, detailed: DetailedExitCode = False) -> None:
    """Show what a manifest would change, and for whom.

    It shows each member and each route that changes, who gains and loses as headgate preview does, and what apply
    would ask for.

    Example: headgate plan manifest.yaml
    """
    from headgate_cli.manifest_file import read_manifest

    try:
        body = {**read_manifest(file), **({"prune": True} if prune else {})}
        found = client_of(ctx).ask("/admin/v1/manifest/plan", body).document
    except Failure as failure:
        raise replace(failure, exit_code=ExitCode.CHECK_FAILED) if detailed else failure from None
    if settings_of(ctx).as_json:
        render.show_json(found)
    else:
        _show(found)
    if detailed and found.get("changes"):
        raise typer.Exit(CHANGES_FOUND)


def _show(found: dict[str, Any]) -> None:
    steps = found.get("changes") or []
    rows = [(*step_row(step), *_effect(step)) for step in steps]
    render.show_table(("change", "of", "access", "known subjects", "everyone else"), rows, empty="no changes")
    for step in steps:
        _show_details(step)
    also = wording.affected_text(found.get("affects") or [])
    render.show_lines(["", also] if also else [])
    for one in found.get("warnings") or ():
        typer.echo(render.escaped(f"warning: {one.get('path')}: {one.get('message')}"), err=True)
    for line in _confirmations(found):
        render.show_lines([""])
        render.show_alarm(line)


def step_row(step: dict[str, Any]) -> tuple[object, ...]:
    """Return a step of a plan as a table row: change, object, access."""
    access = ", ".join(name for name in ("shrinks", "opens") if step.get(name))
    return step.get("action"), step.get("flag") or step.get("target"), access


def _effect(step: dict[str, Any]) -> tuple[str, str]:
    share = step.get("share") or {}
    moves = share.get("before") != share.get("after") or share.get("gains") or share.get("loses")
    return wording.moved_text(step) if "gains" in step else "", wording.share_text(share) if moves else ""


def _show_details(step: dict[str, Any]) -> None:
    """Show the members and the routes that change; those that open in red."""
    fields, routes = list(wording.field_lines(step.get("fields") or [])), step.get("routes") or []
    if not fields and not routes and not step.get("cut"):
        return
    render.show_lines(["", str(step.get("flag") or step.get("target"))])
    render.show_lines(f"  {line}" for line in fields)
    for route in routes:
        line = f"  {wording.policy_text(wording.policy_name(route), route.get('before'), route.get('after'))}"
        words = [name for name in ("shrinks", "opens") if route.get(name)]
        line += f"  ({', '.join(words)})" if words else ""
        if route.get("opens"):
            render.show_alarm(line)
        else:
            render.show_lines([line])
    if step.get("cut"):
        render.show_lines(["  the details are too long for one answer: plan fewer changes at a time"])


def _confirmations(found: dict[str, Any]) -> Iterator[str]:
    if found.get("shrinks"):
        yield "This removes access: apply needs --allow-shrink."
    if found.get("opens"):
        yield "This opens routes: apply needs --allow-open."
