"""The rules as of a past revision or time, rebuilt from the audit stream alone."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

from headgate.core.audit import Entry, is_sealed
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import refuse
from headgate.core.snapshot import EMPTY, Snapshot, apply_entries
from headgate.edge.admin.audit import entries, entry_time, time_in
from headgate.edge.admin.call import Admin
from headgate.store.items import head_of

BUDGET = 20.0
"""Seconds that a call may read; API Gateway's limit is 30. At 1 MB per page, about 100,000 entries."""


def as_of(admin: Admin, moment: int | str) -> Snapshot:
    """Return the rules at a revision or at a time (RFC 3339).

    Entries are stamped by different clocks, so a time includes every entry before the first later one. Raises `Invalid`
    for an unknown revision or an invalid time; `Refusal` if the stream is too long for one call or was tampered with.
    """
    head = head_of(admin.table).revision
    if isinstance(moment, int):
        if not 0 <= moment <= head:
            refuse("as_of", f"must be a revision from 0 to {head}, the newest")
        return _rebuilt(admin, entries(admin, 0, moment + 1))
    seconds = time_in(moment, "as_of")
    return _rebuilt(admin, takewhile(lambda entry: not entry_time(entry) > seconds, entries(admin, 0, head + 1)))


def _rebuilt(admin: Admin, stream: Iterable[Entry]) -> Snapshot:
    """Parse only the newest entry of each flag, the routes, the profile, and the keys, and check only its digest.

    `headgate audit verify` checks the whole chain.
    """
    newest: dict[tuple[str, str], Entry] = {}
    for entry in _within(admin, stream):
        newest[_target(entry)] = entry
    if not all(map(is_sealed, newest.values())):
        raise Refusal(Slug.CHAIN_BROKEN, "an entry at or before that point was modified; run headgate audit verify")
    return apply_entries(EMPTY, sorted(newest.values(), key=lambda entry: int(entry["revision"])))


def _target(entry: Entry) -> tuple[str, str]:
    """The record that an entry replaces. Each denial is a record of its own."""
    kind = str(entry.get("action")).partition(".")[0]
    return kind, str(entry.get("revision")) if kind == "deny" else str(entry.get("flag"))


def _within(admin: Admin, stream: Iterable[Entry]) -> Iterator[Entry]:
    deadline = admin.clock() + BUDGET
    for entry in stream:
        if admin.clock() > deadline:
            raise Refusal(Slug.TOO_LARGE, "the audit stream up to that point is too long to read in one call")
        yield entry


def read_moment(text: str) -> int | str:
    """Read a query's `as_of`: digits are a revision, anything else is a time. Raises `Invalid`."""
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text)
    time_in(text, "as_of")
    return text
