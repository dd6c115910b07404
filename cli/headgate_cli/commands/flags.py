"""`headgate flags`: list, show, create, and delete flags."""

import sys
from typing import Annotated, Any

import typer

from headgate.core.model import Stage, Unit
from headgate_cli import failures, render, wording
from headgate_cli.options import (
    COMMON,
    AllowShrink,
    Claim,
    Description,
    FlagKeyArgument,
    IfMatch,
    Orgs,
    Owner,
    Parents,
    Percent,
    ReasonOption,
    Salt,
    Users,
    flag_path,
)
from headgate_cli.settings import client_of, settings_of

app = typer.Typer(invoke_without_command=True, epilog=COMMON)

_HEADERS = ("flag", "stage", "killed", "unit", "allowlist", "requires", "updated")


@app.callback()
def flags(ctx: typer.Context) -> None:
    """List, show, create, and delete flags.

    Without a command: list all flags.
    """
    if ctx.invoked_subcommand is None:
        list_flags(ctx)


@app.command("list", epilog=COMMON)
def list_flags(ctx: typer.Context) -> None:
    """List all flags."""
    pages = list(client_of(ctx).pages("/admin/v1/flags"))
    found = [flag for page in pages for flag in page.get("flags", [])]
    if settings_of(ctx).as_json:
        render.show_json({"flags": found, "revision": pages[-1].get("revision")})
        return
    render.show_table(_HEADERS, [_row(flag) for flag in found], empty="no flags: only admins are admitted")


def _row(flag: dict[str, Any]) -> tuple[object, ...]:
    return (
        flag.get("key"),
        wording.stage_text(flag),
        wording.kill_text(flag),
        flag.get("unit"),
        wording.listed_text(flag),
        ", ".join(flag.get("requires") or ()),
        str(flag.get("updated_at", ""))[:16].replace("T", " "),
    )


@app.command("show", epilog=COMMON)
def show_flag(ctx: typer.Context, key: FlagKeyArgument) -> None:
    """Show a flag."""
    flag = client_of(ctx).get(flag_path(key)).document
    show(ctx, flag)


def show(ctx: typer.Context, flag: dict[str, Any], more: tuple[tuple[str, object], ...] = ()) -> None:
    """Show a flag, as JSON or as lines; `more` are lines about the change just made."""
    if settings_of(ctx).as_json:
        render.show_json(flag)
        return
    allow = flag.get("allow") or {}
    pairs: tuple[tuple[str, object], ...] = (
        ("flag", flag.get("key")),
        ("state", wording.state(flag)),
        ("killed", wording.kill_reason(flag)),
        ("unit", flag.get("unit")),
        ("users", ", ".join(allow.get("users") or ())),
        ("orgs", ", ".join(allow.get("orgs") or ())),
        ("listed", wording.unshown_text(flag)),
        ("rules", len(allow.get("rules") or ()) or ""),
        ("requires", ", ".join(flag.get("requires") or ())),
        ("claim", flag.get("claim")),
        ("description", flag.get("description")),
        ("owner", flag.get("owner")),
        ("version", f"{flag.get('version')} (revision {flag.get('revision')})"),
        ("updated", f"{flag.get('updated_at')} by {wording.caller(flag.get('updated_by'))}"),
    )
    render.show_pairs((*pairs[:2], *more, *pairs[2:]))


@app.command("create", epilog=COMMON)
def create_flag(
    ctx: typer.Context,
    key: FlagKeyArgument,
    reason: ReasonOption,
    stage: Annotated[Stage, typer.Option(help="The first stage.")] = Stage.ADMIN_ONLY,
    percent: Percent = None,
    unit: Annotated[Unit, typer.Option(help="What the percentage counts.")] = Unit.USER,
    user: Users = None,
    org: Orgs = None,
    requires: Parents = None,
    description: Description = None,
    owner: Owner = None,
    claim: Claim = None,
    salt: Salt = None,
) -> None:
    """Create a flag.

    Example: headgate flags create beta --owner team-x --reason "new editor"
    """
    if (stage is Stage.PERCENTAGE) != (percent is not None):
        raise failures.usage("pass --stage percentage and --percent N together")
    body: dict[str, Any] = {"key": key, "reason": reason, "stage": stage.value, "unit": unit.value}
    optional = {"percent": percent, "requires": requires, "claim": claim, "salt": salt}
    optional |= {"description": description, "owner": owner}
    if user or org:
        body["allow"] = {"users": user or [], "orgs": org or [], "rules": []}
    body.update({name: value for name, value in optional.items() if value not in (None, [])})
    answer = client_of(ctx).change("PUT", flag_path(key), body, {"If-None-Match": "*"}).required()
    show(ctx, answer.document, (("created", key),))


@app.command("delete", epilog=COMMON)
def delete_flag(
    ctx: typer.Context,
    key: FlagKeyArgument,
    reason: ReasonOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    allow_shrink: AllowShrink = False,
    if_match: IfMatch = None,
) -> None:
    """Delete a flag permanently.

    A deleted flag denies everyone, and its key can never be used again.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise failures.usage("not a terminal: pass --yes to delete the flag permanently")
        typer.confirm(f"Delete {key}? It will deny everyone, and its key is never used again.", abort=True, err=True)
    body: dict[str, Any] = {"reason": reason, **({"allow_shrink": True} if allow_shrink else {})}
    client_of(ctx).update("DELETE", flag_path(key), body, read=flag_path(key), if_match=if_match)
    if settings_of(ctx).as_json:
        render.show_json({"deleted": key})
        return
    render.show_lines([f"deleted {key}: it denies everyone, and its key is retired"])
