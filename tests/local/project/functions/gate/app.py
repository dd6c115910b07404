"""An authorizer that answers what the token (or the `key` in the query) spells out."""

import json
import time
from typing import Any

CALLS: list[str] = []


def handler(event: dict[str, Any], context: Any) -> Any:
    """`yes`, `no`, `crash`, `hang`, `event` (the event as context), or the JSON to answer."""
    CALLS.append(event["routeKey"])
    word = event["identitySource"][0].removeprefix("Bearer ")
    if word == "crash":
        raise RuntimeError("no")
    if word == "hang":
        time.sleep(60)
    if word.startswith(("{", '"')):
        return json.loads(word)
    told = json.dumps(event) if word == "event" else word
    return {"isAuthorized": word != "no", "context": {"word": told, "calls": len(CALLS), "admin": True}}
