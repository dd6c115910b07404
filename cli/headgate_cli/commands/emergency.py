"""`headgate emergency`: kill through AWS Lambda's own API, when the table or the admin API does not work."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.core.emergency import EVERY
from headgate_cli import failures, render
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import COMMON, checked_key, checked_reason, option
from headgate_cli.settings import aws_session, region_of, settings_of

if TYPE_CHECKING:
    from headgate.core.model import RoutePolicy
    from headgate_cli.emergency.functions import Functions, Report

app = typer.Typer(no_args_is_help=True, epilog=COMMON)

_Reason = Annotated[
    str, option("--reason", metavar="TEXT", help="Why; stored in the authorizer's alias.", callback=checked_reason)
]
_Stack = Annotated[str | None, option("--stack", metavar="NAME", help="The CloudFormation stack.")]
Names = Annotated[
    list[str] | None,
    option("--function", metavar="NAME", help="A function's name or ARN, instead of --stack; repeatable."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@app.callback()
def emergency() -> None:
    """Kill through AWS Lambda when the table is down.

    Use it when headgate kill does not answer. It needs neither the table nor the admin API.
    """


def checked_keys(keys: list[str] | None) -> list[str]:
    """Return valid flag keys, sorted, without duplicates. Raises a usage error."""
    return sorted({checked_key(key) for key in keys or []})


@dataclass(frozen=True, slots=True)
class Target:
    """The functions to change, and how."""

    names: Sequence[str]
    functions: "Functions"

    def each(self, act: Callable[["Functions", str], "Report"]) -> "list[Report]":
        """Run `act` on all functions in parallel."""
        with ThreadPoolExecutor(len(self.names)) as pool:
            return list(pool.map(lambda name: act(self.functions, name), self.names))


@app.command("kill", epilog=COMMON)
def kill(
    ctx: typer.Context,
    reason: _Reason,
    stack: _Stack = None,
    function: Names = None,
    flag: Annotated[
        list[str] | None,
        option("--flag", metavar="KEY", help="A flag to kill; repeatable. Default: every flag.", callback=checked_keys),
    ] = None,
    manifest: Annotated[
        Path | None, option("--manifest", metavar="FILE", help="The manifest, so that running work continues.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Let in only admins, whatever the table says.

    Run it again to resume after a failure. --manifest passes the routes of running work to the functions, so that it
    continues even where no rules were loaded. No audit entry is written; CloudTrail has each call.

    Example: headgate emergency kill --stack prod --reason "table is down"
    """
    flags = ",".join(flag or []) or EVERY
    work = None if manifest is None else _work(manifest, flag or [])
    target = _target(ctx, stack, function)
    _ask(f"Kill {'every flag' if flags == EVERY else flags} on {', '.join(target.names)}?", yes)
    reports = target.each(lambda functions, name: functions.kill(name, flags, work, reason))
    _show(ctx, reports, work)
    _say_next(
        f"A deployment may reset the variables: until you lift the kill, deploy with the parameter "
        f"EmergencyKill='{flags}', and run this command again afterward."
    )
    if work is None:
        _say_next("No --manifest: running work is refused too where no rules are loaded and the table does not answer.")


@app.command("lift", epilog=COMMON)
def lift(ctx: typer.Context, reason: _Reason, stack: _Stack = None, function: Names = None, yes: Yes = False) -> None:
    """Lift the emergency kill: the table's rules decide again.

    To keep a flag closed, first kill it with headgate kill, so that the kill is recorded.
    """
    target = _target(ctx, stack, function)
    _ask(f"Lift the emergency kill on {', '.join(target.names)}?", yes)
    _show(ctx, target.each(lambda functions, name: functions.lift(name, reason)), None)


