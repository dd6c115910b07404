"""`headgate allow`: add users and orgs to a flag's allowlist, or remove them."""

from typing import Any

import typer

from headgate_cli import failures
from headgate_cli.commands.flags import show
from headgate_cli.options import (
    AllowShrink,
    FlagKeyArgument,
    GoneOrgs,
    GoneUsers,
    IfMatch,
    Orgs,
    ReasonOption,
    Users,
    flag_path,
)
from headgate_cli.settings import client_of


def allow(
    ctx: typer.Context,
    key: FlagKeyArgument,
    reason: ReasonOption,
    user: Users = None,
    org: Orgs = None,
    remove_user: GoneUsers = None,
    remove_org: GoneOrgs = None,
    allow_shrink: AllowShrink = False,
    if_match: IfMatch = None,
) -> None:
    """Change a flag's allowlist: add or remove users and orgs.

    The list lets them in from stage allowlist on. For a file of ids, use headgate allow import KEY FILE. To read the
    list, use headgate allow list KEY or headgate allow has KEY ID.

    Example: headgate allow access --user alice --reason "first tester"
    """
    if not (user or org or remove_user or remove_org):
        raise failures.usage("nothing to change: pass --user, --org, --remove-user, or --remove-org")
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
