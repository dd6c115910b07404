"""`headgate health`: show what needs a look."""

import json
from typing import Any

import typer

from headgate_cli import render
from headgate_cli.settings import client_of, settings_of


def health(ctx: typer.Context) -> None:
    """Show missing and quarantined flags, key ages, the head."""
    found = client_of(ctx).get("/admin/v1/health").document
    if settings_of(ctx).as_json:
        render.show_json(found)
        return
    render.show_pairs((name.replace("_", " "), _said(value)) for name, value in found.items())


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_said(item) for item in value) or "none"
    if isinstance(value, dict):
        return "  ".join(f"{name} {_said(inner)}" for name, inner in value.items()) or "none"
    return value if isinstance(value, str) else json.dumps(value)
