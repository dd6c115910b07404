"""`headgate audit reconcile`: whether what is stored is what the log says, behind the API or in a table by itself."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import failures, render
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import option
from headgate_cli.settings import aws_session, client_of, region_of, settings_of

if TYPE_CHECKING:
    from headgate.store.reconcile import Reconciliation
    from headgate_cli.settings import Settings

READ_BUDGET = 3.0
"""Seconds for each read of a table with all its attempts: nobody waits but the operator."""


def reconcile(
    ctx: typer.Context,
    table: Annotated[
        str | None,
        option("--table", metavar="NAME", help="Read this DynamoDB table by itself: one that was just restored."),
    ] = None,
) -> None:
    """Hold what is stored against the log. Exits 1 where they disagree, as after half a restored change.

    With --table no API is asked: your own AWS credentials read the table, which may be of any size.
    """
    settings = settings_of(ctx)
    found = client_of(ctx).get("/admin/v1/audit/reconcile").document if table is None else _of_table(settings, table)
    findings, head = found.get("findings") or [], found.get("head") or {}
    if settings.as_json:
        render.show_json(found)
    elif findings:
        columns = ("what", "record", "revision", "stored_version", "recorded_version")
        rows = [[finding.get(name) for name in columns] for finding in findings]
        render.show_table(("what", "record", "revision", "stored", "recorded"), rows)
    else:
        render.show_lines([f"consistent: what is stored is what is on record, up to revision {head.get('revision')}"])
    if findings:
        detail = f"{found.get('total')} findings; docs/operate.md says what to do for each"
        raise Failure(ExitCode.CHECK_FAILED, "what is stored is not what is on record", detail, slug="not-consistent")


def _of_table(settings: "Settings", name: str) -> dict[str, Any]:
    from headgate.store.port import Throttled, Unavailable

    try:
        found = _read(settings, name)
    except (Unavailable, Throttled) as error:
        raise failures.unavailable(f"the table {name} cannot be read", str(error)) from None
    head = {"revision": found.head.revision, "digest": found.head.digest}
    findings = [asdict(finding) for finding in found.findings]
    return {"consistent": not findings, "findings": findings, "total": len(findings), "head": head}


def _read(settings: "Settings", name: str) -> "Reconciliation":
    from botocore.config import Config

    from headgate.store.dynamo import DynamoTable
    from headgate.store.reconcile import Reconciler

    session = aws_session(settings)
    once = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})  # the table's budget decides
    api = session.client("dynamodb", region_name=region_of("", session), config=once)
    return Reconciler(DynamoTable(name, api, budget=READ_BUDGET), budget=math.inf).run()
