"""`headgate check`: decision vectors against the engine, without any server."""

from pathlib import Path
from typing import Annotated

import typer

from headgate_cli import render
from headgate_cli.options import option
from headgate_cli.project import MANIFEST, STORIES, find_example
from headgate_cli.settings import settings_of


def check(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Files of decision vectors (JSON); else the example's stories."),
    ] = None,
    manifest: Annotated[
        Path | None, option(metavar="FILE", help="The flags for cases that name none: a manifest.")
    ] = None,
) -> None:
    """Check stories about who gets in; no server needed."""
    from headgate_cli.manifest_file import read_manifest
    from headgate_cli.vectors import read_cases

    if not files:
        example = find_example()
        files, manifest = [example / STORIES], manifest or example / MANIFEST
    flags = {} if manifest is None else {flag["key"]: flag for flag in read_manifest(manifest).get("flags", [])}
    cases = [(file, case) for file in files for case in read_cases(file, flags)]
    wrong = [(file, case, case.decide()) for file, case in cases if not case.holds()]
    if settings_of(ctx).as_json:
        told = [
            {"file": str(file), "name": case.name, "flag": case.flag, "expected": [case.value, case.reason],
             "decided": [made.value, made.reason.value]}
            for file, case, made in wrong
        ]  # fmt: skip
        render.show_json({"checked": len(cases), "wrong": told})
    else:
        for _file, case, made in wrong:
            must, came = f"{case.value} {case.reason}", f"{made.value} {made.reason}"
            render.show_lines([f"✗ {case.name}: {case.flag} must be {must}, is {came}"])
        render.show_lines([f"{len(cases) - len(wrong)} of {len(cases)} decisions as written"])
    if wrong:
        raise typer.Exit(1)
