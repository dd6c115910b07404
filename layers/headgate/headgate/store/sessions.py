"""Session records: one item per session, and one roster item per subject.

The roster's version keeps the cap on sessions exact under races.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from headgate.core.documents import canonical
from headgate.core.session import MAX_PER_SUBJECT, Session, record_id, subject_hash
from headgate.store.items import SHARDS, every_item, every_page
from headgate.store.port import ConditionFailed, Contended, Item, Key, Page, Put, Table, Unavailable

ROSTER = "!"  # sorts before every hash, so the roster is the first item of its subject
COUNT_SECONDS, COUNT_PAGES = 0.3, 64
"""What counting live sessions may take: there are at least 16 pages, one for each partition."""
DEFAULTS: Mapping[str, Any] = {"orgs_cut": False, "generation": 1, "renewed_at": (), "reused": False}
"""Members that are left out of a record if they have these values, as in records from before they existed."""
KEEP = 86_400
"""Seconds that a record is kept after its session's last possible end."""


class Capped(Exception):
    """The subject already has the maximum number of live sessions."""


def session_key(subject: str, session_id: str) -> Key:
    """Where a session is stored."""
    sk = record_id(subject, session_id)
    return f"sessions#{sk[0]}", sk


def read_session(item: Item) -> Session:
    """Read a session from its record. Raises `ValueError` if the record cannot be read."""
    try:
        body: dict[str, Any] = json.loads(str(item["body"]))
        session = Session(**{**body, "orgs": tuple(body["orgs"])})
        session = replace(session, renewed_at=tuple(session.renewed_at))
        times = session.started_at, session.expires_at, session.generation, *session.renewed_at
        whole = all(isinstance(time, int) for time in times)
    except (KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError("the session's record cannot be read")
    return session


def _readable(items: Iterable[Item]) -> Iterator[tuple[str, Session]]:
    """Yield the sessions of these items that can be read, with their record ids. Any other cannot be renewed either."""
    for item in items:
        with suppress(ValueError):
            yield str(item["sk"]), read_session(item)


def session_in(items: Mapping[Key, Item], key: Key) -> Session | None:
    """The session at `key` among the items that were read, if it is there and can be read."""
    return next((session for _record, session in _readable([items[key]] if key in items else [])), None)


class Sessions:
    """All sessions of the table."""

    def __init__(self, table: Table, *, clock: Callable[[], float] = time.time) -> None:
        self._table, self._clock = table, clock

    def find(self, subject: str, session_id: str) -> Session | None:
        """Return the session, live or not, as of now."""
        return self._one(session_key(subject, session_id))

    def start(self, session: Session) -> None:
        """Store a new session. Raises `Capped`, `Unavailable`, or `Contended` after three lost races."""
        prefix = subject_hash(session.subject)
        pk, seat = f"sessions#{prefix[0]}", prefix + ROSTER
        for _attempt in range(3):
            # The roster first: a session that is too new for the query changes its version before the write.
            roster = self._table.get(((pk, seat),)).get((pk, seat))
            items = every_item(self._table, pk, after=seat, before=prefix + "~")
            others = (other for _record, other in _readable(items) if other.session_id != session.session_id)
            now = self._clock()
            # Those that ended by reuse count until they would have expired, so that nobody fills the audit stream.
            places = [other for other in others if other.is_live(now) or (other.reused and now < other.expires_at)]
            if len(places) >= MAX_PER_SUBJECT:
                raise Capped
            version = roster.get("version") if roster else 0
            if not isinstance(version, int):
                raise Unavailable("roster")
            taken: Item = {"pk": pk, "sk": seat, "version": version + 1}
            roster_put = Put(taken, equals=("version", version)) if roster else Put(taken, absent=True)
            try:
                self._table.write([Put(_item(session)), roster_put])
            except (ConditionFailed, Contended):
                continue
            return
        raise Contended

    def renew(self, before: Session, after: Session) -> bool:
        """Store a renewal. Return False if the session was changed since it was read (ended, or renewed by another)."""
        try:
            self._table.write([Put(_item(after), equals=("body", str(_item(before)["body"])))])
        except (ConditionFailed, Contended):
            return False
        return True

    def by_record(self, record: str) -> Session | None:
        """Return the session with this record id."""
        return self._one((f"sessions#{record[0]}", record))

    def _one(self, key: Key) -> Session | None:
        return session_in(self._table.get((key,)), key)

    def every(self, after: str = "") -> Iterator[tuple[str, Session]]:
        """Yield all stored sessions with their record ids, in the order of these, starting after `after`."""
        for page in self._pages(after):
            yield from _readable(page.items)

    def _pages(self, after: str = "") -> Iterator[Page]:
        for shard in SHARDS[SHARDS.index(after[:1]) if after else 0 :]:
            first = after if after.startswith(shard) else ""
            yield from every_page(self._table, f"sessions#{shard}", after=first)

    def inside(self, cut: float | None = None, seconds: float = COUNT_SECONDS) -> tuple[int, float | None] | None:
        """How many sessions are live and when the last must end (Unix seconds). All end at `cut`, if a kill says so.

        None past `seconds` or `COUNT_PAGES`: a kill must not wait for the count, however many records there are.
        """
        count, last, now = 0, None, self._clock()
        if cut is not None and cut <= now:
            return 0, None
        for number, page in enumerate(self._pages()):
            if number == COUNT_PAGES or self._clock() - now > seconds:
                return None
            for _record, session in _readable(page.items):
                if session.is_live(now):
                    count, last = count + 1, max(last or 0, min(session.ends_at, cut or session.ends_at))
        return count, last


def is_record_id(text: str) -> bool:
    """Whether this could be a record id."""
    return len(text) == 64 and set(text) <= set(SHARDS)


def ending(session: Session, *, reused: bool = False) -> Put:
    """Return the write that ends a session, on the condition that it was not changed since it was read."""
    before = _item(session)
    return Put(_item(replace(session, ended=True, reused=reused)), equals=("body", before["body"]))


def _item(session: Session) -> Item:
    pk, sk = session_key(session.subject, session.session_id)
    body = {name: getattr(session, name) for name in Session.__slots__} | {"attributes": dict(session.attributes)}
    body = {name: value for name, value in body.items() if DEFAULTS.get(name) != value}
    return {"pk": pk, "sk": sk, "body": canonical(body), "expires": session.ends_at + KEEP}
