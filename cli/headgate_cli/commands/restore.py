"""`headgate restore`: lift a kill."""

import typer

from headgate_cli.commands.flags import show
from headgate_cli.options import FlagKeyArgument, ReasonOption, flag_path
from headgate_cli.settings import client_of


def restore(ctx: typer.Context, key: FlagKeyArgument, reason: ReasonOption) -> None:
    """Lift a kill: all is exactly as it was before."""
    answer = client_of(ctx).change("POST", f"{flag_path(key)}/restore", {"reason": reason})
    show(ctx, answer.required().document)
