"""`headgate restore`: lift a kill."""

from typing import Annotated

import typer

from headgate_cli import failures
from headgate_cli.commands.flags import show
from headgate_cli.options import ReasonOption, checked_key, flag_path, option
from headgate_cli.settings import client_of

CONFIRM = "confirm"
"""The word that makes `headgate restore confirm` another command (`restore_confirm`)."""


def restore(
    ctx: typer.Context,
    reason: ReasonOption,
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="The flag's key.", show_default=False)] = None,
    flag: Annotated[str | None, option("--flag", metavar="KEY", help="The same, for a flag named confirm.")] = None,
) -> None:
    """Lift a kill: the flag is exactly as it was before.

    headgate restore confirm is another command: it opens a restored table.

    Example: headgate restore access --reason "fixed in release 41"
    """
    if key == CONFIRM:
        hint = "to open a restored table: headgate restore confirm OPTIONS; for a flag: headgate restore --flag confirm"
        raise failures.usage("restore confirm: write confirm directly after restore", hint)
    if (key is None) == (flag is None):
        raise failures.usage("pass the flag's key")
    answer = client_of(ctx).change("POST", f"{flag_path(checked_key(key or flag or ''))}/restore", {"reason": reason})
    show(ctx, answer.required().document)
