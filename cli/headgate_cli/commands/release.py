"""`headgate release`: shift the gate to the newest deployment step by step."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import option
from headgate_cli.settings import aws_session, region_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.release.shift import Moved


def _percents(text: str) -> list[int]:
    """Return the steps, which must grow."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    found = [int(part) if part.isdigit() else 0 for part in parts]
    if not all(0 < percent < 100 for percent in found) or sorted(set(found)) != found:
        raise typer.BadParameter("must be increasing percentages from 1 to 99, separated by commas")
    return found


def release(
    ctx: typer.Context,
    stack: Annotated[str, option("--stack", metavar="NAME", help="The CloudFormation stack.")],
    steps: Annotated[
        str, option("--steps", metavar="PERCENTS", help="The shares of requests that the new version gets.")
    ] = "10,50",
    minutes: Annotated[
        float, option("--minutes", metavar="NUMBER", help="How long each step is watched.", min=0)
    ] = 5.0,
) -> None:
    """Shift the gate to the newest deployment.

    Publishes a version of the authorizer. It first gets a share of the requests, and all requests go back to the
    version before if an alarm goes on. From then on the gate stays at that version until the next release. The first
    release moves all requests at once, because Lambda cannot split traffic with $LATEST; so does --steps "".

    Stops and leaves the alias alone if an emergency kill is in force or is made during the release.

    Example: headgate release --stack headgate-production --steps 5,25,50 --minutes 10
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from headgate_cli.emergency.functions import said
    from headgate_cli.emergency.variables import Stuck
    from headgate_cli.release.shift import Stopped

    moves: list[Moved] = []
    try:
        _release(ctx, stack, _percents(steps), minutes * 60, moves)
    except (Stopped, Stuck) as stopped:
        raise Failure(ExitCode.CONFLICT, "the release stopped", str(stopped), slug="release") from None
    except (ClientError, BotoCoreError) as error:
        raise Failure(ExitCode.UNAVAILABLE, "a call to AWS failed", said(error), slug="release") from None
    if settings_of(ctx).as_json:
        render.show_json({"moves": [asdict(move) for move in moves]})
    elif not moves:
        render.show_lines(["the gate already serves the newest deployment"])


def _release(ctx: typer.Context, stack: str, steps: Sequence[int], seconds: float, moves: "list[Moved]") -> None:
    from headgate_cli.doctor.alarms import live_alarms
    from headgate_cli.emergency.functions import GATE, Functions
    from headgate_cli.release.shift import ALARMS, Shift, Stopped

    settings = settings_of(ctx)
    session: Any = aws_session(settings)
    client = partial(session.client, region_name=region_of("", session))
    stacks, cloudwatch = client("cloudformation"), client("cloudwatch")
    found = stacks.describe_stack_resource(StackName=stack, LogicalResourceId=GATE)["StackResourceDetail"]

    def alarms() -> list[str]:
        live = live_alarms(cloudwatch, name)
        if missing := sorted(set(ALARMS) - live.keys()):
            raise Stopped(f"these alarms do not exist, so the release cannot be watched: {', '.join(missing)}")
        return [one for one in ALARMS if live[one]["StateValue"] == "ALARM"]

    function, name = found["PhysicalResourceId"], found["StackName"]
    shift = Shift(Functions(client("lambda")), function, alarms, time.sleep)
    for move in shift.run(steps, seconds):
        moves.append(move)
        if not settings.as_json:
            render.show_lines([_told(move)])


def _told(move: "Moved") -> str:
    if move.percent:
        return f"version {move.other} gets {move.percent} %, version {move.version} the rest"
    return f"version {move.version} gets all requests"
