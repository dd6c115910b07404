"""`headgate stage` and `headgate allow`: widen or narrow a rollout."""

from typing import Any

import typer

from headgate.core.model import Stage
from headgate_cli import failures
from headgate_cli.commands.flags import show
from headgate_cli.commands.options import (
    AllowShrink,
    GoneOrgs,
    GoneUsers,
    IfMatch,
    Key,
    NewUnit,
    Orgs,
    Percent,
    Reason,
    StageArgument,
    Users,
    flag_path,
)
from headgate_cli.settings import client_of


def stage(
    ctx: typer.Context,
    key: Key,
    to: StageArgument,
    reason: Reason,
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


def allow(
    ctx: typer.Context,
    key: Key,
    reason: Reason,
    user: Users = None,
    org: Orgs = None,
    remove_user: GoneUsers = None,
    remove_org: GoneOrgs = None,
    allow_shrink: AllowShrink = False,
    if_match: IfMatch = None,
) -> None:
    """List users and orgs, or take them off. They count from stage allowlist on.

    Whole files of ids come in by headgate allow import KEY FILE.
    """
    if not (user or org or remove_user or remove_org):
        raise failures.usage("name someone: --user, --org, --remove-user or --remove-org")
    body: dict[str, Any] = {"reason": reason}
    if user or org:
        body["add"] = {"users": user or [], "orgs": org or []}
    if remove_user or remove_org:
        body["remove"] = {"users": remove_user or [], "orgs": remove_org or []}
    if allow_shrink:
        body["allow_shrink"] = True
    path = flag_path(key)
    flag = client_of(ctx).update("POST", f"{path}/allow", body, read=path, if_match=if_match).document
    show(ctx, flag, (("added", str(flag.get("added", ""))), ("removed", str(flag.get("removed", "")))))
