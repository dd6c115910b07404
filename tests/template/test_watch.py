"""What is watched is emitted, what is emitted is on one page, and each alarm goes off on what the functions emit."""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from template_checks import watching
from template_checks.deployment import PSEUDO, TEMPLATE, Deployment
from template_checks.edits import Edit, at, put
from watched_functions import Line, Point, lines_of_functions, points

from headgate.edge.telemetry import METRICS, NAMESPACE

ROOT = TEMPLATE.parent
PAGE = (ROOT / "docs" / "watch.md").read_text()
ALARMS = re.findall(r"^  (\w+Alarm):$", TEMPLATE.read_text(), re.MULTILINE)
AT_REST = {"CheckpointAlarm": "ALARM", "KeyAgeAlarm": "INSUFFICIENT_DATA"}
"""The state of an alarm before anything was emitted, if not OK."""
OLD_KEY = 100 * 86_400.0
STALE = 20.0


@pytest.fixture(scope="module")
def lines(admin_identity: tuple[str, str]) -> Iterator[list[Line]]:
    before = dict(os.environ)
    try:
        yield lines_of_functions(admin_identity)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def seen(lines: list[Line]) -> list[Point]:
    return list(points(lines))


def rows(heading: str, columns: int) -> list[list[str]]:
    """The cells of the tables under a heading of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [[cell.strip() for cell in line[1:-1].split("|")] for line in section.splitlines() if line[:3] == "| `"]
    return [row for row in found if len(row) == columns]


def named(cell: str) -> set[str]:
    return set(re.findall(r"[\w.]+", cell.replace("`", "")))


# -- the page


def test_page_lists_every_emitted_metric_with_its_unit_and_functions(seen: list[Point]) -> None:
    told = {(row[0].strip("`"), row[1], service) for row in rows("Metrics", 5) for service in named(row[2])}
    assert {(point.name, point.unit, dict(point.dimensions)["service"]) for point in seen} == told
    assert {(name, unit) for name, unit, _ in told} == set(METRICS.items())


def test_every_metric_has_the_same_namespace_and_dimensions(seen: list[Point]) -> None:
    assert {point.namespace for point in seen} == {NAMESPACE}
    assert {tuple(sorted(name for name, _ in point.dimensions)) for point in seen} == {("service", "stack")}


def test_page_lists_every_line_with_its_fields(lines: list[Line]) -> None:
    told = {row[0].strip("`"): named(row[1]) for row in rows("Log lines", 3)}
    always = {"time", "event", "function", "_aws", "stack", "service", *METRICS}
    for line in (line for line in lines if "event" in line):
        assert line.keys() - always <= told[line["event"]], line
    code = [*ROOT.glob("layers/**/*.py"), *ROOT.glob("functions/**/*.py"), *ROOT.glob("examples/**/*.py")]
    written = {event for path in code for event in re.findall(r'\blog\(\s*"(\w+)"', path.read_text())}
    assert told.keys() == written


def test_page_lists_every_alarm_with_what_it_reads(deployment: Deployment) -> None:
    assert {row[0].strip("`") for row in rows("Alarms", 3)} == set(ALARMS) == watching.alarms(deployment).keys()
    told = {(row[0], alarm) for columns in (5, 4, 2) for row in rows("Metrics", columns) for alarm in named(row[-1])}
    read = set()
    for name, alarm in watching.alarms(deployment).items():
        for query in watching.queries(alarm):
            metric = query["Metric"]
            read |= {(row, name) for row, _ in told if f"`{metric['MetricName']}`" in row}
    assert read == told


def test_stack_is_the_one_of_the_environment(deployment: Deployment) -> None:
    stack = deployment.variables("TokenFunction")["HEADGATE_STACK"]
    assert stack == PSEUDO["AWS::StackName"]
    program = "from headgate.edge.telemetry import count; count('Denied', function='token')"
    environment = {**os.environ, "HEADGATE_STACK": stack}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["stack"] == stack


# -- the template

_STORE = "Resources.StoreUnavailableAlarm.Properties.Metrics.1.MetricStat.Metric"
BROKEN = {
    "a name that nothing emits": put(f"{_STORE}.MetricName", "StoreUnavailble"),
    "another dimension": put(f"{_STORE}.Dimensions.1.Name", "function"),
    "one dimension less": put(f"{_STORE}.Dimensions", [{"Name": "service", "Value": "token"}]),
    "a function that does not emit it": put(f"{_STORE}.Dimensions.1.Value", "worker"),
    "another stack": put(f"{_STORE}.Dimensions.0.Value", "headgate-staging"),
    "another namespace": put(f"{_STORE}.Namespace", "headgate"),
    "no such metric of AWS": put("Resources.AuthorizerErrorsAlarm.Properties.MetricName", "Error"),
    "no metric filter": lambda source: source["Resources"].pop("TokenEndpoint429"),
}


def test_alarms_and_dashboard_read_what_is_emitted(deployment: Deployment, seen: list[Point]) -> None:
    assert list(watching.alarms_read_what_is_emitted(deployment, seen)) == []
    assert list(watching.dashboard_shows_what_is_emitted(deployment, seen)) == []


@pytest.mark.parametrize("edit", BROKEN.values(), ids=BROKEN)
def test_alarm_that_can_never_go_off_is_found(edit: Edit, deployment: Deployment, seen: list[Point]) -> None:
    broken = copy.copy(deployment)
    broken.resources = copy.deepcopy(deployment.resources)
    edit({"Resources": broken.resources})
    assert list(watching.alarms_read_what_is_emitted(broken, seen))


def test_revision_is_read_by_logs_insights_and_is_no_dimension(deployment: Deployment) -> None:
    widgets = watching.dashboard(deployment)
    assert "revision" not in json.dumps([widget for widget in widgets if widget["type"] == "metric"])
    queries = [widget["properties"]["query"] for widget in widgets if widget["type"] == "log"]
    groups = {f"<{name}>" for name in deployment.of("AWS::Logs::LogGroup")}
    assert all("revision" in query and set(re.findall(r"SOURCE '([^']*)'", query)) <= groups for query in queries)
    assert len(queries) == 3


def test_every_alarm_notifies_the_topic_if_there_is_one(deployment: Deployment) -> None:
    to_topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], []]}
    for name, alarm in watching.alarms(deployment).items():
        assert (alarm["AlarmActions"], alarm["OKActions"]) == (to_topic, to_topic), name
    assert watching.alarms(deployment)["KeyAgeAlarm"]["InsufficientDataActions"] == to_topic


def test_logs_are_json_without_platform_lines_and_may_have_a_key(deployment: Deployment, example: Deployment) -> None:
    wanted = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN"}
    functions = deployment.of("AWS::Lambda::Function") | example.of("AWS::Lambda::Function")
    for name, function in functions.items():
        assert function["LoggingConfig"].items() >= wanted.items(), name
    key = {"Fn::If": ["HasLogKey", {"Ref": "LogKey"}, {"Ref": "AWS::NoValue"}]}
    assert all(group["KmsKeyId"] == key for group in deployment.of("AWS::Logs::LogGroup").values())


def test_health_is_measured_by_a_schedule_that_may_call_only_the_admin_function(deployment: Deployment) -> None:
    target = deployment.resources["HealthSchedule"]["Properties"]["Target"]
    assert (deployment.text(target["Arn"]), target["Input"]) == ("<AdminFunction>", '{"headgate": "measure"}')
    role = deployment.resources["HealthScheduleRole"]["Properties"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert (statement["Action"], deployment.text(statement["Resource"])) == ("lambda:InvokeFunction", "<AdminFunction>")


# -- the alarms, on what was emitted


def breaching(deployment: Deployment, name: str, seen: list[Point]) -> list[Point]:
    """What puts an alarm on: the emitted values, old enough where age is what counts, and AWS's own events."""
    reads = [
        watching.metric_of(deployment, query["Metric"]) for query in watching.queries(watching.alarms(deployment)[name])
    ]
    ages = {"KeyAge": OLD_KEY, "Staleness": STALE}
    own = [
        Point(p.namespace, p.name, p.unit, p.dimensions, ages.get(p.name, p.value))
        for p in seen
        if (p.namespace, p.name, p.dimensions) in reads
    ]
    return own or [Point(*metric[:2], "Count", metric[2], 1.0) for metric in reads]


