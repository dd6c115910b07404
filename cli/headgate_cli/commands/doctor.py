"""`headgate doctor`: check a deployed stack against its template."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import failures, render
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import option
from headgate_cli.settings import aws_session, region_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.doctor.findings import Checked


def doctor(
    ctx: typer.Context,
    stack: Annotated[str, option("--stack", metavar="NAME", help="The CloudFormation stack.")],
    template: Annotated[
        Path | None,
        option("--template", metavar="FILE", help="What was deployed. Default: template.yaml."),
    ] = None,
) -> None:
    """Check a deployed stack against its template.

    Run it after each deployment. It compares routes and authorizers, and says whether concurrency is reserved for
    kills. Exits with 1 if a check fails.

    Example: headgate doctor --stack headgate-production
    """
    found = _findings(ctx, stack, _declared(template))
    if settings_of(ctx).as_json:
        render.show_json({"findings": [asdict(one) for one in found]})
    else:
        render.show_table(("check", "result", ""), [(f.check, "failed" if f.failed else "ok", f.told) for f in found])
    if failed := sum(one.failed for one in found):
        hint = "deploy again; if it still fails, check the template of the change set"
        raise Failure(ExitCode.CHECK_FAILED, f"{failed} of {len(found)} results failed", slug="doctor", hint=hint)


def _declared(template: Path | None) -> dict[str, str]:
    from headgate_cli.local.intrinsics import TemplateError
    from headgate_cli.local.template import load_template
    from headgate_cli.project import TEMPLATE, find_project

    try:
        return {route.key: route.auth for route in load_template(template or find_project() / TEMPLATE, {}).routes}
    except TemplateError as error:
        raise failures.usage(str(error)) from None


def _findings(ctx: typer.Context, stack: str, declared: dict[str, str]) -> "list[Checked]":
    from botocore.exceptions import BotoCoreError, ClientError

    from headgate_cli.doctor.findings import Checked, compared, concurrency, live_routes

    session = aws_session(settings_of(ctx))
    clients: dict[str, Any] = {"region_name": region_of("", session)}
    try:
        (described,) = session.client("cloudformation", **clients).describe_stacks(StackName=stack)["Stacks"]
        outputs = {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])}
        if "ApiId" not in outputs:
            raise failures.usage(f"{stack} has no output ApiId", "deploy it with this version's template")
        found = [*compared(declared, live_routes(session.client("apigatewayv2", **clients), outputs["ApiId"]))]
    except (ClientError, BotoCoreError) as error:
        raise Failure(ExitCode.UNAVAILABLE, "the stack could not be read", str(error), slug="doctor") from None
    parameters = {one["ParameterKey"]: one.get("ParameterValue", "") for one in described.get("Parameters", [])}
    try:
        limits = session.client("lambda", **clients).get_account_settings()["AccountLimit"]
    except (ClientError, BotoCoreError) as error:
        return [*found, Checked("concurrency", f"not checked: {error}")]
    reserved = int(parameters.get("KillReservedConcurrency") or 0)
    return [*found, concurrency(limits["UnreservedConcurrentExecutions"], reserved)]
