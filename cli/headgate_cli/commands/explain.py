"""`headgate explain`: why a flag is on or off for a subject, step by step, now or as of then."""

from typing import Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.options import Attributes, FlagKeyArgument, option, pairs
from headgate_cli.settings import client_of, settings_of


def explain(
    ctx: typer.Context,
    key: FlagKeyArgument,
    user: Annotated[str | None, option(metavar="ID", help="The user asked about.")] = None,
    org: Annotated[list[str] | None, option("--org", metavar="ID", help="An org of the user; may repeat.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="The user is an admin.")] = False,
    attribute: Attributes = None,
    as_of: Annotated[str | None, option("--as-of", metavar="REV|TIME", help="A past revision, or a time.")] = None,
) -> None:
    """Say why a flag is on or off for a user, step by step."""
    subject: dict[str, Any] = {"orgs": org or [], "admin": admin, "attributes": pairs(attribute or [])}
    if user is not None:
        subject["user"] = user
    body: dict[str, Any] = {"flag": key, "subject": subject}
    if as_of is not None:
        body["as_of"] = int(as_of) if as_of.isascii() and as_of.isdigit() else as_of
    decision = client_of(ctx).ask("/admin/v1/explain", body).document
    if settings_of(ctx).as_json:
        render.show_json(decision)
        return
    steps = decision.get("steps") or []
    render.show_table(("flag", "step", "answer", "reason"), [_row(step) for step in steps], empty="no steps")
    render.show_lines(["", _verdict(decision)])


def _row(step: dict[str, Any]) -> tuple[object, ...]:
    return step.get("flag"), step.get("step"), step.get("outcome"), step.get("reason") or ""


def _verdict(decision: dict[str, Any]) -> str:
    value, reason = _on_off(decision.get("value")), decision.get("reason")
    return f"{decision.get('flag')} is {value}: {reason} (revision {decision.get('revision')})"


def _on_off(value: object) -> str:
    return "on" if value is True else "off"
