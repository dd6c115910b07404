"""`headgate keys`: which signing key stands where, the rotation, and the emergency."""

from typing import Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.options import COMMON, ReasonOption
from headgate_cli.settings import client_of, settings_of

app = typer.Typer(help="List, rotate and revoke the signing keys.", invoke_without_command=True, epilog=COMMON)

_PATH = "/admin/v1/keys"
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


@app.callback()
def keys(ctx: typer.Context) -> None:
    """List, rotate and revoke the signing keys. With no command: list."""
    if ctx.invoked_subcommand is None:
        list_keys(ctx)


@app.command("list", epilog=COMMON)
def list_keys(ctx: typer.Context) -> None:
    """Every key of the pool with its state: active signs, next and previous only verify, revoked does neither."""
    _show(ctx, client_of(ctx).get(_PATH).document)


@app.command("rotate", epilog=COMMON)
def rotate_keys(ctx: typer.Context, reason: ReasonOption) -> None:
    """Let the next key sign from now on. Tokens of the one before stay good until they expire.

    Refused while the last tokens of all other keys still live, an hour at most.
    """
    _show(ctx, client_of(ctx).change("POST", f"{_PATH}/rotate", {"reason": reason}).required().document)


@app.command("revoke", epilog=COMMON)
def revoke_key(
    ctx: typer.Context,
    kid: Annotated[str, typer.Argument(metavar="KID", help="The key's id, as the list shows it.", show_default=False)],
    reason: ReasonOption,
) -> None:
    """Refuse every token of a key, for good. If it was active, the next one signs from now on.

    Everybody whose token it signed must exchange again; sessions end.
    """
    _show(ctx, client_of(ctx).change("POST", f"{_PATH}/revoke", {"kid": kid, "reason": reason}).required().document)


def _show(ctx: typer.Context, document: dict[str, Any]) -> None:
    if settings_of(ctx).as_json:
        render.show_json(document)
        return
    rows = [(key.get("kid"), key.get("state"), _age(key.get("age_seconds"))) for key in document.get("keys", [])]
    render.show_table(("key", "state", "since"), rows, empty="no key can be used: the keys on record cannot be read")


def _age(seconds: object) -> str:
    """How long ago, in the largest unit that fits; nothing for a key that was never moved."""
    if not isinstance(seconds, int):
        return ""
    size, name = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    count = max(seconds, 0) // size
    return f"{count} {name}{'' if count == 1 else 's'} ago"
