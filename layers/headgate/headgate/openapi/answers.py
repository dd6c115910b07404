"""Models of the responses, for the document only: no response is built from them. A test checks every response.

Members with `ABSENT` are optional; all others are always present.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from headgate.core.keyring import KeyState
from headgate.core.model import Algorithm, Reach, Reason, RouteClass, Stage, Unit
from headgate.openapi.audit import HeadSchema
from headgate.openapi.lists import LongListSchema
from headgate.openapi.parts import ABSENT, JSON, AnswerSchema, Count, Digest, FlagKeyText, Next, Time, named


class KilledSchema(AnswerSchema):
    """A kill. `drain_until` is present only with reach `drain`."""

    reach: Reach
    reason: str
    at: str
    by: str
    drain_until: Time = ABSENT


class AllowSchema(AnswerSchema):
    """The ids and rules that are let in at stage `allowlist`."""

    users: list[Annotated[str, named("Member")]]
    orgs: list[Annotated[str, named("Member")]]
    rules: list[Annotated[Any, named("Rule")]]


class ValuesSchema(AnswerSchema):
    """The values that clients get instead of true and false."""

    on: JSON
    off: JSON


class FlagSchema(AnswerSchema):
    """A flag."""

    key: FlagKeyText
    description: str
    owner: str
    stage: Stage
    percent: Annotated[float, Field(ge=0, le=100)]
    unit: Unit
    algorithm: Algorithm
    hash_key: str = ABSENT
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
    """The flag after a change of its allowlist, and the number of ids added and removed."""

    added: Count
    removed: Count


class KillSchema(AnswerSchema):
    """A flag's stage, and its kill if it is killed: all that a kill operator may read of it."""

    key: FlagKeyText
    stage: Stage
    killed: KilledSchema | None


class KillPageSchema(AnswerSchema):
    """A page of all flags, killed or not, sorted by key."""

    flags: list[KillSchema]
    revision: Count
    next: Next


class KilledFlagSchema(KillSchema):
    """The flag after the kill, and the live sessions; null if they could not be counted within 300 ms."""

    percent: Annotated[float, Field(ge=0, le=100)]
    version: Count
    revision: Count
    sessions_inside: Count | None
    last_leaves_at: Time | None


class FlagPageSchema(AnswerSchema):
    """A page of flags, sorted by key."""

    flags: list[FlagSchema]
    revision: Count
    next: Next


class MemberCountsSchema(AnswerSchema):
    """The number of listed ids."""

    users: Count
    orgs: Count


class MemberPageSchema(AnswerSchema):
    """A page of the ids on a flag's allowlist, each once."""

    kind: Literal["user", "org"]
    members: list[Annotated[str, named("Member")]]
    counts: MemberCountsSchema
    next: Next


class RoutePolicySchema(AnswerSchema):
    """A route policy, for the route or procedure that `route` or `procedure` names."""

    route: str = ABSENT
    procedure: str = ABSENT
    class_: Annotated[RouteClass, Field(alias="class")]
    flags: list[FlagKeyText] = ABSENT
    asks: list[FlagKeyText] = ABSENT


class RoutesSchema(AnswerSchema):
    """All route policies."""

    routes: list[RoutePolicySchema]
    version: Count
    revision: Count


class BucketSchema(AnswerSchema):
    """Where an id is on the percentage scale: the least percent above it lets the id in."""

    id: str
    at: float


class StepFactsSchema(AnswerSchema):
    """What a step looked at. Each step has only its own members.

    requires: the parent's own reason. killed: the reach. listed: whether an id is on the list, and the indices of the
    rules that hold. percentage: the unit, the percent, and the buckets of the subject's ids; without any, the subject
    is out.
    """

    reason: Reason | None = None
    reach: Reach | None = None
    by_id: bool | None = None
    rules: list[Count] | None = None
    unit: Unit | None = None
    percent: float | None = None
    buckets: list[BucketSchema] | None = None


class ExplainedStepSchema(AnswerSchema):
    """One step of a decision. `reason` is null if the step did not decide. `facts` say what it looked at."""

    flag: str
    step: str
    outcome: Literal["passed on", "on", "off"]
    reason: Reason | None
    facts: StepFactsSchema


class ExplanationSchema(AnswerSchema):
    """A decision and its steps."""

    flag: FlagKeyText
    value: bool
    reason: Reason
    revision: Count
    steps: list[ExplainedStepSchema]


class RevokedSchema(AnswerSchema):
    """A revocation. Tokens issued up to `at` are refused."""

    kind: Literal["subject", "jti"]
    at: Time
    revision: Count


class RestoredSchema(AnswerSchema):
    """Every token issued up to `at` is refused. The table had `restored_revision`."""

    at: Time
    revision: Count
    restored_revision: Count
    confirmed: bool


class SessionSchema(AnswerSchema):
    """A live session. Headgate assigns `id`; the client chose `session_id`."""

    id: Digest
    subject: str
    session_id: str
    started_at: Time
    expires_at: Time


class SessionCountsSchema(AnswerSchema):
    """The number of live sessions, and when the last must end; null if there are too many to count."""

    inside: Count | None
    last_leaves_at: Time | None


class SessionPageSchema(AnswerSchema):
    """A page of live sessions."""

    sessions: list[SessionSchema]
    counts: SessionCountsSchema
    next: Next


class SigningKeySchema(AnswerSchema):
    """A signing key. `since` and `age_seconds` are null if its state never changed."""

    kid: str
    state: KeyState
    since: Time | None
    age_seconds: int | None


class KeysSchema(AnswerSchema):
    """The signing keys in use."""

    keys: list[SigningKeySchema]
    revision: Count


class HealthSchema(AnswerSchema):
    """The state of the gate, for operators."""

    status: Literal["ok", "degraded"]
    confirmed: bool
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
