"""`headgate kills`: list which flags are killed."""

import typer

from headgate_cli import render, wording
from headgate_cli.settings import client_of, settings_of

_HEADERS = ("flag", "stage", "killed", "why")


def kills(ctx: typer.Context) -> None:
    """List all flags with their stage and kill. A kill operator may run this, and headgate kill.

    Example: headgate kills
    """
    pages = list(client_of(ctx).pages("/admin/v1/kills"))
    found = [flag for page in pages for flag in page.get("flags", [])]
    if settings_of(ctx).as_json:
        render.show_json({"flags": found, "revision": pages[-1].get("revision")})
        return
    rows = [(one.get("key"), one.get("stage"), wording.kill_text(one), wording.kill_reason(one)) for one in found]
    render.show_table(_HEADERS, rows, empty="no flags: only admins are admitted")
