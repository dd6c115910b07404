"""The `headgate` command: its groups, the global options, and how a failure becomes an exit code."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headgate_cli import failures, render
from headgate_cli.commands import (
    allow,
    apply,
    audit,
    check,
    doctor,
    emergency,
    explain,
    export,
    flags,
    health,
    keys,
    kill,
    kills,
    plan,
    preview,
    release,
    restore,
    revoke,
    routes,
    sessions,
    stage,
    token,
    tour,
)
from headgate_cli.commands.allow_import import allow_import
from headgate_cli.commands.allow_list import allow_has, allow_list
from headgate_cli.commands.cost import estimate
from headgate_cli.commands.local import local
from headgate_cli.commands.restore_confirm import restore_confirm
from headgate_cli.failures import EXIT_CODES, Failure
from headgate_cli.options import COMMON, option
from headgate_cli.settings import Settings

UsageError: Any = typer.BadParameter.__base__  # typer has it from click, or from its own copy
WITH_VALUE = ("--api", "--profile", "--region")
EVERYWHERE = (*WITH_VALUE, "--json")
_ORDER = (
    "local tour flags preview stage allow kill kills restore emergency sessions revoke keys plan apply export explain "
    "check audit token health doctor release routes cost"
).split()
ENVIRONMENT = """\
Environment:
  HEADGATE_API, HEADGATE_IDP  the API, and the dev identity provider
  HEADGATE_IDENTITY_TOKEN     the identity token for headgate token
  AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
  AWS_SESSION_TOKEN           who signs, as for any AWS tool

  For a local stack, copy the exports that headgate local prints.

Glossary: docs/glossary.md"""


def hoisted(args: list[str]) -> list[str]:
    """Return the arguments with the global options first, so that they work in any position."""
    ours: list[str] = []
    rest: list[str] = []
    queue = list(args)
    while queue:
        arg = queue.pop(0)
        if arg == "--":
            return [*ours, *rest, arg, *queue]
        name, sign, _ = arg.partition("=")
        takes_next = name in WITH_VALUE and not sign and queue
        (ours if name in EVERYWHERE else rest).extend([arg, queue.pop(0)] if takes_next else [arg])
    return [*ours, *rest]


@contextmanager
def _as_failures(*, as_json: bool) -> Iterator[None]:
    """End a failed command with its message and exit code; with `--json`, a wrong command line too."""
    try:
        yield
        return
    except Failure as failed:
        failure = failed
    except UsageError as error:
        if not as_json:
            raise
        failure = failures.usage(error.format_message() or "no command")
    render.show_failure(failure, as_json=as_json)
    raise typer.Exit(int(failure.exit_code))


class Root(TyperGroup):
    """Accepts the global options anywhere, and ends every `Failure` with its message and exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with the global options in any position."""
        ours = hoisted(args)
        with _as_failures(as_json="--json" in ours[: ours.index("--") if "--" in ours else None]):
            return super().parse_args(ctx, ours)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _as_failures(as_json=bool(ctx.params.get("as_json"))):
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command. `allow import` is one command of two words, since `allow` itself takes a key.

        So is `restore confirm`: a flag named `confirm` is restored by `restore --flag confirm`.
        """
        two = " ".join(args[:2])
        found = self.commands.get(two) if len(args) > 1 else None
        return super().resolve_command(ctx, args) if found is None else (two, found, args[2:])

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order of a rollout."""
        known = super().list_commands(ctx)
        return sorted(known, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002  # the signature is the framework's
        """Write the exit codes and the environment, line by line."""
        formatter.write(f"\n{EXIT_CODES}\n\n{ENVIRONMENT}\n")


app = typer.Typer(
    cls=Root,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def headgate(
    ctx: typer.Context,
    api: Annotated[str | None, option(metavar="URL", help="The API. Default: HEADGATE_API.")] = None,
    profile: Annotated[str | None, option(metavar="NAME", help="The AWS profile that signs.")] = None,
    region: Annotated[str | None, option(metavar="NAME", help="The AWS Region to sign for.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write JSON to stdout, and errors as JSON to stderr.")
    ] = False,
) -> None:
    """Roll out a feature in stages, and shut it off in one call.

    The options below may come before or after the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an ASCII terminal shows escapes, never a crash
    ctx.obj = Settings(api, profile, region, as_json)


COMMANDS: tuple[Callable[..., None], ...] = (
    stage.stage, allow.allow, kill.kill, kills.kills, restore.restore, revoke.revoke, apply.apply, export.export,
    explain.explain, preview.preview, check.check, token.token, health.health, doctor.doctor, release.release,
    routes.routes, tour.tour,
)  # fmt: skip
for command in COMMANDS:
    app.command(epilog=COMMON)(command)
app.command(epilog=COMMON, cls=plan.PlanCommand)(plan.plan)
app.command(epilog=COMMON, short_help="Run the whole stack on this machine.")(local)
app.command("cost", epilog=COMMON)(estimate)
app.command("allow import", epilog=COMMON, hidden=True)(allow_import)
app.command("allow list", epilog=COMMON, hidden=True)(allow_list)
app.command("allow has", epilog=COMMON, hidden=True)(allow_has)
app.command("restore confirm", epilog=COMMON, hidden=True)(restore_confirm)
app.add_typer(flags.app, name="flags")
app.add_typer(audit.app, name="audit")
app.add_typer(sessions.app, name="sessions")
app.add_typer(keys.app, name="keys")
app.add_typer(emergency.app, name="emergency")
