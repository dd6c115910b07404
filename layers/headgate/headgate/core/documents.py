"""JSON documents: read with every fault found, each with its path; written in one way. Times as text."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from headgate.core import limits
from headgate.core.model import Json

E = TypeVar("E", bound=StrEnum)


class Invalid(ValueError):
    """The document is refused whole. `faults` lists (path, message), never a value from the document."""

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{path}: {message}" for path, message in self.faults))


class Reader:
    """Reads members of one JSON object, collecting faults instead of stopping at the first."""

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

    def fault(self, name: str, message: str) -> None:
        """Record a fault at a member of this object."""
        self.faults.append((".".join(part for part in (self.path, name) if part) or "$", message))

    def absorb(self, other: "Reader") -> None:
        """Take over the faults of a reader of a nested object."""
        self.faults.extend(other.faults)

    def check(self) -> None:
        """Raise `Invalid` if anything was wrong."""
        if self.faults:
            raise Invalid(self.faults)

    def text(self, name: str, *, default: str | None = None, limit: int = 1_024, blank: bool = True) -> str:
        """A string of at most `limit` bytes without control characters; required when there is no default."""
        value = self.members.get(name, default)
        if not isinstance(value, str):
            self.fault(name, "must be a string")
            return ""
        if not is_plain(value) or len(value.encode("utf-8", "replace")) > limit:
            self.fault(name, f"must be at most {limit} bytes without control characters")
        elif not blank and not value.strip():
            self.fault(name, "must not be blank")
        return value

    def choice(self, name: str, options: type[E], default: E | None = None) -> E:
        """One of an enumeration's values."""
        value = self.members.get(name, default)
        if isinstance(value, str) and value in {option.value for option in options}:
            return options(value)
        self.fault(name, "must be one of " + ", ".join(option.value for option in options))
        return next(iter(options))

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """An integer between two bounds; a boolean is not one."""
        value = self.members.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(name, f"must be a whole number from {low} to {high}")
            return default
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A JSON boolean, strictly."""
        value = self.members.get(name, default)
        if not isinstance(value, bool):
            self.fault(name, "must be true or false")
            return default
        return value

    def strings(self, name: str, *, limit: int, accept: Callable[[str], bool], what: str) -> tuple[str, ...]:
        """A list of distinct strings, each accepted by `accept`."""
        value = self.members.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fault(name, "must be a list of strings")
            return ()
        if len(value) > limit:
            self.fault(name, f"must hold at most {limit} items")
        elif len(set(value)) != len(value):
            self.fault(name, "must not repeat an item")
        elif not all(accept(item) for item in value):
            self.fault(name, f"must hold {what}")
        return tuple(value)

    def objects(self, name: str, limit: int) -> list[Json]:
        """A list of anything, bounded; the caller reads each item."""
        value = self.members.get(name, [])
        if not isinstance(value, list) or len(value) > limit:
            self.fault(name, f"must be a list of at most {limit} items")
            return []
        return value


def canonical(value: Any) -> str:
    """The one way to write a JSON value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def is_key(text: str) -> bool:
    """Whether this is a well-formed flag key."""
    return limits.KEY.fullmatch(text) is not None


def is_plain(text: str) -> bool:
    """No control characters, no lone surrogates: safe to store, to hash and to print on one line."""
    return all(
        ch >= " "
        and ch != "\x7f"
        and not "\x80" <= ch <= "\x9f"
        and not "\ud800" <= ch <= "\udfff"
        and ch not in "\u2028\u2029"
        for ch in text
    )


def refuse(path: str, message: str) -> NoReturn:
    """Refuse a document for one fault."""
    raise Invalid([(path, message)])


def rfc3339(seconds: float) -> str:
    """Unix seconds as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """RFC 3339 text as Unix seconds. Raises `ValueError` when it is not a time with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return moment.timestamp()
