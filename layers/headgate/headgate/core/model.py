"""The gate's types, all frozen. Documents are parsed into them once and never validated again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

Json = Any  # what `json.loads` returns
NOTHING: Mapping[str, Any] = MappingProxyType({})


def nothing() -> Mapping[str, Any]:
    """The default of every mapping here: one empty, shared, read-only mapping."""
    return NOTHING


class Stage(StrEnum):
    """How far a flag is open. Each stage keeps everyone that the earlier one let in."""

    ADMIN_ONLY = "admin_only"
    ALLOWLIST = "allowlist"
    PERCENTAGE = "percentage"
    GA = "ga"


STAGES = tuple(Stage)
"""In the order in which they open a flag."""


class Unit(StrEnum):
    """What a percentage counts."""

    USER = "user"
    ORG = "org"
    ORG_OR_USER = "org_or_user"


class Algorithm(StrEnum):
    """How an id is mapped to a bucket. Stored with the flag, so that a bucket never moves."""

    SHA256_V1 = "sha256-v1"
    POSTHOG_V1 = "posthog-v1"


class Reach(StrEnum):
    """How far a kill goes: new access only, sessions at a given time, or sessions at once."""

    GATE = "gate"
    DRAIN = "drain"
    SEVER = "sever"

    @property
    def rank(self) -> int:
        """0 for `gate` up to 2 for `sever`."""
        return list(Reach).index(self)


@dataclass(frozen=True, slots=True)
class Clause:
    """One test of one attribute. `core.clauses` has the operators."""

    attribute: str
    op: str
    value: Json = None
    kind: str = "number"


@dataclass(frozen=True, slots=True)
class Rule:
    """Holds if all clauses hold."""

    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Allow:
    """Who is listed: users and orgs by id (byte for byte, never mixed), or anyone for whom a rule holds."""

    users: frozenset[str] = frozenset()
    orgs: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class LongList:
    """The part of a list that is in member items: how many there are, and when each import took effect.

    `imports` holds (ordinal, revision), oldest first. `changed` describes the last change to member items. `since` is
    the revision at which the list started again, empty, because it could not be read.
    """

    users: int = 0
    orgs: int = 0
    imports: tuple[tuple[int, int], ...] = ()
    changed: Mapping[str, Json] = field(default_factory=nothing)
    since: int = 0


@dataclass(frozen=True, slots=True)
class Kill:
    """The switch on top of the stage. `drain_until` is an RFC 3339 time, set only for reach `drain`."""

    reach: Reach
    reason: str
    at: str
    by: str
    drain_until: str | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A named gate. `steps` is `percent` in thousandths (0 to 100,000).

    `hash_key` is what `posthog-v1` hashes in place of the key.
    """

    key: str
    salt: str = field(repr=False)
    description: str = ""
    owner: str = ""
    stage: Stage = Stage.ADMIN_ONLY
    steps: int = 0
    unit: Unit = Unit.USER
    algorithm: Algorithm = Algorithm.SHA256_V1
    hash_key: str | None = None
    requires: tuple[str, ...] = ()
    allow: Allow = Allow()
    on: Json = True
    off: Json = False
    claim: str | None = None
    killed: Kill | None = None
    version: int = 1
    revision: int = 0
    updated_at: str = ""
    updated_by: str = ""
    members: LongList | None = None
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is asking, always from a verified credential.

    `acting_org` is the one of `orgs` that the request is for, or None. With it, lists, rules on the attribute `orgs`,
    and shares see that org alone. `orgs_cut` means that there are orgs beyond `orgs`.
    `listed` names the flags whose long list (member items) this subject is on, as far as they were looked up.
    """

    user: str | None = None
    orgs: tuple[str, ...] = ()
    admin: bool = False
    attributes: Mapping[str, Json] = field(default_factory=nothing)
    acting_org: str | None = None
    listed: frozenset[str] = frozenset()
    orgs_cut: bool = False


class RouteClass(StrEnum):
    """What a route does, and so which credential passes."""

    ENTRY = "entry"
    CONTINUE = "continue"
    OBSERVE = "observe"
    STOP = "stop"
    MACHINE = "machine"
    ADMIN = "admin"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class RoutePolicy:
    """What one route requires. `name` is a route key (`POST /orders`) or a procedure (`orders.create`)."""

    name: str
    route_class: RouteClass = RouteClass.ENTRY
    flags: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    procedure: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """What the manifest says about tokens: access flag, `max_stale` and `lifetime` in seconds, added claims."""

    access: str | None = None
    max_stale: int = 60
    lifetime: int = 300
    claims: Mapping[str, Json] = field(default_factory=nothing)
    version: int = 0


class Reason(StrEnum):
    """The reason for a decision."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PREREQUISITE_FAILED = "PREREQUISITE_FAILED"
    ADMIN = "ADMIN"
    KILLED = "KILLED"
    ADMIN_ONLY = "ADMIN_ONLY"
    ALLOWLIST = "ALLOWLIST"
    NOT_LISTED = "NOT_LISTED"
    SPLIT = "SPLIT"
    GA = "GA"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one flag and one subject, with the revision of the rules it was made under."""

    value: bool
    reason: Reason
    flag: str
    revision: int


Test = Callable[[Subject], bool]
Evaluator = Callable[[Subject], Decision]
"""The whole decision of one flag, compiled."""
