"""The store's port in memory: it keeps the guarantees of DynamoDB and no others.

Writes are atomic and their conditions exact. Reads are consistent only item by item: another write may happen
between two items of one read (`turn` is called there), and items are read in any `order`. `weather` decides the
fault of each call. Nothing here needs a thread, and one seed is one run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random

from headgate.store.port import ConditionFailed, Contended, Item, Key, Page, Put, Throttled, Unavailable


class Fault(Enum):
    """What can happen to a call."""

    CONTENDED = auto()  # a conflict with another transaction: nothing is written. Only for writes
    THROTTLED = auto()
    LOST_REQUEST = auto()  # the request never arrives
    LOST_ANSWER = auto()  # the call is done, the answer is lost
    CRASH_BEFORE = auto()  # the caller dies before the call
    CRASH_AFTER = auto()  # the caller dies after the call
    STALE = auto()  # an old state is read: never in DynamoDB's consistent reads; only to test the tests


class Crashed(BaseException):
    """The execution environment is gone."""


@dataclass(frozen=True)
class Call:
    """One call of the port."""

    number: int
    op: str
    keys: tuple[Key, ...]


Weather = Callable[[Call], Fault | None]


def clear(_call: Call) -> None:
    """No faults."""


def at(number: int, fault: Fault) -> Weather:
    """The fault at one call, counted from 0."""
    return lambda call: fault if call.number == number else None


def always(fault: Fault) -> Weather:
    """An outage."""
    return lambda _call: fault


def mixed(source: Random, chances: Mapping[Fault, float]) -> Weather:
    """Each fault with its probability, call by call."""

    def sky(_call: Call) -> Fault | None:
        thrown = source.random()
        for fault, likely in chances.items():
            thrown -= likely
            if thrown < 0:
                return fault
        return None

    return sky


class ReferenceTable:
    """A backend of `headgate.store.port.Table`. `page` bounds a query's answer, as DynamoDB's 1 MB does."""

    home = ""

    def __init__(self, *, page: int = 1_000) -> None:
        self.weather: Weather = clear
        self.turn: Callable[[], None] = lambda: None
        self.order: Callable[[Sequence[Key]], Iterable[Key]] = list
        self.calls: list[Call] = []
        self.written: tuple[Put, ...] = ()
        self.spent = 0.0
        self._page = page
        self._rows: dict[str, dict[str, Item]] = {}
        self._past: list[dict[Key, Item | None]] = []

    # -- the port

    def get(self, keys: Sequence[Key], *, spent: float = 0.0) -> dict[Key, Item]:
        """See `Table.get`. Reads take no time; `spent` is recorded."""
        self.spent = spent
        assert 0 < len(keys) <= 100
        assert len(set(keys)) == len(keys), "DynamoDB refuses duplicates"
        fault = self._before("get", keys)
        found = {}
        for pk, sk in self.order(keys):
            self.turn()
            item = (self._stale(pk) if fault is Fault.STALE else self._rows.get(pk, {})).get(sk)
            if item is not None:
                found[pk, sk] = item
        self._after(fault)
        return found

    def query(self, pk: str, *, after: str = "", before: str | None = None, newest_first: bool = False,
              limit: int | None = None) -> Page:  # fmt: skip
        """See `Table.query`."""
        fault = self._before("query", ((pk, after),))
        self.turn()
        rows = self._stale(pk) if fault is Fault.STALE else self._rows.get(pk, {})
        within = sorted(sk for sk in rows if sk > after and (before is None or sk < before))
        most = self._page if limit is None else min(limit, self._page)
        wanted = (within[::-1] if newest_first else within)[: most + 1]
        items = []
        for sk in wanted[:most]:
            self.turn()
            current = rows if fault is Fault.STALE else self._rows.get(pk, {})
            if sk in current:
                items.append(current[sk])
        self._after(fault)
        return Page(tuple(items), wanted[most - 1] if len(wanted) > most else None)

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        keys = [(str(put.item["pk"]), str(put.item["sk"])) for put in puts]
        assert 0 < len(puts) <= 100
        assert len(set(keys)) == len(keys), "DynamoDB refuses two writes of one item"
        fault = self._before("write", keys)
        self.turn()
        if fault is Fault.CONTENDED:
            raise Contended
        if not all(_holds(put, self._rows.get(pk, {}).get(sk)) for put, (pk, sk) in zip(puts, keys, strict=True)):
            raise ConditionFailed
        self.written = tuple(puts)
        self._past.append({(pk, sk): self._rows.get(pk, {}).get(sk) for pk, sk in keys})
        for put, (pk, sk) in zip(puts, keys, strict=True):
            self._rows.setdefault(pk, {})[sk] = dict(put.item)
        self._after(fault)

    def _before(self, op: str, keys: Iterable[Key]) -> Fault | None:
        call = Call(len(self.calls), op, tuple(keys))
        self.calls.append(call)
        fault = self.weather(call)
        if fault is Fault.CRASH_BEFORE:
            raise Crashed(call)
        if fault is Fault.THROTTLED:
            raise Throttled("injected")
        if fault is Fault.LOST_REQUEST:
            raise Unavailable("injected")
        return fault

    def _after(self, fault: Fault | None) -> None:
        if fault is Fault.LOST_ANSWER:
            raise Unavailable("injected, after it was done")
        if fault is Fault.CRASH_AFTER:
            raise Crashed

    def _stale(self, pk: str) -> dict[str, Item]:
        """The partition as it was one write ago."""
        rows = dict(self._rows.get(pk, {}))
        for (where, sk), item in (self._past[-1] if self._past else {}).items():
            if where == pk and item is None:
                rows.pop(sk, None)
            elif where == pk and item is not None:
                rows[sk] = item
        return rows

    # -- beyond the port: for tests to inspect and edit

    def partition(self, pk: str) -> dict[str, Item]:
        """The stored items of a partition; edits take effect."""
        return self._rows.setdefault(pk, {})

    def saved(self) -> dict[str, dict[str, Item]]:
        """A copy of everything."""
        return {pk: dict(rows) for pk, rows in self._rows.items()}

    def restore(self, backup: Mapping[str, Mapping[str, Item]]) -> None:
        """Replace everything with a copy."""
        self._rows = {pk: dict(rows) for pk, rows in backup.items()}

    def expire(self, now: float) -> int:
        """Delete items whose `expires` has passed, as DynamoDB's TTL does some time later; return how many."""
        gone = [(pk, sk) for pk, rows in self._rows.items() for sk, item in rows.items() if _is_past(item, now)]
        for pk, sk in gone:
            del self._rows[pk][sk]
        return len(gone)

    def count(self, op: str) -> int:
        """The number of calls of one kind."""
        return sum(call.op == op for call in self.calls)


class Overtaken(ReferenceTable):
    """Calls `before_write` once, before the next write."""

    before_write: Callable[[], object] | None = None

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        first, self.before_write = self.before_write, None
        if first is not None:
            first()
        super().write(puts)


class Unconditional(ReferenceTable):
    """A planted fault: writes ignore their conditions."""

    def write(self, puts: Sequence[Put]) -> None:
        """See `Table.write`."""
        super().write([replace(put, absent=False, equals=None, expired=None) for put in puts])


def _holds(put: Put, held: Item | None) -> bool:
    if put.absent:
        return held is None
    if put.equals is not None:
        name, value = put.equals
        return held is not None and type(held.get(name)) is type(value) and held[name] == value
    if put.expired is not None:
        return held is None or _is_past(held, put.expired)
    return True


def _is_past(item: Item, now: float) -> bool:
    expires = item.get("expires")
    return isinstance(expires, int) and expires <= now
