"""`headgate routes`: show the route policies."""

import typer

from headgate_cli import render, wording
from headgate_cli.settings import client_of, settings_of


def routes(ctx: typer.Context) -> None:
    """Show the route policies: what each route requires."""
    found = client_of(ctx).get("/admin/v1/routes").document
    if settings_of(ctx).as_json:
        render.show_json(found)
        return
    policies = found.get("routes", [])
    rows = [(wording.policy_name(p), p.get("class"), _listed(p.get("flags")), _listed(p.get("asks"))) for p in policies]
    render.show_table(("route", "class", "flags", "asks"), rows, empty="no route policies: every route is entry")


def _listed(keys: list[str] | None) -> str:
    return ", ".join(keys or ())
