"""What the functions answer, as models: nothing is built from them, they describe. A test holds every answer to them.

Members with `ABSENT` may be left out; all others are always there.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from headgate.core.keyring import KeyState
from headgate.core.model import Algorithm, Reach, Reason, RouteClass, Stage, Unit
from headgate.openapi.audit import HeadSchema
from headgate.openapi.lists import LongListSchema
from headgate.openapi.parts import ABSENT, JSON, AnswerSchema, Count, Digest, FlagKeyText, Next, Time, named


class KilledSchema(AnswerSchema):
    """The switch over the stage; `drain_until` exactly with reach `drain`."""

    reach: Reach
    reason: str
    at: str
    by: str
    drain_until: Time = ABSENT


class AllowSchema(AnswerSchema):
    """Who is listed."""

    users: list[Annotated[str, named("Member")]]
    orgs: list[Annotated[str, named("Member")]]
    rules: list[Annotated[Any, named("Rule")]]


class ValuesSchema(AnswerSchema):
    """What clients that want a value get."""

    on: JSON
    off: JSON


class FlagSchema(AnswerSchema):
    """A named gate."""

    key: FlagKeyText
    description: str
    owner: str
    stage: Stage
    percent: Annotated[float, Field(ge=0, le=100)]
    unit: Unit
    algorithm: Algorithm
    salt: str
    requires: list[FlagKeyText]
    allow: AllowSchema
    values: ValuesSchema
    claim: str | None
    killed: KilledSchema | None
    version: Count
    revision: Count
    updated_at: str
    updated_by: str
    members: LongListSchema = ABSENT


class ListedFlagSchema(FlagSchema):
    """The flag after a change of its list, and how many came and went."""

    added: Count
    removed: Count


class KilledFlagSchema(FlagSchema):
    """The flag after the kill, and who is inside still; nulls where that could not be told in time."""

    sessions_inside: Count | None
    last_leaves_at: Time | None


class FlagPageSchema(AnswerSchema):
    """Flags, sorted by key."""

    flags: list[FlagSchema]
    revision: Count
    next: Next


class MemberCountsSchema(AnswerSchema):
    """How many are listed."""

    users: Count
    orgs: Count


class MemberPageSchema(AnswerSchema):
    """Ids on a flag's list, each once; those inside the flag first, sorted."""

    kind: Literal["user", "org"]
    members: list[Annotated[str, named("Member")]]
    counts: MemberCountsSchema
    next: Next


class RoutePolicySchema(AnswerSchema):
    """What a worker route needs: `route` or `procedure` names it."""

    route: str = ABSENT
    procedure: str = ABSENT
    class_: Annotated[RouteClass, Field(alias="class")]
    flags: list[FlagKeyText] = ABSENT
    asks: list[FlagKeyText] = ABSENT


class RoutesSchema(AnswerSchema):
    """Every route policy."""

    routes: list[RoutePolicySchema]
    version: Count
    revision: Count


class ExplainedStepSchema(AnswerSchema):
    """One step of a decision; `reason` is null where it was passed on."""

    flag: str
    step: str
    outcome: Literal["passed on", "on", "off"]
    reason: Reason | None


class ExplanationSchema(AnswerSchema):
    """The decision with each step."""

    flag: FlagKeyText
    value: bool
    reason: Reason
    revision: Count
    steps: list[ExplainedStepSchema]


class RevokedSchema(AnswerSchema):
    """What was issued up to `at` is refused."""

    kind: Literal["subject", "jti"]
    at: Time
    revision: Count


class SessionSchema(AnswerSchema):
    """Admitted work that lives. `id` is the record's, made here."""

    id: Digest
    subject: str
    session_id: str
    started_at: Time
    expires_at: Time


class SessionCountsSchema(AnswerSchema):
    """How many are inside, and when the last must leave; nulls above what one call counts."""

    inside: Count | None
    last_leaves_at: Time | None


class SessionPageSchema(AnswerSchema):
    """Live sessions."""

    sessions: list[SessionSchema]
    counts: SessionCountsSchema
    next: Next


class SigningKeySchema(AnswerSchema):
    """A signing key of the pool; nulls for one that was never moved."""

    kid: str
    state: KeyState
    since: Time | None
    age_seconds: int | None


class KeysSchema(AnswerSchema):
    """The signing keys in use."""

    keys: list[SigningKeySchema]
    revision: Count


class HealthSchema(AnswerSchema):
    """What an operator should look at."""

    status: Literal["ok", "degraded"]
    missing_flags: list[str]
    quarantined_flags: list[str]
    stale_flags: list[str]
    keys: list[SigningKeySchema]
    killed_flags: dict[str, str]
    head: HeadSchema
    revision: Count


class DocumentSchema(AnswerSchema):
    """This document."""

    openapi: str
    info: JSON
    servers: JSON
    paths: JSON
    components: JSON
