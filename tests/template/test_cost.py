"""What `headgate cost` takes from the template: sizes, what is billed by the month, and the access log's lines."""

import re
from typing import Any

import pytest
from template_checks import watching
from template_checks.deployment import Deployment
from template_checks.expected import OFF_BY_DEFAULT

from headgate_cli.cost.bill import MONTH
from headgate_cli.cost.figures import read_figures

FIGURES = read_figures()
KNOWN, FIXED = FIGURES.assumptions, FIGURES.fixed
VALUES = {
    "requestTime": "28/Nov/2026:18:03:17 +0000", "requestId": "JKJaXmPLvHcESHA=", "routeKey": "GET /api/towns/{town}",
    "authorizer.reason": "ALLOWLIST", "authorizer.revision": "1234", "status": "200", "responseLatency": "123",
    "integrationLatency": "120", "integrationStatus": "200", "responseLength": "1234",
}  # fmt: skip
"""Usual values of the access log. The others are empty: `-`."""
PER_EVENT = 26
"""Bytes that CloudWatch Logs adds to each line."""


def always(d: Deployment, kind: str) -> dict[str, Any]:
    """The resources of a type that exist with default parameters."""
    return {name: one for name, one in d.of(kind).items() if d.resources[name].get("Condition") not in OFF_BY_DEFAULT}


def test_functions_have_the_size_that_is_billed(deployment: Deployment) -> None:
    functions = [one for name, one in always(deployment, "AWS::Lambda::Function").items() if name != "WorkerFunction"]
    assert {tuple(one["Architectures"]) for one in functions} == {(KNOWN["architecture"],)}
    assert {one["MemorySize"] for one in functions} == {KNOWN["memory_gb"] * 1_024}


def test_what_is_billed_by_the_month_is_all_there_is(deployment: Deployment) -> None:
    assert (
        sum(len(watching.queries(one)) for one in always(deployment, "AWS::CloudWatch::Alarm").values())
        == FIXED["alarm_metrics"]
    )
    assert len(deployment.of("AWS::KMS::Key")) == FIXED["keys"]
    assert len(deployment.of("AWS::CloudWatch::Dashboard")) == FIXED["dashboards"]
    (schedule,) = always(deployment, "AWS::Scheduler::Schedule").values()
    (minutes,) = re.findall(r"rate\((\d+) minutes\)", schedule["ScheduleExpression"])
    assert MONTH / 60 / int(minutes) == FIXED["measurements"]


def test_an_access_log_line_has_the_bytes_that_are_billed(deployment: Deployment) -> None:
    (stage,) = deployment.of("AWS::ApiGatewayV2::Stage").values()
    line = re.sub(r"\$context\.([\w.]+)", lambda at: VALUES.get(at[1], "-"), stage["AccessLogSettings"]["Format"])
    assert len(line) + PER_EVENT == pytest.approx(KNOWN["access_log_bytes"], rel=0.05)
