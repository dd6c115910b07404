"""`headgate kill` and `headgate restore`: drop the gate in one signed request, and lift it again."""

from typing import Any

import typer

from headgate.core.model import Reach
from headgate_cli import failures
from headgate_cli.commands.flags import show
from headgate_cli.commands.options import DrainUntil, Key, KillReach, Reason, flag_path
from headgate_cli.settings import client_of


def kill(
    ctx: typer.Context,
    key: Key,
    reason: Reason,
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


def restore(ctx: typer.Context, key: Key, reason: Reason) -> None:
    """Lift a kill: all is exactly as it was before."""
    answer = client_of(ctx).change("POST", f"{flag_path(key)}/restore", {"reason": reason})
    show(ctx, answer.required().document)
