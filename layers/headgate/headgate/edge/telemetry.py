"""One JSON line per event on stdout, a Lambda function's log. A line never contains a token, a body, or a user's id.

A plain line costs 5 µs, Powertools' logger 50. A line may also count metrics, in CloudWatch's embedded metric format
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
docs/watch.md explains every line and every metric.
"""

import json
import os
import sys
import time
from collections.abc import Mapping

from headgate.core.snapshot import Snapshot

FIELDS = frozenset(
    (
        *("event", "function", "route", "outcome", "code", "claim", "revision", "standing", "flag"),
        *("action", "status", "request_id", "kind", "quarantined", "error"),
    )
)
"""The fields that a line may contain. Anything else raises, so that nothing is logged by accident."""

NAMESPACE = "Headgate"
STACK = os.environ.get("HEADGATE_STACK") or "local"
"""The dimension `stack` of every metric. The dimension `service` is the function."""
METRICS = {
    "Answers2xx": "Count",
    "Answers4xx": "Count",
    "Answers5xx": "Count",
    "Checkpoints": "Count",
    "Denied": "Count",
    "EmergencyKill": "Count",
    "FlagKilled": "Count",
    "KeyAge": "Seconds",
    "KeyUnavailable": "Count",
    "KilledFlags": "Count",
    "LegacySecretUnavailable": "Count",
    "LegacyTokens": "Count",
    "OrgsCut": "Count",
    "QuarantinedFlags": "Count",
    "SessionTokenReused": "Count",
    "Staleness": "Seconds",
    "StoreUnavailable": "Count",
    "TokensMinted": "Count",
    "UnsignedAdminCall": "Count",
    "VerifierFault": "Count",
}
"""Every metric and its unit. A metric that is not listed raises `KeyError`."""

Field = str | int | bool | None
ENCODER = json.JSONEncoder(separators=(",", ":"))


def log(event: str, metrics: Mapping[str, float] | None = None, *, function: str, **fields: Field) -> None:
    """Write one line, and count its metrics. Raises `ValueError` for a field that is not in `FIELDS`."""
    if not fields.keys() <= FIELDS:
        raise ValueError("field not allowed in a log line")
    now = time.time()
    line = {"time": now, "event": event, "function": function}
    line |= {name: value for name, value in fields.items() if value is not None}
    if metrics:
        line |= {"_aws": _embedded(metrics, now), "stack": STACK, "service": function, **metrics}
    sys.stdout.write(ENCODER.encode(line) + "\n")


def _embedded(metrics: Mapping[str, float], now: float) -> dict[str, object]:
    named = [{"Name": name, "Unit": METRICS[name]} for name in metrics]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["stack", "service"]], "Metrics": named}
    return {"Timestamp": int(now * 1_000), "CloudWatchMetrics": [directive]}


def count(metric: str, *, function: str) -> None:
    """Add one to a metric."""
    log("counted", {metric: 1}, function=function)


def denied(function: str, code: str, **fields: Field) -> None:
    """Log and count a denial. `unexpected` is a bug in the verifier: the token is denied, and the fault counted."""
    fault = {"VerifierFault": 1} if code == "unexpected" else {}
    log("denied", {"Denied": 1, **fault}, function=function, code=code, **fields)


class Alarms:
    """Watches one function's rules and keys. Counts quarantined flags, and failures of the store and of KMS."""

    def __init__(self, function: str) -> None:
        self._function = function

    def changed(self, snapshot: Snapshot) -> None:
        """Log new rules, and count the quarantined flags if there are any."""
        quarantined = len(snapshot.quarantined)
        log("rules", {"QuarantinedFlags": quarantined} if quarantined else None, function=self._function,
            revision=snapshot.revision, quarantined=quarantined or None)  # fmt: skip

    def failed(self, failure: Exception, age: float | None = None) -> None:
        """Log and count a failed read. `age` is how old the held rules are, in seconds; None if there are none."""
        staleness = {} if age is None else {"Staleness": round(age, 3)}
        log("unavailable", {"StoreUnavailable": 1, **staleness}, function=self._function, error=_told(failure))

    def key_failed(self, failure: Exception) -> None:
        """Log and count a signing key that could not be used."""
        log("unavailable", {"KeyUnavailable": 1}, function=self._function, error=_told(failure))


def _told(failure: Exception) -> str:
    """The failure as text. That of the store and of KMS is an error code, never data."""
    return f"{type(failure).__name__}:{failure}"
