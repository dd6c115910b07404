"""`headgate revoke`: refuse tokens that were already issued."""

from typing import Annotated

import typer

from headgate_cli import failures, render
from headgate_cli.options import ReasonOption, option
from headgate_cli.settings import client_of, settings_of


def revoke(
    ctx: typer.Context,
    reason: ReasonOption,
    subject: Annotated[str | None, option(metavar="USER", help="Revoke all tokens of this user up to now.")] = None,
    jti: Annotated[str | None, option(metavar="ID", help="Revoke the token with this jti.")] = None,
) -> None:
    """Revoke a user's tokens issued so far, or one token.

    It takes effect at once where a decision is live, and within 5 s elsewhere. A later exchange works: to keep a user
    out, remove them from the list as well.

    Example: headgate revoke --subject alice --reason "leaked token"
    """
    if (subject is None) == (jti is None):
        raise failures.usage("pass either --subject USER or --jti ID")
    named = {"jti": jti} if subject is None else {"subject": subject}
    document = client_of(ctx).change("POST", "/admin/v1/revocations", {**named, "reason": reason}).required().document
    if settings_of(ctx).as_json:
        render.show_json(document)
        return
    what = f"token {jti}" if subject is None else f"all tokens of {subject} issued up to {document.get('at')}"
    render.show_lines([f"revoked {what}"])
