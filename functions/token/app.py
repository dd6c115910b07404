"""The token function: wiring only."""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

from typing import Any

from headgate.edge.admission import Admission
from headgate.edge.credentials import Credentials
from headgate.edge.exchange import TokenFunction
from headgate.edge.http import redact_errors
from headgate.edge.key_pool import KeyPool
from headgate.edge.settings import emergency_kill, gate_settings, home, required
from headgate.edge.telemetry import Alarms
from headgate.store.dynamo import REQUEST_PATH, DynamoTable, client
from headgate.store.kms import KmsKey
from headgate.store.record import Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots
from headgate.tokens.identity import IdentityVerifier
from headgate.tokens.issuers import parse_issuers

settings = gate_settings()
issuers = parse_issuers(required("HEADGATE_IDENTITY_ISSUERS")["HEADGATE_IDENTITY_ISSUERS"])
table = DynamoTable(settings.table, client("dynamodb", **REQUEST_PATH), home=home())
alarms = Alarms("token")
snapshots = Snapshots(table, watch=alarms, emergency=emergency_kill("token"))
kms = client("kms", connect_timeout=0.5, read_timeout=2.0)
keys = KeyPool(tuple(KmsKey(kid, kms) for kid in settings.signing_keys), snapshots, failed=alarms.key_failed)

function = TokenFunction(
    settings=settings,
    keys=keys,
    credentials=Credentials(settings, keys),
    identities=IdentityVerifier(issuers),
    snapshots=snapshots,
    admission=Admission(snapshots, Sessions(table), Record(table)),
)

gc.enable()


@redact_errors
def handler(event: dict[str, Any], context: Any) -> Any:
    return function(event)
