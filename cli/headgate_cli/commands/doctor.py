"""`headgate doctor`: check parameters before a deployment, and a stack after it."""

import os
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import failures, render
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import option
from headgate_cli.settings import aws_session, region_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.doctor.checked import Checked


def doctor(
    ctx: typer.Context,
    stack: Annotated[str | None, option("--stack", metavar="NAME", help="The deployed CloudFormation stack.")] = None,
    template: Annotated[
        Path | None, option("--template", metavar="FILE", help="The template. Default: template.yaml.")
    ] = None,
    parameters: Annotated[
        Path | None, option("--parameters", metavar="FILE", help="The YAML file with the parameters to deploy.")
    ] = None,
) -> None:
    """Check parameters before a deployment, or a stack after it.

    Before, pass --parameters: it finds values that are invalid or contradict each other, and needs no AWS credentials.

    After, pass --stack: it also compares routes, authorizers, and alarms with the template, checks the keys' policies
    and this machine's clock, and asks the identity providers and the API whether they answer. Exits with 1 if a check
    fails.

    Example: headgate doctor --stack headgate-production
    """
    if (stack is None) == (parameters is None):
        raise failures.usage("pass either --stack NAME or --parameters FILE")
    found = _before(ctx, template, parameters) if parameters is not None else _after(ctx, template, stack or "")
    if settings_of(ctx).as_json:
        render.show_json({"findings": [asdict(one) for one in found]})
    else:
        render.show_table(("check", "result", ""), [(f.check, "failed" if f.failed else "ok", f.told) for f in found])
    if failed := sum(one.failed for one in found):
        hint = "fix what failed, then run this command again"
        raise Failure(ExitCode.CHECK_FAILED, f"{failed} of {len(found)} checks failed", slug="doctor", hint=hint)


def _before(ctx: typer.Context, template: Path | None, parameters: Path) -> "list[Checked]":
    from headgate_cli.doctor.parameters import check_parameters
    from headgate_cli.local.intrinsics import TemplateError, read_template
    from headgate_cli.manifest_file import read_mapping

    given = {name: _text(value) for name, value in read_mapping(parameters).items()}
    region = settings_of(ctx).region or os.environ.get("AWS_REGION")
    try:
        return [*check_parameters(read_template(_path(template)), given, region=region, now=time.time())]
    except TemplateError as error:
        raise failures.usage(str(error)) from None


def _after(ctx: typer.Context, template: Path | None, name: str) -> "list[Checked]":
    from botocore.exceptions import BotoCoreError, ClientError

    from headgate_cli.doctor.stack import check_stack, read_stack
    from headgate_cli.local.intrinsics import TemplateError, read_template
    from headgate_cli.local.template import load_template

    settings = settings_of(ctx)
    session: Any = aws_session(settings)
    client = partial(session.client, region_name=region_of("", session))
    path = _path(template)
    try:
        routes = {route.key: route.auth for route in load_template(path, {}).routes}
        stack = read_stack(client("cloudformation"), name)
        if "ApiId" not in stack.outputs:
            raise failures.usage(f"{name} has no output ApiId", "deploy it with this version's template")
        api = settings.api or stack.parameters.get("Issuer") or stack.outputs.get("ApiUrl", "")
        return [*check_stack(stack, client, read_template(path), routes, api)]
    except TemplateError as error:
        raise failures.usage(str(error)) from None
    except (ClientError, BotoCoreError) as error:
        raise Failure(ExitCode.UNAVAILABLE, "the stack could not be read", str(error), slug="doctor") from None


def _path(template: Path | None) -> Path:
    from headgate_cli.project import TEMPLATE, find_project

    return template or find_project() / TEMPLATE


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
