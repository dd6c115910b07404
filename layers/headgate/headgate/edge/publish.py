"""From records of the table's stream to events: what the pipe asks between the stream and the event bus.

https://docs.aws.amazon.com/eventbridge/latest/userguide/pipes-enrichment.html
"""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.core.event import event_of
from headgate.store.items import read_entry


def publish(records: Iterable[Mapping[str, Any]], stack: str) -> list[dict[str, Any]]:
    """Return the event for each new item of the audit partition. The pipe's filter lets no other record through."""
    return [_event(record["dynamodb"], stack) for record in records]


def _event(change: Mapping[str, Any], stack: str) -> dict[str, Any]:
    place = change["Keys"]["sk"]["S"]
    revision = int(place) if place.isascii() and place.isdigit() else 0
    try:
        entry = read_entry({"body": change["NewImage"]["body"]["S"]})
    except (KeyError, ValueError, RecursionError):
        entry = {}
    return event_of(entry, revision, stack)
