"""`headgate export`: write the current rules as a manifest."""

import typer

from headgate_cli import render
from headgate_cli.options import AsOf
from headgate_cli.settings import client_of, settings_of


def export(ctx: typer.Context, as_of: AsOf = None) -> None:
    """Write the current rules as a manifest.

    It includes the salts, so that applying it elsewhere keeps everyone's bucket.

    Example: headgate export --as-of 2030-01-31T18:00:00Z
    """
    from headgate_cli.manifest_file import manifest_text

    client = client_of(ctx)
    document = client.get("/admin/v1/manifest", {"as_of": as_of}).document
    while "next" in document:
        page = client.get("/admin/v1/manifest", {"cursor": document.pop("next")}).document
        document |= {**page, "flags": document["flags"] + page["flags"]}
    if settings_of(ctx).as_json:
        render.show_json(document)
    else:
        typer.echo(manifest_text(document), nl=False)
