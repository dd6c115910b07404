"""The template's alarms, evaluated as CloudWatch does it on the metrics that the functions emit.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

import fnmatch
import json
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from template_checks.deployment import PSEUDO, Deployment, Raw
from watched_functions import Point

from headgate.edge.telemetry import STACK

Series = Mapping[int, float]
"""A value for each period that has one; period 0 is the newest."""
Metric = tuple[str, str, frozenset[tuple[str, str]]]

AWS = {
    "AWS/Lambda": ("FunctionName", {"Errors", "Throttles", "Duration"}),
    "AWS/DynamoDB": ("TableName", {"ReadThrottleEvents", "WriteThrottleEvents"}),
    "AWS/SQS": ("QueueName", {"ApproximateNumberOfMessagesVisible"}),
    "AWS/ApiGateway": ("ApiId", {"Count", "4xx", "5xx"}),
}
"""AWS's own metrics that the template uses, each with its one dimension."""
STATISTICS: dict[str, Callable[[list[float]], float]] = {"Sum": sum, "Maximum": max}
COMPARISONS = {"GreaterThanOrEqualToThreshold": operator.ge, "LessThanThreshold": operator.lt}
EXPRESSIONS: dict[str, Callable[[list[float]], float]] = {
    "SUM(FILL(METRICS(), 0))": sum,
    "MAX(FILL(METRICS(), 0))": max,
    "m1 / 86400": lambda values: values[0] / 86_400,
}
"""The expressions that alarms use. An unknown one fails."""


def alarms(d: Deployment) -> dict[str, Raw]:
    return d.of("AWS::CloudWatch::Alarm")


def queries(alarm: Raw) -> list[Raw]:
    """The metrics that an alarm reads: `Metric`, `Period`, and `Stat`."""
    if "Metrics" in alarm:
        return [query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query]
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions") if name in alarm}
    return [{"Metric": metric, "Period": alarm["Period"], "Stat": alarm["Statistic"]}]


def metric_of(d: Deployment, metric: Raw) -> Metric:
    """A metric's identity. The template's stack stands for the one whose lines are read."""
    given = {dimension["Name"]: d.text(d.chosen(dimension["Value"])) for dimension in metric.get("Dimensions", ())}
    if given.get("stack") == PSEUDO["AWS::StackName"]:
        given["stack"] = STACK
    return d.text(metric["Namespace"]), metric["MetricName"], frozenset(given.items())


def filtered(d: Deployment) -> dict[Metric, str]:
    """The metrics of the metric filters, and their patterns."""
    return {
        (d.text(made["MetricNamespace"]), made["MetricName"], frozenset()): each["FilterPattern"]
        for each in d.of("AWS::Logs::MetricFilter").values()
        for made in each["MetricTransformations"]
    }


def emitted(d: Deployment, points: list[Point]) -> set[Metric]:
    """Every metric of Headgate's that exists."""
    return {(point.namespace, point.name, point.dimensions) for point in points} | filtered(d).keys()


def is_known(d: Deployment, metric: Metric, points: list[Point]) -> bool:
    namespace, name, dimensions = metric
    dimension, names = AWS.get(namespace, ("", set()))
    if name in names:
        return [key for key, _ in dimensions] == [dimension]
    return metric in emitted(d, points)


def alarms_read_what_is_emitted(d: Deployment, points: list[Point]) -> Iterator[str]:
    for name, alarm in alarms(d).items():
        for query in queries(alarm):
            metric = metric_of(d, query["Metric"])
            if not is_known(d, metric, points):
                yield f"{name} reads {metric}, which nothing emits"


def dashboard(d: Deployment) -> list[Raw]:
    (board,) = d.of("AWS::CloudWatch::Dashboard").values()
    widgets: list[Raw] = json.loads(d.text(board["DashboardBody"]))["widgets"]
    return widgets


def dashboard_shows_what_is_emitted(d: Deployment, points: list[Point]) -> Iterator[str]:
    for widget in dashboard(d):
        for namespace, name, *pairs in widget["properties"].get("metrics", ()):
            names = [pair for pair in pairs if isinstance(pair, str)]
            given = dict(zip(names[::2], names[1::2], strict=True))
            dimensions = [{"Name": key, "Value": value} for key, value in given.items()]
            shown = metric_of(d, {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions})
            if not is_known(d, shown, points):
                yield f"{widget['properties']['title']} shows {shown}, which nothing emits"


def state(d: Deployment, alarm: Raw, data: Mapping[Metric, Mapping[int, list[float]]]) -> str:
    """The state of an alarm, given the values of each metric in each period."""
    series = []
    for query in queries(alarm):
        held = data.get(metric_of(d, query["Metric"]), {})
        series.append({period: STATISTICS[query["Stat"]](values) for period, values in held.items()})
    judged = [
        _breaches(d, alarm, _value(alarm, series, period)) for period in range(_number(d, alarm["EvaluationPeriods"]))
    ]
    if all(each is None for each in judged):
        return "INSUFFICIENT_DATA"
    return "ALARM" if sum(each is True for each in judged) >= needed(d, alarm) else "OK"


def needed(d: Deployment, alarm: Raw) -> int:
    """How many periods must breach."""
    return _number(d, alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]))


def _number(d: Deployment, value: Any) -> int:
    return value if isinstance(value, int) else int(d.text(value))


def _value(alarm: Raw, series: list[Series], period: int) -> float | None:
    expression = next((query["Expression"] for query in alarm.get("Metrics", ()) if "Expression" in query), None)
    if expression is None or "FILL" not in expression:
        value = series[0].get(period)
        return value if value is None or expression is None else EXPRESSIONS[expression]([value])
    if not any(series):  # FILL fills gaps, and makes no series
        return None
    return EXPRESSIONS[expression]([each.get(period, 0.0) for each in series if each])


def _breaches(d: Deployment, alarm: Raw, value: float | None) -> bool | None:
    if value is None:
        return {"notBreaching": False, "breaching": True, "missing": None}[alarm["TreatMissingData"]]
    return COMPARISONS[alarm["ComparisonOperator"]](value, _number(d, alarm["Threshold"]))


def matches(pattern: str, line: Mapping[str, Any]) -> bool:
    """Whether a metric filter of the form `{ ($.a = "x") && ($.b = "y*") }` counts a line."""
    terms = re.findall(r'\(\$\.(\w+) = "([^"]*)"\)', pattern)
    assert pattern == "{ " + " && ".join(f'($.{name} = "{wanted}")' for name, wanted in terms) + " }"
    return all(fnmatch.fnmatchcase(str(line.get(name, "")), wanted) for name, wanted in terms)


def in_periods(points: list[Point], periods: int) -> dict[Metric, dict[int, list[float]]]:
    """The same values in each of the newest periods."""
    data: dict[Metric, dict[int, list[float]]] = defaultdict(lambda: {period: [] for period in range(periods)})
    for point in points:
        for held in data[point.namespace, point.name, point.dimensions].values():
            held.append(point.value)
    return data
