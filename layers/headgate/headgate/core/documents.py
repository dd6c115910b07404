"""JSON documents: read with a path to every fault, written in one canonical form. Times as text."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from headgate.core import limits
from headgate.core.model import Json

E = TypeVar("E", bound=StrEnum)


class Invalid(ValueError):
    """The whole document is refused. `faults` lists (path, message) pairs, never a value from the document."""

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{path}: {message}" for path, message in self.faults))


class Reader:
    """Reads members of one JSON object and collects all faults."""

    def __init__(self, document: Json, path: str = "", *, known: Iterable[str] | None = None) -> None:
        self.path = path
        self.faults: list[tuple[str, str]] = []
        self.members: dict[str, Json] = {}
        if not isinstance(document, dict):
            self.fault("", "must be an object")
            return
        self.members = document
        if known is not None:
            for name in document.keys() - set(known):
                self.fault(name if len(name) <= 64 else "", "unknown member")

    def at(self, name: str) -> str:
        """The path of a member of this object."""
        return ".".join(part for part in (self.path, name) if part)

    def fault(self, name: str, message: str) -> None:
        """Record a fault at a member of this object."""
        self.faults.append((self.at(name) or "$", message))

    def absorb(self, other: "Reader") -> None:
        """Add the faults of a nested object's reader."""
        self.faults.extend(other.faults)

    def check(self) -> None:
        """Raise `Invalid` if there are faults."""
        if self.faults:
            raise Invalid(self.faults)

    def text(self, name: str, *, default: str | None = None, limit: int = 1_024, blank: bool = True) -> str:
        """A string of at most `limit` bytes without control characters; required if there is no default."""
        value = self.members.get(name, default)
        if not isinstance(value, str):
            self.fault(name, "must be a string")
            return ""
        if not is_plain(value) or len(value.encode("utf-8", "replace")) > limit:
            self.fault(name, f"must be at most {limit} bytes and contain no control characters")
        elif not blank and not value.strip():
            self.fault(name, "must not be blank")
        return value

    def choice(self, name: str, options: type[E], default: E | None = None) -> E:
        """A value of the enumeration."""
        value = self.members.get(name, default)
        if isinstance(value, str) and value in {option.value for option in options}:
            return options(value)
        self.fault(name, "must be one of " + ", ".join(option.value for option in options))
        return next(iter(options))

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """An integer from `low` to `high`. A boolean is not an integer."""
        value = self.members.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(name, f"must be a whole number from {low} to {high}")
            return default
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A JSON boolean."""
        value = self.members.get(name, default)
        if not isinstance(value, bool):
            self.fault(name, "must be true or false")
            return default
        return value

    def strings(self, name: str, *, limit: int, accept: Callable[[str], bool], what: str) -> tuple[str, ...]:
        """A list of distinct strings that pass `accept`; `what` describes them in the fault."""
        value = self.members.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fault(name, "must be a list of strings")
            return ()
        if len(value) > limit:
            self.fault(name, f"must have at most {limit} items")
        elif len(set(value)) != len(value):
            self.fault(name, "must not list an item twice")
        elif not all(accept(item) for item in value):
            self.fault(name, f"must contain only {what}")
        return tuple(value)

    def objects(self, name: str, limit: int) -> list[Json]:
        """A list of at most `limit` items of any type. The caller reads each item."""
        value = self.members.get(name, [])
        if not isinstance(value, list) or len(value) > limit:
            self.fault(name, f"must be a list of at most {limit} items")
            return []
        return value


def canonical(value: Any) -> str:
    """Return the canonical JSON of a value: sorted members, no whitespace."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def is_key(text: str) -> bool:
    """Whether this is a well-formed flag key."""
    return limits.KEY.fullmatch(text) is not None


def is_plain(text: str) -> bool:
    """Whether the text has no control characters and no lone surrogates: safe to store, hash, and print on one line."""
    return all(
        ch >= " "
        and ch != "\x7f"
        and not "\x80" <= ch <= "\x9f"
        and not "\ud800" <= ch <= "\udfff"
        and ch not in "\u2028\u2029"
        for ch in text
    )


def refuse(path: str, message: str) -> NoReturn:
    """Raise `Invalid` with one fault."""
    raise Invalid([(path, message)])


def rfc3339(seconds: float) -> str:
    """Format Unix seconds as RFC 3339 text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d:)([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def unix(text: str) -> float:
    """Parse RFC 3339 text into Unix seconds. Second 60, a leap second, counts as the second after it.

    Raises `ValueError` if it is not a time with an offset.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time with an offset")
    day, minute, second, fraction, offset = match.groups("")
    is_leap = second == "60"
    moment = datetime.fromisoformat(f"{day}T{minute}{'59' if is_leap else second}{fraction}{offset.upper()}")
    return moment.timestamp() + is_leap
