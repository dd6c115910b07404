"""The checkpoint function, called by a schedule and after each kill: wiring only."""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

import time
from typing import Any

from headgate.edge.checkpoint import keep_checkpoint
from headgate.edge.http import redact_errors
from headgate.edge.settings import key_ids, required
from headgate.edge.telemetry import STACK
from headgate.store.dynamo import DynamoTable, client
from headgate.store.kms import KmsKey
from headgate.store.s3 import S3Bucket

environment = required("HEADGATE_TABLE", "HEADGATE_AUDIT_KEY", "HEADGATE_CHECKPOINT_BUCKET", "HEADGATE_ISSUER")
(kid,) = key_ids(environment["HEADGATE_AUDIT_KEY"])
table = DynamoTable(environment["HEADGATE_TABLE"], client("dynamodb", connect_timeout=0.5, read_timeout=2.0))
key = KmsKey(kid, client("kms", connect_timeout=0.5, read_timeout=2.0))
bucket = S3Bucket(environment["HEADGATE_CHECKPOINT_BUCKET"], client("s3", connect_timeout=0.5, read_timeout=2.0))

gc.enable()


@redact_errors
def handler(event: dict[str, Any], context: Any) -> None:
    keep_checkpoint(table, lambda: key, bucket, issuer=environment["HEADGATE_ISSUER"], stack=STACK, now=time.time())
