"""`headgate audit checkpoint`: sign the head of the audit log."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from headgate_cli import checkpoints, render
from headgate_cli.checkpoints import TrustedKey, key_beside
from headgate_cli.settings import client_of, settings_of


def make_checkpoint(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Append to this file. Default: stdout.", show_default=False),
    ] = None,
) -> None:
    """Sign the log's head with the audit key.

    Keep the checkpoints and the key where nobody who can write the table can write. The first checkpoint of a FILE also
    writes the public key to FILE.key, which must verify all later ones. Exits with 1, appending nothing, if the log
    went back or was rewritten.
    """
    client = client_of(ctx)
    fetch = partial(checkpoints.fetched_key, client)
    key = TrustedKey(fetch()) if file is None else checkpoints.trusted_key(file, None, fetch)
    earlier = checkpoints.read_checkpoints(file, key.public) if file is not None and file.exists() else []
    document = client.ask("/admin/v1/audit/checkpoints", {}).document
    try:
        checkpoint = checkpoints.signed_by(key.public, document)
    except ValueError as error:
        raise checkpoints.broken("the API's checkpoint is invalid", str(error)) from None
    if file is None:
        typer.echo(json.dumps(document, separators=(",", ":")))
        return
    checkpoints.check_next(earlier, checkpoint)
    if not key.pinned:
        checkpoints.write_key(key_beside(file), key.public)
    checkpoints.append(file, document)
    if settings_of(ctx).as_json:
        render.show_json({**document, "checkpoints": len(earlier) + 1, "thumbprint": key.thumbprint})
        return
    by = f"by {key.told}" if key.pinned else f"by audit key {key.thumbprint}, saved to {key_beside(file)}"
    render.show_lines([f"checkpoint {len(earlier) + 1} in {file}: revision {checkpoint.revision}, signed {by}"])
