"""The reference worker: a small Gastown behind the gate. Wiring only; start reading at gastown/actions.py."""

import gc

gc.disable()  # imports create no garbage, and collecting takes a twelfth of a cold start

import os
from typing import Any

from gastown.routes import Worker
from gastown.service import Gastown
from gastown.state import TownTable, dynamodb

from headgate.edge.http import redact_errors

_worker = Worker(Gastown(TownTable(os.environ["GASTOWN_TABLE"], dynamodb())))

gc.enable()


@redact_errors
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one event of the HTTP API (payload format 2.0)."""
    return _worker.answer(event, context)
