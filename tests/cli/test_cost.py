"""`headgate cost`: what a request uses is counted on the deployed functions; the arithmetic is checked by hand."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import run_here
from metered import Meter, metering
from proofs import Tally
from stand import Handler, Stand, load_handler

from headgate_cli.cost.bill import MONTH, bill, duration_ms
from headgate_cli.cost.figures import Mix, read_figures

ROOT = Path(__file__).parents[2]
FIGURES = read_figures()
KNOWN = FIGURES.assumptions
PER_EVENT = 26
"""Bytes that CloudWatch Logs adds to each line (https://aws.amazon.com/cloudwatch/pricing/)."""
SPREAD = 0.1
"""Lines and answers contain numbers whose length varies."""
COLD = ("authorizer.observe", "evaluate.single", "token.exchange")


@pytest.fixture(scope="module")
def metered(stand: Stand) -> Iterator[tuple[Stand, Meter]]:
    """Warm functions, whose calls to AWS are counted."""
    with metering() as meter:
        stand.renew()
        stand.handlers["kill"] = kill_function()
        for event in ("token.jwks", "admin.list-flags", "kill.unknown-flag", *COLD):
            stand.replay(event)
        yield stand, meter


def kill_function() -> Handler:
    """The admin's code with one route, as the template deploys it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADGATE_ONLY_ROUTE", "POST /admin/v1/flags/{key}/kill")
        return load_handler(ROOT / "functions/admin")


def counted_metrics(lines: list[str]) -> set[str]:
    """The function and the name of each metric in these log lines."""
    found = [line for line in map(json.loads, lines) if "_aws" in line]
    return {f"{line['service']} {metric['Name']}" for line in found
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}  # fmt: skip


@pytest.mark.proof("what one request of each kind uses, counted on the deployed functions")
@pytest.mark.parametrize("kind", FIGURES.requests)
def test_the_figures_of_a_request_are_what_it_uses(
    metered: tuple[Stand, Meter], kind: str, capsys: pytest.CaptureFixture[str], tally: Tally
) -> None:
    stand, meter = metered
    usage = FIGURES.requests[kind]
    stand.replay("admin.list-flags")  # so that a change follows rules that are loaded
    capsys.readouterr()
    meter.reset()
    answer = stand.replay(usage.event)
    lines = capsys.readouterr().out.splitlines()
    assert meter.writes == usage.writes
    if kind == "kill":  # it counts sessions for 0.3 s, so a busy machine reads less
        assert 0 < meter.calls <= usage.calls
        assert 0 < meter.reads <= usage.reads
    else:
        assert (meter.calls, meter.reads) == (usage.calls, usage.reads)
    assert (meter.signs, meter.key_calls) == (usage.signs, usage.signs)
    assert counted_metrics(lines) == set(usage.metrics)
    assert sum(len(line) + 1 + PER_EVENT for line in lines) == pytest.approx(usage.log_bytes, rel=SPREAD)
    assert len(answer.get("body", "")) == pytest.approx(usage.answer_bytes, rel=SPREAD)
    refused = answer.get("isAuthorized") is False or answer.get("statusCode", 200) >= 400
    assert refused is kind.startswith("refused")
    tally.add(kinds=1, calls_to_the_table=meter.calls, read_units=meter.reads, write_units=meter.writes,
              signatures=meter.signs)  # fmt: skip


@pytest.mark.parametrize("event", COLD)
def test_a_cold_start_uses_what_is_assumed(metered: tuple[Stand, Meter], event: str) -> None:
    """Its first request included: that reads no more, and may sign."""
    stand, meter = metered
    stand.start()
    meter.reset()
    stand.replay(event)
    assert meter.reads == KNOWN["cold_start_reads"]
    assert meter.key_calls == KNOWN["cold_start_key_requests"]


def test_the_schedule_counts_the_fixed_metrics(
    metered: tuple[Stand, Meter], capsys: pytest.CaptureFixture[str]
) -> None:
    stand, _meter = metered
    capsys.readouterr()
    stand.handlers["admin"]({"headgate": "measure"}, None)
    assert counted_metrics(capsys.readouterr().out.splitlines()) == set(FIGURES.fixed["metrics"])


def test_a_bill_by_hand() -> None:
    """A million exchanges: each 1 request, 1 read, 1 signature, 22 ms at 1 GB. One environment starts 2,920 times."""
    found = bill(Mix({"exchange": 1_000_000}, peak=50), FIGURES)
    assert duration_ms(FIGURES.requests["exchange"], FIGURES) == 22
    starts = MONTH / 900
    seconds = 1_000_000 * 0.022 + starts * 0.7
    assert found.by_service["API Gateway"] == pytest.approx(1.00)
    assert found.by_service["Lambda"] == pytest.approx(0.20 + seconds * 0.0000133334)
    assert found.by_service["DynamoDB"] == pytest.approx(0.125 + starts * 8 * 0.125e-6)
    assert found.by_service["KMS"] == pytest.approx(15.00 + starts * 0.000015)
    assert found.by_service["logs"] == pytest.approx((408 + KNOWN["access_log_bytes"]) * 1e6 / 1e9 * 0.50)
    assert found.by_service["transfer"] == pytest.approx(847 * 1e6 / 1e9 * 0.09)
    assert found.load["signatures"] == pytest.approx(50e6 / MONTH / 1_000)
    assert found.total == pytest.approx(sum(found.by_service.values()) + found.fixed)


def test_refreshes_depend_on_environments_and_not_on_requests() -> None:
    few, many = (bill(Mix({"evaluation": count}, peak=5), FIGURES) for count in (10_000_000, 100_000_000))
    assert few.by_service["DynamoDB"] == many.by_service["DynamoDB"] > 0
    assert few.by_service["API Gateway"] * 10 == pytest.approx(many.by_service["API Gateway"])


def run(*arguments: str) -> Any:
    return run_here(("cost", *arguments), os.environ)


def test_own_figures_are_one_row() -> None:
    done = run("--json", "--authorized", "10M", "--live", "2.5k", "--exchanges", "1M", "--evaluations", "7")
    (mix,) = json.loads(done.stdout)["mixes"]
    assert (mix["name"], mix["requests"]) == ("yours", 11_002_507)
    assert mix["dollars"] == pytest.approx(sum(mix["by_service"].values()) + mix["fixed"], abs=0.05)
    on_x86 = json.loads(run("--json", "--x86", "--authorized", "10M").stdout)
    assert on_x86["architecture"] == "x86_64"


@pytest.mark.parametrize("count", ["-1", "ten", "1e6", "10 M", "1T", ""])
def test_a_number_of_requests_that_is_none_is_refused(count: str) -> None:
    done = run("--live", count)
    assert (done.returncode, done.stdout) == (2, "")
    assert "250k" in done.stderr


def test_the_page_shows_what_the_command_prints() -> None:
    """Both tables of docs/cost.md, cell by cell."""
    page = (ROOT / "docs/cost.md").read_text(encoding="utf-8")
    rows = {tuple(cell.strip() for cell in line[1:-1].split("|")) for line in page.splitlines() if line[:1] == "|"}
    for mix in json.loads(run("--json").stdout)["mixes"]:
        dollars = [*mix["by_service"].values(), mix["fixed"], mix["dollars"], mix["per_million"]]
        assert (mix["name"], f"{mix['requests']:,}", *(f"{each:,.2f}" for each in dollars)) in rows
        assert (mix["name"], *(f"{share:.1%}" for share in mix["load"].values())) in rows
