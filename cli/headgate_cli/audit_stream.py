"""Reads the audit stream from the API: its head, and its entries from the first one on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate_cli.client import Client

WINDOW = 500  # revisions per request; the whole log is never held in memory


def stream_head(client: Client) -> dict[str, Any]:
    """Return the newest revision and its digest."""
    head = client.get("/admin/v1/audit", {"limit": 1}).document.get("head")
    return head if isinstance(head, dict) else {"revision": 0, "digest": ""}


def oldest_first(client: Client, last: int, after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the entries from revision `after` + 1 to `last`, in windows, because the API returns the newest first.

    A restored table skipped revisions, so windows grow while they are empty, and shrink to the one that is not.
    """
    start, span = after, WINDOW
    while start < last:
        end = min(start + span, last)
        pages = client.pages("/admin/v1/audit", {"after": start, "before": end + 1, "limit": WINDOW})
        entries = list(next(pages).get("entries", []))
        if entries and span > WINDOW:
            span //= 2
            continue
        entries += [entry for page in pages for entry in page.get("entries", [])]
        yield from reversed(entries)
        start, span = end, WINDOW if entries else span * 2
