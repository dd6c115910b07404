"""The audit stream as it is read: by revision, flag, actor, action and time, newest first, page by page."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

from headgate.core.faults import refuse
from headgate.core.moment import unix
from headgate.edge.admin.door import Admin, Refused, limit_of, shown
from headgate.edge.admin.paging import read_cursor, write_cursor
from headgate.edge.http import Request, Response
from headgate.store.items import AUDIT, HEAD, Head, audit_sk, read_entry, read_head

Entry = dict[str, Any]

SCAN_LIMIT = 5_000
"""Entries that one filtered call looks through before it answers with what it has, and a cursor."""
MAX_REVISION = 10**12 - 1
SKEW = 60.0
"""Seconds that an entry may be stamped before one with a lower revision: the clocks of two environments differ."""


def list_audit(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/audit: the log of changes, newest first.

    Between the revisions `after` and `before`, both exclusive, and from the time `since` to before `until`.
    """
    head = read_head(admin.table.get((HEAD,)).get(HEAD))
    limit, wanted = limit_of(request), _wanted(request)
    after, before = _revision(request, "after", 0), _start(admin, request, head)
    found: list[Entry] = []
    seen: Entry | None = None
    for count, entry in enumerate(entries(admin, after, before, newest_first=True), 1):
        seen = entry
        if wanted.is_past(entry):
            break
        if wanted.takes(entry):
            found.append(entry)
        if len(found) == limit or count == SCAN_LIMIT:
            break
    more = seen is not None and seen["revision"] > after + 1 and not wanted.is_past(seen)
    following = write_cursor("audit", seen["revision"], seen["digest"]) if more and seen else None
    shown_head = {"revision": head.revision, "digest": head.digest}
    return shown({"entries": found, "head": shown_head, "next": following})


MEMBERS: dict[str, Callable[[Entry], Any]] = {
    "flag": lambda entry: entry["flag"],
    "actor": lambda entry: entry["actor"]["arn"],
    "action": lambda entry: entry["action"],
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for: members with a value, and when (Unix seconds)."""

    equals: tuple[tuple[str, str], ...]
    since: float
    until: float

    def takes(self, entry: Entry) -> bool:
        within = self.since <= unix(entry["at"]) < self.until
        return within and all(MEMBERS[name](entry) == value for name, value in self.equals)

    def is_past(self, entry: Entry) -> bool:
        """Whether neither this entry nor any before it can be wanted."""
        return unix(entry["at"]) < self.since - SKEW


def _wanted(request: Request) -> _Wanted:
    equals = tuple((name, request.query[name]) for name in MEMBERS if name in request.query)
    since, until = (request.query.get(name) for name in ("since", "until"))
    return _Wanted(
        equals,
        -inf if since is None else time_in(since, "since"),
        inf if until is None else time_in(until, "until"),
    )


def time_in(text: str, name: str) -> float:
    """RFC 3339 text as Unix seconds. Raises `Invalid`."""
    try:
        return unix(text)
    except (ValueError, OverflowError):
        refuse(name, "must be a time in RFC 3339 with an offset")


def _start(admin: Admin, request: Request, head: Head) -> int:
    """The revision before which reading begins. Raises `Refused` for a cursor that is not of this stream."""
    before = min(_revision(request, "before", MAX_REVISION), head.revision + 1)
    if "cursor" not in request.query:
        return before
    last, digest = read_cursor(request.query["cursor"], "audit", int, str)
    held = 1 <= last <= head.revision
    newest = next(entries(admin, last - 1, last + 1, newest_first=True), None) if held else None
    if newest is None or newest["digest"] != digest:
        raise Refused("invalid-cursor")
    return min(before, int(last))


def _revision(request: Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        refuse(name, "must be a revision")
    return int(text)


def entries(admin: Admin, after: int, before: int, *, newest_first: bool = False) -> Iterator[Entry]:
    """The entries between two revisions, both exclusive; read as they are asked for."""
    low, high = audit_sk(after), audit_sk(before)
    while True:
        page = admin.table.query(AUDIT, after=low, before=high, newest_first=newest_first)
        yield from (read_entry(item) for item in page.items)
        if page.next is None:
            return
        low, high = (low, page.next) if newest_first else (page.next, high)
