"""`headgate stage`: set a flag's stage."""

from typing import Any

import typer

from headgate.core.model import Stage
from headgate_cli import failures
from headgate_cli.commands.flags import show
from headgate_cli.options import (
    AllowShrink,
    FlagKeyArgument,
    IfMatch,
    NewUnit,
    Percent,
    ReasonOption,
    StageArgument,
    flag_path,
)
from headgate_cli.settings import client_of


def stage(
    ctx: typer.Context,
    key: FlagKeyArgument,
    to: StageArgument,
    reason: ReasonOption,
    percent: Percent = None,
    unit: NewUnit = None,
    allow_shrink: AllowShrink = False,
    if_match: IfMatch = None,
) -> None:
    """Set a flag's stage, forward or back.

    Going back takes access away and needs --allow-shrink.
    """
    if to is Stage.PERCENTAGE and percent is None:
        raise failures.usage("stage percentage needs --percent N")
    body: dict[str, Any] = {"stage": to.value, "reason": reason}
    if percent is not None:
        body["percent"] = percent
    if unit is not None:
        body["unit"] = unit.value
    if allow_shrink:
        body["allow_shrink"] = True
    path = flag_path(key)
    show(ctx, client_of(ctx).update("POST", f"{path}/stage", body, read=path, if_match=if_match).document)
