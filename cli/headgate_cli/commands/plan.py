"""`headgate plan`: show what a manifest would change."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headgate_cli import render, wording
from headgate_cli.settings import client_of, settings_of

ManifestFile = Annotated[Path, typer.Argument(metavar="FILE", help="A manifest; - is stdin.", show_default=False)]
Prune = Annotated[bool, typer.Option("--prune", help="Delete the flags that the manifest does not name.")]


def plan(ctx: typer.Context, file: ManifestFile, prune: Prune = False) -> None:
    """Say what a manifest would change, and for whom; change nothing."""
    from headgate_cli.manifest_file import read_manifest

    body = {**read_manifest(file), **({"prune": True} if prune else {})}
    found = client_of(ctx).ask("/admin/v1/manifest/plan", body).document
    if settings_of(ctx).as_json:
        render.show_json(found)
        return
    steps = found.get("changes") or []
    rows = [(*step_row(step), wording.moved_text(step) if "gains" in step else "") for step in steps]
    render.show_table(("change", "of", "access", "who is known"), rows, empty="nothing to change")
    also = wording.affected_text(found.get("affects") or [])
    warning = "Some lose access: apply needs --allow-shrink." if found.get("shrinks") else ""
    render.show_lines(line for told in (also, warning) if told for line in ("", told))


def step_row(step: dict[str, Any]) -> tuple[object, ...]:
    """A step of a plan as a row of a table: change, object, access."""
    return step.get("action"), step.get("flag") or step.get("target"), "some lose it" if step.get("shrinks") else ""
