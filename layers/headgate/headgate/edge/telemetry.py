"""One JSON line per event on stdout, which is a Lambda function's log. Never a token, a body, an id of a person.

A plain line costs 5 µs where the usual logger costs 50; metrics are lines too, in CloudWatch's embedded metric format
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
"""

import json
import sys
import time

FIELDS = frozenset(
    "event function route outcome code revision standing flag action status request_id kind quarantined error".split()
)
"""What a line may hold: an allowlist, so that nothing else gets in by accident."""


def log(event: str, **fields: str | int | bool | None) -> None:
    """Write one line. Raises `ValueError` for a field that is not on the list."""
    if not fields.keys() <= FIELDS:
        raise ValueError("a field that may not be logged")
    line = {"time": time.time(), "event": event} | {name: value for name, value in fields.items() if value is not None}
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")


def count(metric: str, *, function: str) -> None:
    """Count one: an alarm may hang on it."""
    directive = {"Namespace": "Headgate", "Dimensions": [["function"]], "Metrics": [{"Name": metric, "Unit": "Count"}]}
    emf = {"Timestamp": int(time.time() * 1_000), "CloudWatchMetrics": [directive]}
    sys.stdout.write(json.dumps({"_aws": emf, "function": function, metric: 1}, separators=(",", ":")) + "\n")
