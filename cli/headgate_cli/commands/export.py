"""`headgate export`: write what is in force as a manifest."""

import typer

from headgate_cli import render
from headgate_cli.options import AsOf
from headgate_cli.settings import client_of, settings_of


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