@pytest.mark.parametrize("name", sorted(set(ALARMS) - {"CheckpointAlarm"}))
def test_alarm_goes_off_on_what_is_emitted_and_not_on_less(
    name: str, deployment: Deployment, seen: list[Point]
) -> None:
    alarm, found = watching.alarms(deployment)[name], breaching(deployment, name, seen)
    needed = watching.needed(deployment, alarm)
    assert watching.state(deployment, alarm, {}) == AT_REST.get(name, "OK")
    assert watching.state(deployment, alarm, watching.in_periods(found, needed)) == "ALARM"
    assert watching.state(deployment, alarm, watching.in_periods(found, needed - 1)) == AT_REST.get(name, "OK")


@pytest.mark.parametrize(("name", "age"), [("KeyAgeAlarm", 89 * 86_400.0), ("StalenessAlarm", 5.0)])
def test_age_within_its_bound_is_no_alarm(name: str, age: float, deployment: Deployment, seen: list[Point]) -> None:
    alarm = watching.alarms(deployment)[name]
    young = [Point(p.namespace, p.name, p.unit, p.dimensions, age) for p in breaching(deployment, name, seen)]
    assert watching.state(deployment, alarm, watching.in_periods(young, 3)) == "OK"


def test_one_checkpoint_a_week_ends_its_alarm(deployment: Deployment, seen: list[Point]) -> None:
    alarm = watching.alarms(deployment)["CheckpointAlarm"]
    made = breaching(deployment, "CheckpointAlarm", seen)
    assert watching.state(deployment, alarm, {}) == "ALARM"
    assert watching.state(deployment, alarm, watching.in_periods(made, 1)) == "OK"
    assert watching.needed(deployment, alarm) == deployment.source["Parameters"]["CheckpointDays"]["Default"] == 7


@pytest.mark.parametrize(
    ("route", "status", "counted"),
    [
        ("POST /v1/token", "429", {"TokenEndpoint429"}),
        ("POST /v1/token", "503", {"TokenEndpoint5xx"}),
        ("POST /v1/token", "403", set()),
        ("GET /.well-known/jwks.json", "500", set()),
    ],
)
def test_metric_filters_read_the_access_log(route: str, status: str, counted: set[str], deployment: Deployment) -> None:
    form = at(deployment.source, "Resources.HttpApi.Properties.AccessLogSettings.Format")
    values = {"routeKey": route, "status": status}
    line = json.loads(re.sub(r"\$context\.([\w.]+)", lambda found: values.get(found[1], "-"), form))
    filters = watching.filtered(deployment)
    assert {name for (_, name, _), pattern in filters.items() if watching.matches(pattern, line)} == counted
