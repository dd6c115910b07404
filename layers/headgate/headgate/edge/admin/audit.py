"""Reading the audit stream: by revision, flag, actor, action, and time, newest first, one page at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, nan
from typing import Any

from headgate.core.audit import Entry
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import refuse, unix
from headgate.edge.admin.call import Admin, limit_of, shown
from headgate.edge.admin.paging import AnswerLimit, read_cursor, write_cursor
from headgate.edge.http import Request, Response
from headgate.store.items import AUDIT, Head, audit_sk, head_of, read_entry
from headgate.store.port import Item

SCAN_LIMIT = 5_000
"""Entries that one filtered call reads at most. It then answers with what it found and a cursor."""
MAX_REVISION = 10**12 - 1
SKEW = 60.0
"""Seconds that an entry's time may be earlier than that of a lower revision, because environments' clocks differ."""


def list_audit(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/audit: list audit entries, newest first.

    `after` and `before` are revisions, both exclusive. `since` is a time, inclusive, and `until` is exclusive.
    """
    head = head_of(admin.table)
    limit, wanted = limit_of(request), _wanted(request)
    room = AnswerLimit(limit)
    after, before = _revision(request, "after", 0), _start(admin, request, head)
    found: list[Entry] = []
    place: tuple[int, str] | None = None
    for count, item in enumerate(_items(admin, after, before, newest_first=True), 1):
        entry = _shown(item)
        if wanted.is_past(entry):
            place = None
            break
        if wanted.takes(entry):
            if not room.takes(entry):
                break
            found.append(entry)
        place = int(item["sk"]), str(entry.get("digest"))
        if len(found) == limit or count == SCAN_LIMIT:
            break
    more = place is not None and place[0] > after + 1
    following = write_cursor("audit", *place) if more and place else None
    shown_head = {"revision": head.revision, "digest": head.digest}
    return shown({"entries": found, "head": shown_head, "next": following})


def _shown(item: Item) -> Entry:
    """Return the entry, or only its revision if it cannot be read, where a verifier then finds the break."""
    try:
        return read_entry(item)
    except (KeyError, ValueError, RecursionError):
        return {"revision": int(item["sk"])}


def _names(entry: Entry) -> tuple[Any, ...]:
    """Return what names the caller: the ARN, and its part after the account, as the command shows it."""
    actor = entry.get("actor")
    arn = actor.get("arn") if isinstance(actor, dict) else None
    return (arn, arn.rpartition(":")[2]) if isinstance(arn, str) else (arn,)


FILTERS: dict[str, Callable[[Entry], tuple[Any, ...]]] = {
    "flag": lambda entry: (entry.get("flag"),),
    "actor": _names,
    "action": lambda entry: (entry.get("action"),),
}
"""What a filter's value is compared with: one of these must equal it."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The filter: equal members, and a range of times (Unix seconds)."""

    equals: tuple[tuple[str, str], ...]
    since: float
    until: float

    def takes(self, entry: Entry) -> bool:
        at = entry_time(entry)
        outside = at < self.since or at >= self.until
        return not outside and all(value in FILTERS[name](entry) for name, value in self.equals)

    def is_past(self, entry: Entry) -> bool:
        """Whether neither this entry nor any earlier one can match."""
        return entry_time(entry) < self.since - SKEW


def entry_time(entry: Entry) -> float:
    """Return the entry's time (Unix seconds). A tampered entry may have none: then NaN, neither before nor after."""
    try:
        return unix(entry["at"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return nan


def _wanted(request: Request) -> _Wanted:
    equals = tuple((name, request.query[name]) for name in FILTERS if name in request.query)
    since, until = (request.query.get(name) for name in ("since", "until"))
    return _Wanted(
        equals,
        -inf if since is None else time_in(since, "since"),
        inf if until is None else time_in(until, "until"),
    )


def time_in(text: str, name: str) -> float:
    """Return RFC 3339 text as Unix seconds. Raises `Invalid`."""
    try:
        return unix(text)
    except (ValueError, OverflowError):
        refuse(name, "must be an RFC 3339 time with an offset")


def _start(admin: Admin, request: Request, head: Head) -> int:
    """Return the revision before which reading starts. Raises `Refusal` for a cursor from another stream."""
    before = min(_revision(request, "before", MAX_REVISION), head.revision + 1)
    if "cursor" not in request.query:
        return before
    last, digest = read_cursor(request.query["cursor"], "audit", int, str)
    held = 1 <= last <= head.revision
    newest = next(_items(admin, last - 1, last + 1, newest_first=True), None) if held else None
    if newest is None or str(_shown(newest).get("digest")) != digest:
        raise Refusal(Slug.INVALID_CURSOR)
    return min(before, int(last))


def _revision(request: Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        refuse(name, "must be a revision number")
    return int(text)


def entries(admin: Admin, after: int, before: int) -> Iterator[Entry]:
    """Yield the entries between two revisions, both exclusive. Reads lazily. Raises `Refusal`."""
    for item in _items(admin, after, before):
        try:
            yield read_entry(item)
        except (KeyError, ValueError, RecursionError):
            raise Refusal(Slug.CHAIN_BROKEN, f"entry {item['sk']} cannot be read") from None


def _items(admin: Admin, after: int, before: int, *, newest_first: bool = False) -> Iterator[Item]:
    low, high = audit_sk(after), audit_sk(before)
    while True:
        page = admin.table.query(AUDIT, after=low, before=high, newest_first=newest_first)
        yield from (item for item in page.items if str(item["sk"]).isdigit())
        if page.next is None:
            return
        low, high = (low, page.next) if newest_first else (page.next, high)
