"""`headgate keys`: list, rotate, and revoke the signing keys."""

from typing import Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.options import COMMON, ReasonOption
from headgate_cli.settings import client_of, settings_of

app = typer.Typer(invoke_without_command=True, epilog=COMMON)

_PATH = "/admin/v1/keys"
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@app.callback()
def keys(ctx: typer.Context) -> None:
    """List, rotate, and revoke the signing keys.

    Without a command: list the keys.
    """
    if ctx.invoked_subcommand is None:
        list_keys(ctx)


@app.command("list", epilog=COMMON)
def list_keys(ctx: typer.Context) -> None:
    """List the signing keys with their states.

    active signs; next and previous only verify; revoked does neither.
    """
    _show(ctx, client_of(ctx).get(_PATH).document)


@app.command("rotate", epilog=COMMON)
def rotate_keys(ctx: typer.Context, reason: ReasonOption) -> None:
    """Make the next key the active one.

    Tokens signed by the previous key stay valid until they expire. A rotation is refused while every other key still
    has unexpired tokens: an hour at most.
    """
    _show(ctx, client_of(ctx).change("POST", f"{_PATH}/rotate", {"reason": reason}).required().document)


@app.command("revoke", epilog=COMMON)
def revoke_key(
    ctx: typer.Context,
    kid: Annotated[str, typer.Argument(metavar="KID", help="The key's id, from headgate keys.", show_default=False)],
    reason: ReasonOption,
) -> None:
    """Refuse every token that a key signed, permanently.

    If the key was active, the next key becomes active. Everyone with a token of the key must exchange again, and every
    session of the key must be renewed.
    """
    _show(ctx, client_of(ctx).change("POST", f"{_PATH}/revoke", {"kid": kid, "reason": reason}).required().document)


def _show(ctx: typer.Context, document: dict[str, Any]) -> None:
    if settings_of(ctx).as_json:
        render.show_json(document)
        return
    rows = [(key.get("kid"), key.get("state"), _age(key.get("age_seconds"))) for key in document.get("keys", [])]
    render.show_table(("key", "state", "since"), rows, empty="no usable keys: the key ring cannot be read")


def _age(seconds: object) -> str:
    """Return how long ago, in the largest unit that fits; "" for a key whose state never changed."""
    if not isinstance(seconds, int):
        return ""
    size, name = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    count = max(seconds, 0) // size
    return f"{count} {name}{'' if count == 1 else 's'} ago"
