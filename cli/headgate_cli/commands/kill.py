"""`headgate kill`: kill a flag with one signed request."""

from datetime import datetime, timedelta
from typing import Any

import typer

from headgate.core.model import Reach
from headgate_cli import failures, render, wording
from headgate_cli.failures import ExitCode, Failure
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
    continue. drain: they end at --drain-until. sever: they are refused at once. While a flag is killed, the reach only
    rises: a lower one exits with 4.

    Example: headgate kill access --reason "errors since 14:02"
    """
    if (reach is Reach.DRAIN) != (drain_until is not None):
        raise failures.usage("pass --reach drain and --drain-until TIME together")
    body: dict[str, Any] = {"reason": reason, "reach": reach.value}
    if drain_until is not None:
        body["drain_until"] = drain_until
    flag = client_of(ctx).kill(key, body).document
    _show(ctx, flag)
    killed = flag.get("killed") or {}
    if killed.get("reach", reach) != reach or not _is_same_time(killed.get("drain_until"), drain_until):
        detail = f"it stays {wording.kill_text(flag)}, because the reach of a kill only rises"
        hint = f"to lower it: headgate restore {key}, then kill again"
        raise Failure(ExitCode.CONFLICT, "the flag was already killed", detail, slug="reach-not-lowered", hint=hint)


def _is_same_time(held: str | None, asked: str | None) -> bool:
    if held is None or asked is None:
        return True
    return abs(datetime.fromisoformat(held) - datetime.fromisoformat(asked)) < timedelta(seconds=1)


def _show(ctx: typer.Context, flag: dict[str, Any]) -> None:
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
