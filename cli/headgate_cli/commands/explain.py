"""`headgate explain`: show why a flag is on or off for a subject, step by step, now or as of a past revision."""

from typing import Annotated, Any

import typer

from headgate_cli import render, wording
from headgate_cli.options import Attributes, FlagKeyArgument, OrgsOfUser, option, pairs
from headgate_cli.settings import client_of, settings_of


def explain(
    ctx: typer.Context,
    key: FlagKeyArgument,
    user: Annotated[str | None, option(metavar="ID", help="The user.")] = None,
    org: OrgsOfUser = None,
    admin: Annotated[bool, typer.Option("--admin", help="Treat the user as an admin.")] = False,
    attribute: Attributes = None,
    as_of: Annotated[str | None, option("--as-of", metavar="REV|TIME", help="Decide as of a revision or time.")] = None,
) -> None:
    """Show why a flag is on or off for a user, step by step.

    It knows of the user only what the options say. What they leave out is named in the answer.

    Example: headgate explain access --user alice --org acme
    """
    subject: dict[str, Any] = {"orgs": org or [], "admin": admin, "attributes": pairs(attribute or [])}
    if user is not None:
        subject["user"] = user
    body: dict[str, Any] = {"flag": key, "subject": subject}
    if as_of is not None:
        body["as_of"] = int(as_of) if as_of.isascii() and as_of.isdigit() else as_of
    decision = client_of(ctx).ask("/admin/v1/explain", body).document
    left_out = (("no org", org), ("no attribute", attribute), ("not an admin", admin))
    assumed = [what for what, given in left_out if not given]
    if settings_of(ctx).as_json:
        render.show_json({**decision, "assumed": assumed})
        return
    steps = decision.get("steps") or []
    render.show_table(("flag", "step", "answer", "reason", "because"), [_row(step) for step in steps], empty="no steps")
    render.show_lines(["", _verdict(decision)])
    if assumed:
        render.show_lines([f"assumed: {', '.join(assumed)} (--org, --attribute, and --admin say otherwise)"])


def _row(step: dict[str, Any]) -> tuple[object, ...]:
    facts = wording.facts_text(step.get("facts") or {})
    return step.get("flag"), step.get("step"), step.get("outcome"), step.get("reason") or "", facts


def _verdict(decision: dict[str, Any]) -> str:
    value, reason = _on_off(decision.get("value")), decision.get("reason")
    last = (decision.get("steps") or [{}])[-1].get("facts") or {}
    why = f", {wording.facts_text(last)}" if reason == "SPLIT" and last else ""
    return f"{decision.get('flag')} is {value}: {reason}{why} (revision {decision.get('revision')})"


def _on_off(value: object) -> str:
    return "on" if value is True else "off"
