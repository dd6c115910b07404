"""Does what the request's JSON body says; without one, answers with the event and its environment."""

import json
import os
import sys
import time
from typing import Any

from shared_by_layer import ANSWER

CALLS: list[str] = []


def handler(event: dict[str, Any], context: Any) -> Any:
    """`return` the given value, `raise`, `exit`, `sleep`, `print`, or echo."""
    CALLS.append(context.aws_request_id)
    told = _told(event)
    if "print" in told:
        print(told["print"])
    if "sleep" in told:
        time.sleep(told["sleep"])
    if "raise" in told:
        raise ValueError(told["raise"])
    if "exit" in told:
        os._exit(told["exit"])
    if "size" in told:
        return "x" * told["size"]
    if "return" in told:
        return told["return"]
    return {
        "event": event,
        "environment": dict(os.environ),
        "process": os.getpid(),
        "calls": len(CALLS),
        "layer": ANSWER,
        "path": sys.path[0],
        "context": {
            "remaining": context.get_remaining_time_in_millis(),
            "arn": context.invoked_function_arn,
            "name": context.function_name,
        },
    }


def _told(event: dict[str, Any]) -> dict[str, Any]:
    body = event.get("body") or ""
    if event.get("isBase64Encoded") or not body.startswith("{"):
        return {}
    found = json.loads(body)
    return found if isinstance(found, dict) else {}
