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
    """Set a flag's stage.

    A change that removes access needs --allow-shrink.

    Example: headgate stage access percentage --percent 25 --reason "a quarter"
    """
    if to is Stage.PERCENTAGE and percent is None:
        raise failures.usage("stage percentage needs --percent N")
    if to is not Stage.PERCENTAGE and percent is not None:
        raise failures.usage(f"--percent has no effect at stage {to.value}", "leave it out, or set stage percentage")
    body: dict[str, Any] = {"stage": to.value, "reason": reason}
    if percent is not None:
        body["percent"] = percent
    if unit is not None:
        body["unit"] = unit.value
    if allow_shrink:
        body["allow_shrink"] = True
    path = flag_path(key)
    show(ctx, client_of(ctx).update("POST", f"{path}/stage", body, read=path, if_match=if_match).document)
