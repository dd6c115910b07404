"""The snapshot in the execution environment: how fresh it is, and what is served when the table does not answer.

- `live`: one strongly consistent read of the head in this very request (mint, and every live decision).
- `soft`: at most one refresh in 4 to 5 s, within a request, before answering (evaluate, and everything else).

When the table does not answer, the last known snapshot is `stale` up to the manifest's `max_stale`, then `expired`: the
caller denies non-admins. A throttle is not an outage: for a live decision the snapshot is `expired` at once, since
otherwise a flood could buy stale grants. After a failed read, a breaker spares soft refreshes the wait for another one;
a live decision always tries its read, since the table may answer again. Every bound is counted from the start of the
last read of the head, because what is committed later may be missing. Times are wall clock, since a frozen environment
does not advance a monotonic clock. There are no threads.

A head that was written for another table or stack (`Table.home`) is that of a restored table: until it is confirmed,
only admins are let in (`unconfirmed`).
"""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any, Protocol

from headgate.core.audit import is_sealed
from headgate.core.emergency import NO_EMERGENCY, Emergency
from headgate.core.listing import Listing
from headgate.core.model import Subject
from headgate.core.snapshot import Snapshot, apply_entries, unconfirmed, with_kills
from headgate.store.items import (
    AUDIT,
    DENIALS,
    HEAD_KEY,
    RULES,
    Head,
    audit_sk,
    every_item,
    head_of,
    read_entry,
    read_head,
)
from headgate.store.memberships import Lists
from headgate.store.port import Item, Key, Table, Throttled, Unavailable
from headgate.store.rules import build

SOFT_TTL, SOFT_JITTER = 5.0, 1.0
"""Seconds from the start of one refresh to the next: 4 to 5. Jitter only shortens it, so that 5 s is a promise."""
BREAKER = 1.5
"""Seconds without another soft refresh or list read after a failed read."""
DELTA_LIMIT = 100
"""Revisions to catch up entry by entry. Further behind, a whole load is cheaper."""


class Standing(StrEnum):
    """How far a view can be trusted."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class View:
    """A snapshot with its standing, and the items read together with the head. `as_of`: when that read began."""

    snapshot: Snapshot
    standing: Standing
    items: Mapping[Key, Item] = field(default_factory=dict)
    as_of: float = 0.0

    @property
    def revision(self) -> int:
        """The revision of decisions on this view."""
        return self.snapshot.rules.revision


class Gap(Exception):
    """The audit entries do not connect to the head, so the rules must be loaded whole."""


class Watch(Protocol):
    """An observer, such as an alarm or a client's events."""

    def changed(self, snapshot: Snapshot) -> None:
        """The held rules were replaced by these."""

    def failed(self, failure: Exception, age: float | None = None, /) -> None:
        """The table did not answer, or its entries could not be followed. `age`: of the held rules, in seconds."""


