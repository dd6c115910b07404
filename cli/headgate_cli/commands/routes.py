"""`headgate routes`: show the route policies."""

from typing import Any

import typer

from headgate_cli import render
from headgate_cli.settings import client_of, settings_of


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
