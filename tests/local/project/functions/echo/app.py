"""Does what the request's JSON body says. Without one, it answers with the event and its environment."""

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
    instructions = _instructions(event)
    if "print" in instructions:
        print(instructions["print"])
    if "sleep" in instructions:
        time.sleep(instructions["sleep"])
    if "raise" in instructions:
        raise ValueError(instructions["raise"])
    if "exit" in instructions:
        os._exit(instructions["exit"])
    if "size" in instructions:
        return "x" * instructions["size"]
    if "return" in instructions:
        return instructions["return"]
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


def _instructions(event: dict[str, Any]) -> dict[str, Any]:
    body = event.get("body") or ""
    if event.get("isBase64Encoded") or not body.startswith("{"):
        return {}
    found = json.loads(body)
    return found if isinstance(found, dict) else {}
