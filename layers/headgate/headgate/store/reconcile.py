"""Read a table for `core.changes.reconcile`: rules, sessions, stream, and head.

A read of many items is not a snapshot, and changes continue during it, but what is incomplete at one look is complete
at the next. So only what three looks agree on is a finding: a record that is behind in all three, by the same versions,
stays behind.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from headgate.core.audit import Entry
from headgate.core.changes.list_import import ImportState
from headgate.core.changes.reconcile import Finding, Ledger, StoredState, What, flag_of
from headgate.core.deny import DenyKind, parse_denial
from headgate.core.documents import Invalid
from headgate.core.session import Session
from headgate.store.imports import read_import
from headgate.store.items import (
    AUDIT,
    DENIALS,
    DENY_PREFIX,
    KEYRING_KEY,
    PROFILE_KEY,
    ROUTES_KEY,
    RULES,
    Head,
    deny_key,
    every_item,
    flag_key,
    head_of,
    import_key,
    read_entry,
    read_stored,
)  # fmt: skip
from headgate.store.members import AT_ONCE
from headgate.store.port import Item, Table, Unavailable
from headgate.store.sessions import Sessions

_T = TypeVar("_T")
LOOKS = 3
WHOLE = {"routes": ROUTES_KEY, "profile": PROFILE_KEY, "keys": KEYRING_KEY}


class TooLong(Exception):
    """The stream could not be read within the budget."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The head as last seen, and the disagreements."""

    head: Head
    findings: tuple[Finding, ...]


class Reconciler:
    """`budget` is in seconds and limits all looks together."""

    def __init__(self, table: Table, *, budget: float, clock: Callable[[], float] = time.time) -> None:
        self._table, self._clock, self._until = table, clock, clock() + budget

    def run(self) -> Reconciliation:
        """Look until nothing is found, at most three times. Raises `TooLong`, and what the table raises."""
        found = self._look()
        for _ in range(LOOKS - 1):
            if not found.findings:
                break
            again = self._look()
            found = Reconciliation(again.head, tuple(one for one in again.findings if one in found.findings))
        return found

    def _look(self) -> Reconciliation:
        held = {str(item["sk"]): _state(item) for pk in (RULES, DENIALS) for item in self._partition(pk)}
        sessions = dict(self._timely(Sessions(self._table).every()))
        ledger = Ledger(_place)
        ledger.follow(map(_entry, self._partition(AUDIT)))
        head, now = head_of(self._table), self._clock()
        found = (*ledger.compare(held, head, now), *_sessions(ledger, sessions, now), *self._imports(held))
        return Reconciliation(head, found)

    def _imports(self, held: Mapping[str, StoredState]) -> Iterator[Finding]:
        """Yield flags that do not count a committed newest import, or that count one that is not committed."""
        flags = [name for name, state in held.items() if flag_of(name) is not None and not state.retired]
        for begin in range(0, len(flags), AT_ONCE):
            keys = {name: import_key(str(flag_of(name))) for name in self._timely(flags[begin : begin + AT_ONCE])}
            items = self._table.get(tuple(keys.values()))
            for name, key in keys.items():
                if not _is_agreed(held[name], items.get(key)):
                    yield Finding(What.IMPORT_DIFFERS, f"{key[0]}#{key[1]}", flag_of(name))

    def _partition(self, pk: str) -> Iterator[Item]:
        return self._timely(every_item(self._table, pk))

    def _timely(self, items: Iterable[_T]) -> Iterator[_T]:
        for item in items:
            if self._clock() > self._until:
                raise TooLong
            yield item


def _is_agreed(flag: StoredState, item: Item | None) -> bool:
    """Whether a flag counts its newest import exactly if that is committed, and counts none after it."""
    long = flag.document.get("members") if isinstance(flag.document, dict) else None
    try:
        newest, counted = read_import(item), dict((long or {}).get("imports", ()))
    except (Unavailable, TypeError, ValueError):
        return False
    last = max(counted, default=0)
    if newest is None:
        return last == 0
    if newest.state is ImportState.COMMITTED:
        return last == newest.ordinal and counted[last] == newest.revision
    return last < newest.ordinal


@dataclass(frozen=True, slots=True)
class Ending:
    """A session's recorded end: its entry, and the period that it refuses (Unix seconds)."""

    revision: int
    at: int
    expires: int

    def missed(self, session: Session, now: float) -> bool:
        """Whether a session that started before this end still runs."""
        return session.started_at < self.at and now < self.expires


def _sessions(ledger: Ledger, sessions: Mapping[str, Session], now: float) -> Iterator[Finding]:
    """Yield sessions that ended without an entry, and sessions that run although an entry ended them."""
    endings = dict(_endings(ledger))
    for record, session in sessions.items():
        ending = endings.get(record)
        if session.ended and (ending is None or ending.at < session.started_at):
            yield Finding(What.SESSION_ENDED, f"session#{record}")
        if ending is not None and not session.ended and ending.missed(session, now):
            yield Finding(What.SESSION_LIVES, f"session#{record}", revision=ending.revision)


def _endings(ledger: Ledger) -> Iterator[tuple[str, Ending]]:
    for name, recorded in ledger.records.items():
        if name.startswith(f"{DENY_PREFIX}{DenyKind.SESSION}#"):
            with suppress(Invalid):
                denial = parse_denial(recorded.state.document)
                yield denial.value, Ending(recorded.revision, denial.at, denial.expires)


def _place(entry: Entry) -> str | None:
    """The sort key, within the rules, of the record that an entry is about, or None."""
    subject, flag, after = str(entry.get("action")).partition(".")[0], entry.get("flag"), entry.get("after")
    if subject == "flag" and isinstance(flag, str):
        return flag_key(flag)[1]
    if subject in WHOLE:
        return WHOLE[subject][1]
    if subject in ("deny", "restore") and isinstance(after, dict):
        try:
            return deny_key(DenyKind(after["kind"]), str(after["value"]))[1]
        except (KeyError, ValueError):
            return None
    return None


def _state(item: Item) -> StoredState:
    stored = read_stored(item)
    return StoredState(stored.version, stored.document, stored.retired)


def _entry(item: Item) -> Entry:
    """Read an entry. An unreadable one becomes an empty entry, which breaks the chain."""
    try:
        return read_entry(item)
    except (ValueError, KeyError, RecursionError):
        return {}
