"""The evaluate function: wiring only."""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

from typing import Any

from headgate.edge.credentials import Credentials
from headgate.edge.evaluate import Evaluate
from headgate.edge.http import redact_errors
from headgate.edge.key_pool import KeyPool
from headgate.edge.settings import emergency_kill, gate_settings, home
from headgate.edge.telemetry import Alarms
from headgate.store.dynamo import REQUEST_PATH, DynamoTable, client
from headgate.store.kms import KmsKey
from headgate.store.snapshots import Snapshots

settings = gate_settings()
table = DynamoTable(settings.table, client("dynamodb", **REQUEST_PATH), home=home())
alarms = Alarms("evaluate")
snapshots = Snapshots(table, watch=alarms, emergency=emergency_kill("evaluate"))
kms = client("kms", connect_timeout=0.5, read_timeout=2.0)
keys = KeyPool(tuple(KmsKey(kid, kms) for kid in settings.signing_keys), snapshots, failed=alarms.key_failed)
function = Evaluate(Credentials(settings, keys), keys, snapshots)

gc.enable()


@redact_errors
def handler(event: dict[str, Any], context: Any) -> Any:
    return function(event)
