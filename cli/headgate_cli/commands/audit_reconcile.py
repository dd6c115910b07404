"""`headgate audit reconcile`: compare the stored state with the audit log, through the API or directly in a table."""

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import failures, render
from headgate_cli.audit_file import entries_in
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import option
from headgate_cli.restored import as_findings, lost_refusals
from headgate_cli.settings import aws_session, client_of, region_of, settings_of

if TYPE_CHECKING:
    from headgate.store.reconcile import Reconciliation
    from headgate_cli.settings import Settings

READ_BUDGET = 3.0
"""Seconds for each read of a table, with all its attempts."""


def reconcile(
    ctx: typer.Context,
    table: Annotated[
        str | None,
        option("--table", metavar="NAME", help="Read this DynamoDB table directly, without the API."),
    ] = None,
    log: Annotated[
        Path | None,
        option("--log", metavar="FILE", help="Also find what the table lost: a log exported after its last change."),
    ] = None,
) -> None:
    """Compare the stored state with the log.

    Exits with 1 if they differ, as when a backup restored only a part of a change. With --table, your own AWS
    credentials read the table, such as one just restored; it may be of any size. With --log, the revocations, kills,
    ended sessions, and revoked keys that were recorded later are findings, too.
    """
    settings = settings_of(ctx)
    found = client_of(ctx).get("/admin/v1/audit/reconcile").document if table is None else _of_table(settings, table)
    findings, head = found.get("findings") or [], found.get("head") or {}
    if log is not None:
        gone = _lost(log, head)
        findings, total = [*findings, *gone], (found.get("total") or 0) + len(gone)
        found |= {"consistent": not findings, "findings": findings, "total": total}
    if settings.as_json:
        render.show_json(found)
    elif findings:
        columns = ("what", "record", "revision", "stored_version", "recorded_version")
        rows = [[finding.get(name) for name in columns] for finding in findings]
        render.show_table(("what", "record", "revision", "stored", "recorded"), rows)
    else:
        render.show_lines([f"consistent: the stored state matches the log up to revision {head.get('revision')}"])
    if findings:
        detail, hint = f"{found.get('total')} findings", "docs/recover.md says what to do for each finding"
        title = "the stored state does not match the log"
        raise Failure(ExitCode.CHECK_FAILED, title, detail, slug="not-consistent", hint=hint)


def _lost(log: Path, head: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        with log.open("rb") as file:
            return as_findings(lost_refusals(entries_in(file), head, time.time()))
    except OSError as error:
        raise failures.usage(f"cannot read {log}", error.strerror or "") from None


def _of_table(settings: "Settings", name: str) -> dict[str, Any]:
    from headgate.store.port import Throttled, Unavailable

    try:
        found = _read(settings, name)
    except (Unavailable, Throttled) as error:
        raise failures.unavailable(f"cannot read table {name}", str(error)) from None
    head = {"revision": found.head.revision, "digest": found.head.digest}
    findings = [asdict(finding) for finding in found.findings]
    return {"consistent": not findings, "findings": findings, "total": len(findings), "head": head}


def _read(settings: "Settings", name: str) -> "Reconciliation":
    from botocore.config import Config

    from headgate.store.dynamo import DynamoTable
    from headgate.store.reconcile import Reconciler

    session = aws_session(settings)
    once = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})  # DynamoTable retries
    api = session.client("dynamodb", region_name=region_of("", session), config=once)
    return Reconciler(DynamoTable(name, api, budget=READ_BUDGET), budget=math.inf).run()
