"""The webhook function, which EventBridge calls for each event of the record: wiring only."""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

from typing import Any

from headgate.edge.http import redact_errors
from headgate.edge.settings import required
from headgate.edge.webhook import Webhook
from headgate.store.dynamo import client
from headgate.store.secret import Secret

environment = required("HEADGATE_WEBHOOK_URL", "HEADGATE_WEBHOOK_SECRET_ARN")
secret = Secret(
    environment["HEADGATE_WEBHOOK_SECRET_ARN"],
    lambda: client("secretsmanager", connect_timeout=0.5, read_timeout=1.0),
)
webhook = Webhook(environment["HEADGATE_WEBHOOK_URL"], secret.read)

gc.enable()


@redact_errors
def handler(event: dict[str, Any], context: Any) -> None:
    webhook.deliver(event)
