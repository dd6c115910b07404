"""`headgate audit key`: show the public key that verifies checkpoints."""

import typer

from headgate_cli import checkpoints, render
from headgate_cli.checkpoints import TrustedKey
from headgate_cli.settings import client_of, settings_of


def show_key(ctx: typer.Context) -> None:
    """Show the audit key and its thumbprint (with --json: the key as a JWK, to be kept and given as --key)."""
    key = TrustedKey(checkpoints.fetched_key(client_of(ctx)))
    if settings_of(ctx).as_json:
        render.show_json(key.public.jwk())
        return
    render.show_pairs((("key", key.public.kid), ("thumbprint", key.thumbprint)))
