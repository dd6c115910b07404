"""`headgate emergency`: kill, lift and look through AWS Lambda itself, where the table or the admin API is silent."""

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

app = typer.Typer(help="Kill without the table: by the functions' environment.", no_args_is_help=True, epilog=COMMON)

_Reason = Annotated[
    str, option("--reason", metavar="TEXT", help="Why; kept on the gate's alias.", callback=checked_reason)
]
_Stack = Annotated[str | None, option("--stack", metavar="NAME", help="The stack; its functions are looked up.")]
Names = Annotated[
    list[str] | None,
    option("--function", metavar="NAME", help="A function by name or ARN, where CloudFormation fails; may repeat."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def checked_keys(keys: list[str] | None) -> list[str]:
    """Flag keys, none twice."""
    return sorted({checked_key(key) for key in keys or []})


@dataclass(frozen=True, slots=True)
class Target:
    """The functions to change, and how."""

    names: Sequence[str]
    functions: "Functions"

    def each(self, act: Callable[["Functions", str], "Report"]) -> "list[Report]":
        """Act on all of them side by side."""
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
        option("--flag", metavar="KEY", help="Only this flag; may repeat. Else every flag.", callback=checked_keys),
    ] = None,
    manifest: Annotated[
        Path | None, option("--manifest", metavar="FILE", help="Carry its routes of running work along.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Admins only from now on, whatever the table says, or if it says nothing.

    Safe to repeat: it goes on where it stopped. With the manifest running work goes on even where no rule was ever
    loaded. No audit entry can be written; CloudTrail has each call.
    """
    flags = ",".join(flag or []) or EVERY
    work = None if manifest is None else _work(manifest, flag or [])
    target = _target(ctx, stack, function)
    _ask(f"Kill {'every flag' if flags == EVERY else flags} on {', '.join(target.names)}?", yes)
    reports = target.each(lambda functions, name: functions.kill(name, flags, work, reason))
    _show(ctx, reports, work)
    _say_next(
        f"A deployment may put the variables back: until it is lifted, deploy with EmergencyKill='{flags}' among the "
        "parameters, and repeat this command afterwards."
    )
    if work is None:
        _say_next("No --manifest: where no rule was loaded yet and the table is silent, running work is refused too.")


@app.command("lift", epilog=COMMON)
def lift(ctx: typer.Context, reason: _Reason, stack: _Stack = None, function: Names = None, yes: Yes = False) -> None:
    """End the emergency: the table's rules alone decide again.

    Where the flag is to stay shut, kill it first as always (headgate kill), now that it can be put on record.
    """
    target = _target(ctx, stack, function)
    _ask(f"Lift the emergency kill on {', '.join(target.names)}?", yes)
    _show(ctx, target.each(lambda functions, name: functions.lift(name, reason)), None)


@app.command("status", epilog=COMMON)
def status(ctx: typer.Context, stack: _Stack = None, function: Names = None) -> None:
    """What each function is told, as it serves now. Exit code 1 where they differ."""
    from botocore.exceptions import BotoCoreError, ClientError

    from headgate_cli.emergency.functions import said
    from headgate_cli.emergency.variables import Stuck

    target = _target(ctx, stack, function)
    try:
        states = [target.functions.state(name) for name in target.names]
    except (ClientError, BotoCoreError) as error:
        raise Failure(_exit_of([said(error)]), "AWS Lambda did not answer", said(error), slug="emergency") from None
    except Stuck as error:
        raise failures.usage(str(error)) from None
    if settings_of(ctx).as_json:
        fields = ("function", "kill", "routes", "serves")
        render.show_json({"functions": [{name: getattr(state, name) for name in fields} for state in states]})
    else:
        rows = [(state.function, state.kill or "none", state.routes or "", state.serves) for state in states]
        render.show_table(("function", "killed", "bytes of routes", "serves"), rows)
    if len({state.kill for state in states}) > 1:
        raise Failure(ExitCode.CHECK_FAILED, "the functions are told different things", slug="emergency-differs",
                      hint="repeat headgate emergency kill, or lift")  # fmt: skip


def _target(ctx: typer.Context, stack: str | None, names: list[str] | None) -> Target:
    if (stack is None) == (not names):
        raise failures.usage("give --stack NAME, or --function NAME for each function")
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
        hint = "name the functions instead: --function NAME (the stack's output EmergencyFunctions)"
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
        raise failures.usage(f"the routes of {manifest} are not valid: {invalid}") from None
    known = {one.get("key") for one in document.get("flags", []) if isinstance(one, dict)}
    missing = [key for key in flags if key not in known]
    if missing:
        raise failures.usage(f"{manifest} has no flag {', '.join(missing)}", "a name that is no flag kills every flag")
    return work


def _ask(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise failures.usage("say --yes: there is no terminal to ask at")
    if not typer.confirm(question, err=True):
        raise typer.Exit(int(ExitCode.REFUSED))


def _show(ctx: typer.Context, reports: "Sequence[Report]", work: "Sequence[RoutePolicy] | None") -> None:
    """The outcome of each function. Raises `Failure` where some are left: what is done stays done."""
    if settings_of(ctx).as_json:
        render.show_json({"functions": [_document(report) for report in reports]})
    else:
        render.show_table(("function", "outcome", "seconds", "steps"), [_row(report) for report in reports])
    carried = next((report.carried for report in reports if report.carried is not None), None)
    if work is not None and carried is not None:
        left = f"; {len(work) - carried} do not fit and need the table" if carried < len(work) else ""
        _say_next(f"{carried} of {len(work)} routes of running work are carried along{left}.")
    failed = [report for report in reports if report.failure]
    if failed:
        title = f"{len(reports) - len(failed)} of {len(reports)} functions are done"
        what = "; ".join(f"{report.function}: {report.failure}" for report in failed)
        code = _exit_of([report.failure for report in failed])
        raise Failure(code, title, what, slug="emergency-unfinished", hint="the same command goes on where it stopped")


def _exit_of(failures_said: Sequence[str]) -> ExitCode:
    """Forbidden where that is all that is wrong, else unavailable."""
    codes = ("AccessDenied", "NoCredentials", "ExpiredToken", "InvalidSignature", "UnrecognizedClient")
    return ExitCode.FORBIDDEN if all(text.startswith(codes) for text in failures_said) else ExitCode.UNAVAILABLE


def _row(report: "Report") -> tuple[object, ...]:
    outcome = report.failure or ("done" if report.steps else "was so already")
    steps = ", ".join(f"{name} {seconds:.2f}" for name, seconds in report.steps)
    return report.function, outcome, f"{report.seconds:.2f}", steps


def _document(report: "Report") -> dict[str, Any]:
    steps = [{"step": name, "seconds": round(seconds, 3)} for name, seconds in report.steps]
    return {"function": report.function, "done": not report.failure, "failure": report.failure or None, "steps": steps}


def _say_next(text: str) -> None:
    typer.echo(text, err=True)
