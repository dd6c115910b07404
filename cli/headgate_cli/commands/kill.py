"""`headgate kill`: drop the gate in one signed request."""

from typing import Any

import typer

from headgate.core.model import Reach
from headgate_cli import failures
from headgate_cli.commands.flags import show
from headgate_cli.options import DrainUntil, FlagKeyArgument, KillReach, ReasonOption
from headgate_cli.settings import client_of


def kill(
    ctx: typer.Context,
    key: FlagKeyArgument,
    reason: ReasonOption,
    reach: KillReach = Reach.GATE,
    drain_until: DrainUntil = None,
) -> None:
    """Drop the gate now: admins only, whatever the stage.

    Work that runs goes on. One signed request; it works in any state and twice in a row. restore lifts it.
    """
    if (reach is Reach.DRAIN) != (drain_until is not None):
        raise failures.usage("--reach drain and --drain-until TIME go together")
    body: dict[str, Any] = {"reason": reason, "reach": reach.value}
    if drain_until is not None:
        body["drain_until"] = drain_until
    flag = client_of(ctx).kill(key, body).document
    show(ctx, flag, (("inside", _inside(flag)),))


def _inside(flag: dict[str, Any]) -> str:
    count, last = flag.get("sessions_inside"), flag.get("last_leaves_at")
    if count is None:
        return ""
    return f"{count} still inside" + (f", the last leaves at {last}" if last else "")
