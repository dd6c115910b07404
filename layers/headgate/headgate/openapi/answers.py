"""What the functions answer, as models: nothing is built from them, they describe. A test holds every answer to them.

Members with `ABSENT` may be left out; all others are always there.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from headgate.core.keyring import KeyState
from headgate.core.model import Algorithm, Reach, Reason, RouteClass, Stage, Unit
from headgate.openapi.audit import Head
from headgate.openapi.lists import LongList
from headgate.openapi.parts import ABSENT, JSON, Answer, Count, Digest, Key, Next, Time, named


class Killed(Answer):
    """The switch over the stage; `drain_until` exactly with reach `drain`."""

    reach: Reach
    reason: str
    at: str
    by: str
    drain_until: Time = ABSENT


class Allow(Answer):
    """Who is listed."""

    users: list[Annotated[str, named("Member")]]
    orgs: list[Annotated[str, named("Member")]]
    rules: list[Annotated[Any, named("Rule")]]


class Values(Answer):
    """What clients that want a value get."""

    on: JSON
    off: JSON


class Flag(Answer):
    """A named gate."""

    key: Key
    description: str
    owner: str
    stage: Stage
    percent: Annotated[float, Field(ge=0, le=100)]
    unit: Unit
    algorithm: Algorithm
    salt: str
    requires: list[Key]
    allow: Allow
    values: Values
    claim: str | None
    killed: Killed | None
    version: Count
    revision: Count
    updated_at: str
    updated_by: str
    members: LongList = ABSENT


class ListedFlag(Flag):
    """The flag after a change of its list, and how many came and went."""

    added: Count
    removed: Count


class KilledFlag(Flag):
    """The flag after the kill, and who is inside still; nulls where that could not be told in time."""

    sessions_inside: Count | None
    last_leaves_at: Time | None


class FlagPage(Answer):
    """Flags, sorted by key."""

    flags: list[Flag]
    revision: Count
    next: Next


class MemberCounts(Answer):
    """How many are listed."""

    users: Count
    orgs: Count


class MemberPage(Answer):
    """Ids on a flag's list, each once; those inside the flag first, sorted."""

    kind: Literal["user", "org"]
    members: list[Annotated[str, named("Member")]]
    counts: MemberCounts
    next: Next


class RoutePolicy(Answer):
    """What a worker route needs: `route` or `procedure` names it."""

    route: str = ABSENT
    procedure: str = ABSENT
    class_: Annotated[RouteClass, Field(alias="class")]
    flags: list[Key] = ABSENT
    asks: list[Key] = ABSENT


class Routes(Answer):
    """Every route policy."""

    routes: list[RoutePolicy]
    version: Count
    revision: Count


class ExplainedStep(Answer):
    """One step of a decision; `reason` is null where it was passed on."""

    flag: str
    step: str
    outcome: Literal["passed on", "on", "off"]
    reason: Reason | None


class Explanation(Answer):
    """The decision with each step."""

    flag: Key
    value: bool
    reason: Reason
    revision: Count
    steps: list[ExplainedStep]


class Revoked(Answer):
    """What was issued up to `at` is refused."""

    kind: Literal["subject", "jti"]
    at: Time
    revision: Count


class Session(Answer):
    """Admitted work that lives. `id` is the record's, made here."""

    id: Digest
    subject: str
    session_id: str
    started_at: Time
    expires_at: Time


class SessionCounts(Answer):
    """How many are inside, and when the last must leave; nulls above what one call counts."""

    inside: Count | None
    last_leaves_at: Time | None


class SessionPage(Answer):
    """Live sessions."""

    sessions: list[Session]
    counts: SessionCounts
    next: Next


class SigningKey(Answer):
    """A signing key of the pool; nulls for one that was never moved."""

    kid: str
    state: KeyState
    since: Time | None
    age_seconds: int | None


class Keys(Answer):
    """The signing keys in use."""

    keys: list[SigningKey]
    revision: Count


class Health(Answer):
    """What an operator should look at."""

    status: Literal["ok", "degraded"]
    missing_flags: list[str]
    quarantined_flags: list[str]
    stale_flags: list[str]
    keys: list[SigningKey]
    killed_flags: dict[str, str]
    head: Head
    revision: Count


class Document(Answer):
    """This document."""

    openapi: str
    info: JSON
    servers: JSON
    paths: JSON
    components: JSON