class Snapshots:
    """One per execution environment. `as_stored`: operators see the rules of an unconfirmed table as they are."""

    def __init__(
        self, table: Table, *, watch: Watch | None = None, emergency: Emergency = NO_EMERGENCY, as_stored: bool = False,
        clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._table, self._watch, self._clock, self._jitter = table, watch, clock, jitter
        self._emergency, self._unknown = emergency, emergency.unknown
        self._laid: tuple[Snapshot, bool, Snapshot] | None = None
        self._as_stored, self._confirmed = as_stored, True
        self._known: tuple[Snapshot, Head] | None = None  # one attribute: a thread never pairs rules with another head
        self._killed: Mapping[str, str] = {}
        self._lists = Lists(clock)
        self._checked = self._due = self._shut_until = self._began = 0.0

    @property
    def held(self) -> Snapshot | None:
        """The held snapshot, however old; None before the first load."""
        return None if self._known is None else self._known[0]

    @property
    def is_due(self) -> bool:
        """Whether the next `soft` will read."""
        return self._known is None or not self._checked <= self._clock() < self._due

    def live(self, *keys: Key) -> View:
        """The snapshot at the head's revision as of now. `keys` are read in the same request."""
        self._began = began = self._clock()
        return self._served(self._live(keys, began))

    def _live(self, keys: tuple[Key, ...], began: float) -> View:
        try:
            items = self._try((HEAD_KEY, *keys))
            head = read_head(items.get(HEAD_KEY))
        except Throttled as failure:
            self._failed(failure)
            return View(self._with_kills(self.held or self._unknown), Standing.EXPIRED)
        except Unavailable as failure:
            return self._last_known(failure)
        return View(*self._follow(head, began, is_live=True), items, self._checked)

    def soft(self) -> View:
        """The snapshot as of at most 5 s ago."""
        self._began = began = self._clock()
        return self._served(self._soft(began))

    def _soft(self, began: float) -> View:
        if self._known is not None and not self.is_due:
            return View(self._with_kills(self._known[0]), Standing.FRESH, as_of=self._checked)
        try:
            head = read_head(self._read((HEAD_KEY,)).get(HEAD_KEY))
        except (Throttled, Unavailable) as failure:
            return self._last_known(failure)
        return View(*self._follow(head, began), as_of=self._checked)

    def beside(self, snapshot: Snapshot) -> View:
        """A view of other rules, such as past ones. Reads for it have the store's whole budget."""
        self._began = self._clock()
        return View(snapshot, Standing.FRESH)

    def with_lists(self, view: View, subject: Subject, keys: Iterable[str]) -> Listing:
        """Return the subject with the long lists it is on. Uncached ones are read in the view's remaining budget."""
        return self.with_lists_of_each(view, (subject,), keys)[0]

    def with_lists_of_each(self, view: View, subjects: Sequence[Subject], keys: Iterable[str]) -> list[Listing]:
        """As `with_lists`, for several subjects, with the same reads for all."""
        if view.standing is Standing.EXPIRED or not view.snapshot.rules.long:  # lists admit nobody, or none is long
            return [Listing(subject) for subject in subjects]
        return self._lists.of(view.snapshot.rules, subjects, keys, self._read_lists)

    def _read_lists(self, keys: tuple[Key, ...]) -> dict[Key, Item]:
        try:
            return self._read(keys, spent=max(0.0, self._clock() - self._began))
        except (Throttled, Unavailable) as failure:
            self._failed(failure)
            raise

    def _read(self, keys: tuple[Key, ...], spent: float = 0.0) -> dict[Key, Item]:
        now = self._clock()
        if now < self._shut_until <= now + BREAKER:
            raise Unavailable("breaker")
        return self._try(keys, spent)

    def _try(self, keys: tuple[Key, ...], spent: float = 0.0) -> dict[Key, Item]:
        """Read, whatever the breaker says. The outcome shuts or opens it."""
        try:
            items = self._table.get(keys, spent=spent)
        except Unavailable:
            self._shut_until = self._clock() + BREAKER
            raise
        self._shut_until = 0.0
        return items

    def _failed(self, failure: Exception) -> None:
        if self._watch is not None:
            age = None if self._known is None else max(0.0, self._clock() - self._checked)
            self._watch.failed(failure, age)

    def _last_known(self, failure: Exception) -> View:
        self._failed(failure)
        held = self.held
        if held is None:
            return View(self._unknown, Standing.EXPIRED)
        age = self._clock() - self._checked
        standing = Standing.STALE if 0 <= age < held.profile.max_stale else Standing.EXPIRED
        return View(self._with_kills(held), standing, as_of=self._checked)

    def _served(self, view: View) -> View:
        """The view to serve. The held rules stay as the table has them, since the next ones are built on them."""
        confirmed = self._confirmed
        if confirmed and not self._emergency.flags:
            return view
        laid = self._laid
        if laid is None or laid[0] is not view.snapshot or laid[1] is not confirmed:
            over = self._emergency.laid_over(view.snapshot) if self._emergency.flags else view.snapshot
            self._laid = laid = (view.snapshot, confirmed, over if confirmed else unconfirmed(over))
        return replace(view, snapshot=laid[2])

    def _with_kills(self, snapshot: Snapshot) -> Snapshot:
        """Apply the kills of a newer head that was read but could not be followed, so that none is forgotten."""
        return with_kills(snapshot, self._killed) if self._killed else snapshot

    def _follow(self, head: Head, began: float, *, is_live: bool = False) -> tuple[Snapshot, Standing]:
        """Bring the snapshot to the head. If that fails, at least the head's kills apply.

        For a live decision, a throttle here expires it, too: the head shows that the held rules are not the newest.
        """
        known = self._known
        if known is not None and (known[1].revision, known[1].digest) == (head.revision, head.digest):
            return self._keep(known[0], head, began), Standing.FRESH
        try:
            return self._keep(*self._catch_up(head), began), Standing.FRESH
        except (Throttled, Unavailable, Gap) as failure:
            self._killed, self._confirmed = head.killed, self._is_confirmed(head)
            last = self._last_known(failure)
            throttled = is_live and isinstance(failure, Throttled)
            # again, since another thread may have kept an older head in between
            return with_kills(last.snapshot, head.killed), Standing.EXPIRED if throttled else last.standing

    def _keep(self, snapshot: Snapshot, head: Head, began: float) -> Snapshot:
        if self._watch is not None and snapshot is not self.held:
            self._watch.changed(snapshot)
        self._known, self._killed, self._confirmed = (snapshot, head), {}, self._is_confirmed(head)
        self._checked = began
        self._due = self._checked + SOFT_TTL - SOFT_JITTER * self._jitter()
        return snapshot

    def _is_confirmed(self, head: Head) -> bool:
        return self._as_stored or head.is_at(self._table.home)

    def _catch_up(self, head: Head) -> tuple[Snapshot, Head]:
        if self._known is not None:
            held, known = self._known
            try:
                if 0 < head.revision - known.revision <= DELTA_LIMIT:
                    return apply_entries(held, self._entries(known.revision, known.digest, head)), head
            except Gap:
                pass
        return self._load_whole(head)

    def _load_whole(self, head: Head) -> tuple[Snapshot, Head]:
        """Load the rules, then the head again. Changes made in between are in the entries between the two heads.

        The head's kills apply whatever the rules say, even if those are damaged or too old.
        """
        for _attempt in range(3):
            items = [item for pk in (RULES, DENIALS) for item in every_item(self._table, pk)]
            newer = head_of(self._table)
            try:
                entries = self._entries(head.revision, head.digest, newer)
            except Gap:
                head = newer
                continue
            return with_kills(apply_entries(build(items, head.revision), entries), newer.killed), newer
        raise Gap

    def _entries(self, after: int, digest: str, head: Head) -> list[dict[str, Any]]:
        """Return the entries after a revision up to the head, each linked to the one before. Raises `Gap`."""
        if head.revision == after and head.digest == digest:
            return []
        entries: list[dict[str, Any]] = []
        cursor: str | None = audit_sk(after)
        while cursor is not None and len(entries) < head.revision - after:
            page = self._table.query(AUDIT, after=cursor, before=audit_sk(head.revision + 1))
            try:
                entries.extend(read_entry(item) for item in page.items)
            except (ValueError, KeyError, RecursionError):
                raise Gap from None
            cursor = page.next
        if not all(map(is_sealed, entries)):  # an edited entry is not followed
            raise Gap
        links = [{"revision": after, "digest": digest}, *entries]
        linked = all(
            new["revision"] == old["revision"] + 1 and new["prev"] == old["digest"] for old, new in pairwise(links)
        )
        if not linked or (links[-1]["revision"], links[-1]["digest"]) != (head.revision, head.digest):
            raise Gap
        return entries
