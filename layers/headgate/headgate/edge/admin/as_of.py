"""The rules as they were: rebuilt from the audit stream alone, at a revision or at a time."""

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
"""Seconds of reading before a call gives up: API Gateway gives 30. At 1 MB a page that is about 100,000 entries."""


def as_of(admin: Admin, moment: int | str) -> Snapshot:
    """The rules at a revision, or as they stood at a time (RFC 3339).

    Entries are stamped by different clocks: at a time stand all before the first that is later. Raises `Invalid` for
    what is neither, or not yet; `Refusal` for a stream too long to be read in one call, or one that was tampered with.
    """
    head = head_of(admin.table).revision
    if isinstance(moment, int):
        if not 0 <= moment <= head:
            refuse("as_of", f"must be a revision from 0 to {head}, the newest")
        return _rebuilt(admin, entries(admin, 0, moment + 1))
    seconds = time_in(moment, "as_of")
    return _rebuilt(admin, takewhile(lambda entry: not entry_time(entry) > seconds, entries(admin, 0, head + 1)))


def _rebuilt(admin: Admin, stream: Iterable[Entry]) -> Snapshot:
    """Only what stands at the end is parsed: of each flag, of the routes, the profile, the keys, the newest entry.

    And only that is held against its digest: the whole chain is for `headgate audit verify` to walk.
    """
    newest: dict[tuple[str, str], Entry] = {}
    for entry in _within(admin, stream):
        newest[_target(entry)] = entry
    if not all(map(is_sealed, newest.values())):
        raise Refusal(Slug.CHAIN_BROKEN, "an entry up to there was changed since it was written")
    return apply_entries(EMPTY, sorted(newest.values(), key=lambda entry: int(entry["revision"])))


def _target(entry: Entry) -> tuple[str, str]:
    """What an entry replaces whole; denials add up."""
    kind = str(entry.get("action")).partition(".")[0]
    return kind, str(entry.get("revision")) if kind == "deny" else str(entry.get("flag"))


def _within(admin: Admin, stream: Iterable[Entry]) -> Iterator[Entry]:
    deadline = admin.clock() + BUDGET
    for entry in stream:
        if admin.clock() > deadline:
            raise Refusal(Slug.TOO_LARGE, "the stream up to there cannot be read in one call")
        yield entry


def read_moment(text: str) -> int | str:
    """`as_of` as a query has it: digits are a revision, all else is a time. Raises `Invalid` for neither."""
    if text.isascii() and text.isdigit() and len(text) <= 12:
        return int(text)
    time_in(text, "as_of")
    return text
