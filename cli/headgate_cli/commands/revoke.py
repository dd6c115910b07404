"""`headgate revoke`: refuse tokens that are out already."""

from typing import Annotated

import typer

from headgate_cli import failures, render
from headgate_cli.options import ReasonOption, option
from headgate_cli.settings import client_of, settings_of


def revoke(
    ctx: typer.Context,
    reason: ReasonOption,
    subject: Annotated[str | None, option(metavar="USER", help="All tokens of this user up to now.")] = None,
    jti: Annotated[str | None, option(metavar="ID", help="One token, by its claim jti.")] = None,
) -> None:
    """Refuse a user's tokens issued until now, or one token.

    At once where a route is decided live, within 5 s elsewhere. A later exchange works: to keep somebody out, take them
    off the list.
    """
    if (subject is None) == (jti is None):
        raise failures.usage("name one: --subject USER or --jti ID")
    named = {"jti": jti} if subject is None else {"subject": subject}
    document = client_of(ctx).change("POST", "/admin/v1/revocations", {**named, "reason": reason}).required().document
    if settings_of(ctx).as_json:
        render.show_json(document)
        return
    what = f"token {jti}" if subject is None else f"all tokens of {subject} up to {document.get('at')}"
    render.show_lines([f"revoked {what}"])
