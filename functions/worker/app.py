"""The reference worker: a small Gastown behind the gate. Wiring only; START at gastown/actions.py."""

import os
from typing import Any

from gastown.routes import Worker
from gastown.service import Gastown
from gastown.state import TownTable, dynamodb

_worker = Worker(Gastown(TownTable(os.environ["WORKER_TABLE"], dynamodb())))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one event of the HTTP API (payload format 2.0)."""
    return _worker.answer(event, context)
