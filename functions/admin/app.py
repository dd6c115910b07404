"""The admin function, and the kill function, which is the same code with one route: wiring only."""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

import os
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from headgate.edge.admin.call import Admin, handle
from headgate.edge.admin.health import measure_health
from headgate.edge.admin.rotation import rotate_when_due
from headgate.edge.http import redact_errors
from headgate.edge.settings import home, key_ids, required
from headgate.edge.telemetry import NAMESPACE, STACK, Alarms
from headgate.openapi import SERVED
from headgate.store.dynamo import DynamoTable, client
from headgate.store.kms import KmsKey
from headgate.store.record import Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots

environment = required("HEADGATE_TABLE", "HEADGATE_SIGNING_KEYS")
table = DynamoTable(
    environment["HEADGATE_TABLE"],
    client("dynamodb", connect_timeout=0.5, read_timeout=2.0),
    home=home(),
    budget=4.0,
)


def audit_key() -> KmsKey:
    """Only checkpoints need KMS, so no other call waits for its client to load, least of all a kill."""
    (kid,) = key_ids(required("HEADGATE_AUDIT_KEY")["HEADGATE_AUDIT_KEY"])
    return KmsKey(kid, client("kms", connect_timeout=0.5, read_timeout=2.0))


only = os.environ.get("HEADGATE_ONLY_ROUTE")
routes = {only: SERVED[only]} if only else SERVED
name = "kill" if only else "admin"

admin = Admin(
    table=table,
    snapshots=Snapshots(table, watch=Alarms(name), as_stored=True),
    record=Record(table),
    sessions=Sessions(table),
    pool=key_ids(environment["HEADGATE_SIGNING_KEYS"]),
    email_ids=os.environ.get("HEADGATE_EMAIL_IDS") == "allow",
    issuer=os.environ.get("HEADGATE_ISSUER", ""),
    audit_key=audit_key,
    function=name,
)

metrics = Metrics(namespace=NAMESPACE, service=name)
metrics.set_default_dimensions(stack=STACK)

SCHEDULED: Mapping[str, Callable[[Admin, dict[str, Any]], None]] = (
    {} if only else {"measure": measure_health, "rotate": rotate_when_due}
)
"""What the template's schedules ask for, by the event's `headgate`. An event of API Gateway has no such member."""

gc.enable()


@redact_errors
def handler(event: dict[str, Any], context: Any) -> Any:
    if event.get("headgate") in SCHEDULED:
        return SCHEDULED[event["headgate"]](admin, event)
    return answer(event, context)


@metrics.log_metrics
def answer(event: dict[str, Any], context: Any) -> Any:
    response = handle(admin, routes, event)
    metrics.add_metric(name=f"Answers{response['statusCode'] // 100}xx", unit=MetricUnit.Count, value=1)
    return response
