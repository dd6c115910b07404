"""`headgate kill`: kill a flag with one signed request."""

from typing import Any

import typer

from headgate.core.model import Reach
from headgate_cli import failures, render, wording
from headgate_cli.options import DrainUntil, FlagKeyArgument, KillReach, ReasonOption
from headgate_cli.settings import client_of, settings_of


def kill(
    ctx: typer.Context,
    key: FlagKeyArgument,
    reason: ReasonOption,
    reach: KillReach = Reach.GATE,
    drain_until: DrainUntil = None,
) -> None:
    """Kill a flag: let in only admins, at any stage.

    It works in any state, and can be repeated. headgate restore lifts it. --reach gate (the default): running sessions
    continue. drain: they end at --drain-until. sever: they are refused at once.

    Example: headgate kill access --reason "errors since 14:02"
    """
    if (reach is Reach.DRAIN) != (drain_until is not None):
        raise failures.usage("pass --reach drain and --drain-until TIME together")
    body: dict[str, Any] = {"reason": reason, "reach": reach.value}
    if drain_until is not None:
        body["drain_until"] = drain_until
    flag = client_of(ctx).kill(key, body).document
    if settings_of(ctx).as_json:
        render.show_json(flag)
        return
    render.show_pairs((
        ("flag", flag.get("key")),
        ("state", wording.state(flag)),
        ("sessions", _sessions(flag)),
        ("killed", wording.kill_reason(flag)),
        ("version", f"{flag.get('version')} (revision {flag.get('revision')})"),
    ))  # fmt: skip


def _sessions(flag: dict[str, Any]) -> str:
    count, last = flag.get("sessions_inside"), flag.get("last_leaves_at")
    if count is None:
        return ""
    return f"{count} still running" + (f", the last ends by {last}" if last else "")
