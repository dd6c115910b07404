"""Why the admin API refuses a call: the closed set of reasons, and the one exception that carries one.

A plan returns a change or raises: `Refusal` for what the rules forbid, `documents.Invalid` for an invalid body.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from headgate.core.model import Json


class Slug(StrEnum):
    """The last part of the problem's type, `urn:headgate:<slug>`. `edge.problems` has its status and title."""

    INVALID_JSON = "invalid-json"
    INVALID_BODY = "invalid-body"
    INVALID_CURSOR = "invalid-cursor"
    INVALID_FLAG_KEY = "invalid-flag-key"
    KEY_REQUIRED = "idempotency-key-required"
    MISSING_CONTEXT = "missing-context"
    FORBIDDEN = "forbidden"
    UNKNOWN_FLAG = "unknown-flag"
    NOT_FOUND = "not-found"
    EXISTS = "exists"
    RETIRED = "key-retired"
    CANNOT_ROTATE = "cannot-rotate"
    CHAIN_BROKEN = "chain-broken"
    UNKNOWN_IMPORT = "unknown-import"
    IMPORT_OPEN = "import-open"
    IMPORT_CLOSED = "import-closed"
    IMPORT_DIFFERS = "import-differs"
    IMPORTS_SPENT = "imports-spent"
    WOULD_SHRINK = "would-shrink"
    WOULD_OPEN = "would-open"
    ACCESS_KILLED = "access-killed"
    PRECONDITION_FAILED = "precondition-failed"
    TOO_LARGE = "too-large"
    KEY_REUSED = "idempotency-key-reused"
    PRECONDITION_REQUIRED = "precondition-required"
    INTERNAL = "internal"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


class Refusal(Exception):
    """The call is refused and nothing was changed.

    `faults` are pairs of a path and a message. `version` is the current version where a precondition failed. `members`
    are added to the problem as they are.
    """

    def __init__(self, slug: Slug, detail: str = "", *, faults: tuple[tuple[str, str], ...] = (),
                 version: int | None = None, members: Mapping[str, Json] | None = None) -> None:  # fmt: skip
        super().__init__(slug.value)
        self.slug, self.detail, self.faults, self.version, self.members = slug, detail, faults, version, members or {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a change takes access away or opens a route. `target` and `key` say what it is part of, as in `PlanStep`;
    `path` is the member, and `message` says what happens there.
    """

    target: str
    key: str | None
    path: str
    message: str
