"""The authorizer function: wiring only."""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

import os
from typing import Any

from headgate.edge.authorizer import Authorizer
from headgate.edge.credentials import Credentials
from headgate.edge.http import redact_errors
from headgate.edge.key_pool import KeyPool
from headgate.edge.settings import emergency_kill, gate_settings, home
from headgate.edge.telemetry import Alarms
from headgate.store.dynamo import REQUEST_PATH, DynamoTable, client
from headgate.store.kms import KmsKey
from headgate.store.snapshots import Snapshots

settings = gate_settings()
table = DynamoTable(settings.table, client("dynamodb", **REQUEST_PATH), home=home())
alarms = Alarms("authorizer")
snapshots = Snapshots(table, watch=alarms, emergency=emergency_kill("authorizer"))
kms = client("kms", connect_timeout=0.5, read_timeout=2.0)
keys = KeyPool(tuple(KmsKey(kid, kms) for kid in settings.signing_keys), snapshots, failed=alarms.key_failed)
legacy = None
if os.environ.get("HEADGATE_LEGACY_ISSUER"):  # off by default, and then not even imported
    from headgate.edge.legacy import legacy_tokens

    legacy = legacy_tokens()
function = Authorizer(Credentials(settings, keys, legacy), snapshots)

gc.enable()


@redact_errors
def handler(event: dict[str, Any], context: Any) -> Any:
    return function(event)
