"""The audit stream as the API gives it: its head, and its entries from the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate_cli.client import Client

WINDOW = 500  # revisions asked for at a time; the whole log is never held in memory


def stream_head(client: Client) -> dict[str, Any]:
    """The newest revision and its digest."""
    head = client.get("/admin/v1/audit", {"limit": 1}).document.get("head")
    return head if isinstance(head, dict) else {"revision": 0, "digest": ""}


def oldest_first(client: Client, last: int, after: int = 0) -> Iterator[dict[str, Any]]:
    """Every entry from the one after a revision up to `last`, a window at a time: the API answers newest first."""
    for start in range(after, last, WINDOW):
        window = {"after": start, "before": min(start + WINDOW, last) + 1, "limit": WINDOW}
        entries = [entry for page in client.pages("/admin/v1/audit", window) for entry in page.get("entries", [])]
        yield from reversed(entries)
