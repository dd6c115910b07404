"""Somebody else's service behind the gate: it answers with what the gate told it, and needs no store."""

import json
from typing import Any

from headgate.sdk.caller import caller_from


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    caller = caller_from(event)  # raises where no gate stood in front
    told = {"subject": caller.subject, "asks": dict(caller.asks), "stale": caller.stale, "reason": caller.reason,
            "admin": caller.admin, "revision": caller.revision}  # fmt: skip
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(told)}
