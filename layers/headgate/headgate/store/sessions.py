"""Session records: one item a session, and a roster item a subject, whose version makes the cap exact under races."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from headgate.core.documents import canonical
from headgate.core.session import MAX_PER_SUBJECT, Session, record_id, subject_hash
from headgate.store.port import ConditionFailed, Contended, Item, Key, Page, Put, Table, Unavailable

_SHARDS = "0123456789abcdef"
ROSTER = "!"  # sorts before every hash: the roster is the first item of its subject
COUNT_SECONDS, COUNT_PAGES = 0.3, 64
"""What counting live sessions may take: there are at least 16 pages, one for each partition."""
KEEP = 86_400
"""Seconds a session's record outlives the session."""


class Capped(Exception):
    """The subject has as many live sessions as it may."""


def session_key(subject: str, session_id: str) -> Key:
    """Where a session is stored."""
    sk = record_id(subject, session_id)
    return f"sessions#{sk[0]}", sk


def read_session(item: Item) -> Session:
    """A session from its record. Raises `ValueError` when it is none."""
    try:
        body: dict[str, Any] = json.loads(str(item["body"]))
        session = Session(**{**body, "orgs": tuple(body["orgs"])})
        whole = isinstance(session.started_at, int) and isinstance(session.expires_at, int)
    except (KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError("a session's record cannot be read")
    return session


def _readable(items: Iterable[Item]) -> Iterator[tuple[str, Session]]:
    """The sessions among these, with their records' ids. One that cannot be read is none: it is not renewed either."""
    for item in items:
        with suppress(ValueError):
            yield str(item["sk"]), read_session(item)


def session_in(items: Mapping[Key, Item], key: Key) -> Session | None:
    """The session among items that were read, if it is there and can be read."""
    return next((session for _record, session in _readable([items[key]] if key in items else [])), None)


class Sessions:
    """All sessions of the table."""

    def __init__(self, table: Table, *, clock: Callable[[], float] = time.time) -> None:
        self._table, self._clock = table, clock

    def find(self, subject: str, session_id: str) -> Session | None:
        """The session, live or not, as of now."""
        key = session_key(subject, session_id)
        return self._one(key)

    def start(self, session: Session) -> None:
        """Store a new session. Raises `Capped`, `Unavailable`, or `Contended` when others came first three times."""
        prefix = subject_hash(session.subject)
        pk, seat = f"sessions#{prefix[0]}", prefix + ROSTER
        for _attempt in range(3):
            # The roster first: a session that the query does not see yet will have moved it on by the write.
            roster = self._table.get(((pk, seat),)).get((pk, seat))
            items = self._between(pk, seat, prefix + "~")
            others = (other for _record, other in _readable(items) if other.session_id != session.session_id)
            live = [other for other in others if other.is_live(self._clock())]
            if len(live) >= MAX_PER_SUBJECT:
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

    def _between(self, pk: str, after: str, before: str) -> list[Item]:
        items: list[Item] = []
        cursor: str | None = after
        while cursor is not None:
            page = self._table.query(pk, after=cursor, before=before)
            items.extend(page.items)
            cursor = page.next
        return items

    def renew(self, before: Session, after: Session) -> bool:
        """Store a renewal; False when the session changed meanwhile (ended, or renewed by another)."""
        try:
            self._table.write([Put(_item(after), equals=("body", str(_item(before)["body"])))])
        except (ConditionFailed, Contended):
            return False
        return True

    def by_record(self, record: str) -> Session | None:
        """The session of a record's id."""
        return self._one((f"sessions#{record[0]}", record))

    def _one(self, key: Key) -> Session | None:
        return session_in(self._table.get((key,)), key)

    def every(self, after: str = "") -> Iterator[tuple[str, Session]]:
        """All sessions on record, with their records' ids, in order of these; from the one after `after`."""
        for page in self._pages(after):
            yield from _readable(page.items)

    def _pages(self, after: str = "") -> Iterator[Page]:
        for shard in _SHARDS[_SHARDS.index(after[:1]) if after else 0 :]:
            cursor: str | None = after if after.startswith(shard) else ""
            while cursor is not None:
                page = self._table.query(f"sessions#{shard}", after=cursor)
                yield page
                cursor = page.next

    def inside(self) -> tuple[int, int | None] | None:
        """How many sessions are live and when the last must end (Unix seconds).

        None past `COUNT_SECONDS` or `COUNT_PAGES`: a kill must not wait for the count, however many records there are.
        """
        count, last, now = 0, None, self._clock()
        for number, page in enumerate(self._pages()):
            if number == COUNT_PAGES or self._clock() - now > COUNT_SECONDS:
                return None
            for _record, session in _readable(page.items):
                if session.is_live(now):
                    count, last = count + 1, max(last or 0, session.ends_at)
        return count, last


def is_record_id(text: str) -> bool:
    """Whether this could be a record's id."""
    return len(text) == 64 and set(text) <= set(_SHARDS)


def ending(session: Session) -> Put:
    """The write that ends a session, as long as it is as it was read."""
    before = _item(session)
    return Put(_item(replace(session, ended=True)), equals=("body", before["body"]))


def _item(session: Session) -> Item:
    pk, sk = session_key(session.subject, session.session_id)
    body = {name: getattr(session, name) for name in Session.__slots__}
    body |= {"orgs": list(session.orgs), "attributes": dict(session.attributes)}
    return {"pk": pk, "sk": sk, "body": canonical(body), "expires": session.ends_at + KEEP}
