"""The table as the rest of the store sees it: consistent reads, ordered queries, all-or-nothing writes.

Every backend passes one contract suite. A call returns, or raises one of these failures. A write that raised
`Unavailable` may have been made, except for `InvalidWrite`: the idempotency record tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Key = tuple[str, str]
Item = Mapping[str, str | int]


class Unavailable(Exception):
    """The table did not answer: no connection, a timeout, a 5xx, or no permission. Contains the error's code."""


class InvalidWrite(Unavailable):
    """The table cannot store this: nothing was written, and a retry would fail the same way."""


class Throttled(Exception):
    """The table was too busy until the budget was spent."""


class Contended(Exception):
    """Another transaction used the same items at the same time; nothing was written."""


class ConditionFailed(Exception):
    """A condition did not hold; nothing was written."""


@dataclass(frozen=True, slots=True)
class Put:
    """Write a whole item, on a condition.

    `absent`: there is no such item. `equals`: an attribute has this value. `expired`: there is no such item, or its
    `expires` (Unix seconds) is not later than this.
    """

    item: Item
    absent: bool = False
    equals: tuple[str, str | int] | None = None
    expired: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Items in order, and where to continue (None at the end)."""

    items: tuple[Item, ...]
    next: str | None


class Table(Protocol):
    """One table with two string keys (`pk`, `sk`)."""

    @property
    def home(self) -> str:
        """What the head of this table must say: the table's name, and for a stack's functions, `@` and the stack.

        A copy of the table, such as one restored from a backup, has another name, account, Region, or stack.
        """

    def get(self, keys: Sequence[Key], *, spent: float = 0.0) -> dict[Key, Item]:
        """Strongly consistent reads of up to 100 items in one request. Missing items are left out.

        `spent` is how many seconds of the budget are already used. Raises `Throttled` if no attempt fits into the rest.
        """

    def query(self, pk: str, *, after: str = "", before: str | None = None, newest_first: bool = False,
              limit: int | None = None) -> Page:  # fmt: skip
        """Strongly consistent, ordered by `sk`, both ends exclusive: `limit` items, or what one response holds."""

    def write(self, puts: Sequence[Put]) -> None:
        """One transaction of up to 100 items: all are written, or none."""
