"""`headgate health` and `headgate routes`: what is in force, and what is wrong with it."""

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


def routes(ctx: typer.Context) -> None:
    """Show what each route of the protected service needs."""
    found = client_of(ctx).get("/admin/v1/routes").document
    if settings_of(ctx).as_json:
        render.show_json(found)
        return
    policies = found.get("routes", [])
    rows = [(_name(p), p.get("class"), _listed(p.get("flags")), _listed(p.get("asks"))) for p in policies]
    render.show_table(("route", "class", "flags", "asks"), rows, empty="no routes listed: every route is entry")


def _name(policy: dict[str, Any]) -> str:
    return str(policy.get("route") or policy.get("procedure"))


def _listed(keys: list[str] | None) -> str:
    return ", ".join(keys or ())