@app.command("status", epilog=COMMON)
def status(ctx: typer.Context, stack: _Stack = None, function: Names = None) -> None:
    """Show the emergency kill of each function.

    Exits with 1 if they differ.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from headgate_cli.emergency.functions import said
    from headgate_cli.emergency.variables import Stuck

    target = _target(ctx, stack, function)
    try:
        states = [target.functions.state(name) for name in target.names]
    except (ClientError, BotoCoreError) as error:
        raise Failure(_exit_of([said(error)]), "the call to AWS Lambda failed", said(error), slug="emergency") from None
    except Stuck as error:
        raise failures.usage(str(error)) from None
    if settings_of(ctx).as_json:
        fields = ("function", "kill", "routes", "serves")
        render.show_json({"functions": [{name: getattr(state, name) for name in fields} for state in states]})
    else:
        rows = [(state.function, state.kill or "none", state.routes or "", state.serves) for state in states]
        render.show_table(("function", "killed", "bytes of routes", "version"), rows)
    if len({state.kill for state in states}) > 1:
        hint = "run headgate emergency kill again, or headgate emergency lift"
        raise Failure(ExitCode.CHECK_FAILED, "the functions have different kills", slug="emergency-differs", hint=hint)


def _target(ctx: typer.Context, stack: str | None, names: list[str] | None) -> Target:
    if (stack is None) == (not names):
        raise failures.usage("pass either --stack NAME or --function NAME for each function")
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from headgate_cli.emergency.functions import Functions, find, said

    settings = settings_of(ctx)
    retries: Any = {"mode": "standard", "max_attempts": 4}
    config = Config(connect_timeout=3, read_timeout=20, retries=retries)
    session = aws_session(settings)
    region = region_of("", session)
    try:
        if stack is not None:
            names = find(session.client("cloudformation", region_name=region, config=config), stack)
        api = session.client("lambda", region_name=region, config=config)
    except (ClientError, BotoCoreError) as error:
        hint = "pass --function NAME for each function instead (the stack's output EmergencyFunctions)"
        title = "the functions were not found"
        raise Failure(_exit_of([said(error)]), title, said(error), slug="emergency", hint=hint) from None
    return Target(tuple(dict.fromkeys(names or [])), Functions(api))


def _work(manifest: Path, flags: Sequence[str]) -> "tuple[RoutePolicy, ...]":
    from headgate.core.documents import Invalid
    from headgate.core.emergency import running_work
    from headgate.core.routes import parse_routes
    from headgate_cli.manifest_file import read_manifest

    document = read_manifest(manifest)
    try:
        work = running_work(parse_routes(document.get("routes", [])))
    except Invalid as invalid:
        raise failures.usage(f"the routes of {manifest} are invalid: {invalid}") from None
    known = {one.get("key") for one in document.get("flags", []) if isinstance(one, dict)}
    missing = [key for key in flags if key not in known]
    if missing:
        raise failures.usage(f"{manifest} has no flag {', '.join(missing)}", "an unknown key would kill every flag")
    return work


def _ask(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise failures.usage("not a terminal: pass --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(int(ExitCode.REFUSED))


def _show(ctx: typer.Context, reports: "Sequence[Report]", work: "Sequence[RoutePolicy] | None") -> None:
    """Show the outcome for each function. Raises `Failure` if any failed; the others stay changed."""
    if settings_of(ctx).as_json:
        render.show_json({"functions": [_document(report) for report in reports]})
    else:
        render.show_table(("function", "outcome", "seconds", "steps"), [_row(report) for report in reports])
    carried = next((report.carried for report in reports if report.carried is not None), None)
    if work is not None and carried is not None:
        left = f"; the other {len(work) - carried} do not fit and need the table" if carried < len(work) else ""
        _say_next(f"The functions know {carried} of {len(work)} routes of running work{left}.")
    failed = [report for report in reports if report.failure]
    if failed:
        title = f"{len(reports) - len(failed)} of {len(reports)} functions are done"
        what = "; ".join(f"{report.function}: {report.failure}" for report in failed)
        code = _exit_of([report.failure for report in failed])
        raise Failure(code, title, what, slug="emergency-unfinished", hint="run the same command again to resume")


def _exit_of(failures_said: Sequence[str]) -> ExitCode:
    """Return the code for forbidden if every failure is about credentials or permissions, else for unavailable."""
    codes = ("AccessDenied", "NoCredentials", "ExpiredToken", "InvalidSignature", "UnrecognizedClient")
    return ExitCode.FORBIDDEN if all(text.startswith(codes) for text in failures_said) else ExitCode.UNAVAILABLE


def _row(report: "Report") -> tuple[object, ...]:
    outcome = report.failure or ("done" if report.steps else "unchanged")
    steps = ", ".join(f"{name} {seconds:.2f}" for name, seconds in report.steps)
    return report.function, outcome, f"{report.seconds:.2f}", steps


def _document(report: "Report") -> dict[str, Any]:
    steps = [{"step": name, "seconds": round(seconds, 3)} for name, seconds in report.steps]
    return {"function": report.function, "done": not report.failure, "failure": report.failure or None, "steps": steps}


def _say_next(text: str) -> None:
    typer.echo(text, err=True)
