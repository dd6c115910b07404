"""What the functions answer, as models: nothing is built from them, they describe. A test holds every answer to them.

Members with `ABSENT` may be left out; all others are always there.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from headgate.core.keyring import KeyState
from headgate.core.model import Algorithm, Reach, Reason, RouteClass, Stage, Unit
from headgate.core.preview import SAMPLES, Source
from headgate.core.reconcile import What
from headgate.edge.openapi.lists import LongList
from headgate.edge.openapi.parts import ABSENT, JSON, Answer, Count, Digest, Key, Next, Time, named


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


class Step(Answer):
    """One change that a manifest makes; `flag` is null for routes and profile."""

    target: Literal["flag", "routes", "profile"]
    action: Literal["create", "replace", "delete"]
    flag: Key | None
    shrinks: Annotated[bool, Field(description="It takes access away from some.")]


class Sampled(Answer):
    """A subject; `user` is null for an org of which no more is known."""

    user: str | None
    orgs: list[str]
    admin: bool


class Verdict(Answer):
    """A decision."""

    value: bool
    reason: Reason


class Sample(Answer):
    """Somebody for whom a flag changes. `source` says how they are known."""

    subject: Sampled
    source: Source
    before: Verdict
    after: Verdict


class Samples(Answer):
    """The first of those who gain and of those who lose."""

    gains: Annotated[list[Sample], Field(max_length=SAMPLES)]
    loses: Annotated[list[Sample], Field(max_length=SAMPLES)]


class KnownCounts(Answer):
    """How many subjects were looked at; `complete` when these are all that are known."""

    named: Count
    sessions: Count
    listed: Count
    complete: bool


class Affected(Answer):
    """Another flag, that hangs on the changed one and changes for somebody."""

    flag: Key
    gains: Count
    loses: Count


class Open(Answer):
    """Percent of a unit's ids that a flag's bucket lets in; `unit` is null where there is no flag."""

    percent: Annotated[float, Field(ge=0, le=100)]
    unit: Unit | None


class Share(Answer):
    """What the bucket alone does to all ids of its unit, known or not: percent that gain and lose."""

    before: Open
    after: Open
    gains: Annotated[float, Field(ge=0, le=100)]
    loses: Annotated[float, Field(ge=0, le=100)]


class Preview(Answer):
    """Who would gain and who would lose. `shrinks`: the change needs `allow_shrink`."""

    flag: Key
    gains: Count
    loses: Count
    samples: Samples
    shrinks: bool
    share: Share
    affects: list[Affected]
    known: KnownCounts
    revision: Count


class PlannedStep(Step):
    """A change, and for a flag who gains and loses by all changes together."""

    gains: Count = ABSENT
    loses: Count = ABSENT
    samples: Samples = ABSENT


class Plan(Answer):
    """What applying would change."""

    changes: list[PlannedStep]
    affects: list[Affected]
    known: KnownCounts
    shrinks: bool
    revision: Count


class Applied(Answer):
    """What was changed; `next` where the call's time was spent: send the same again with it."""

    changes: list[Step]
    next: Next
    revision: Count = ABSENT


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


class Head(Answer):
    """The newest revision, and the digest of its entry."""

    revision: Count
    digest: Digest


class Actor(Answer):
    """Who asked, as API Gateway verified it."""

    arn: str
    session: str
    source_ip: str


class AuditEntry(Answer):
    """One change. `digest` covers the rest (SHA-256 of canonical JSON); `prev` is the digest of the entry before."""

    revision: Annotated[int, Field(ge=1)]
    at: Time
    actor: Actor
    action: Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[a-z]+\.[a-z-]+$"})]
    flag: str | None
    before: JSON
    after: JSON
    reason: str
    request_id: str
    prev: Digest
    digest: Digest


class AuditPage(Answer):
    """Entries, newest first."""

    entries: list[AuditEntry]
    head: Head
    next: Next


class Checkpoint(Answer):
    """The head at `at`, and `signature`: a compact JWS of the audit key `kid` over issuer, revision, digest and at."""

    revision: Count
    digest: Digest
    at: Time
    issuer: str
    kid: str
    signature: str


class AuditPublicKey(Answer):
    """A P-256 public key (RFC 7517)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    use: Literal["sig"]
    alg: Literal["ES256"]
    kid: str


class AuditKey(Answer):
    """What checkpoints are verified with, and its RFC 7638 thumbprint."""

    key: AuditPublicKey
    thumbprint: str


class Finding(Answer):
    """One disagreement between what is stored and what is recorded. `record` is the stored one, `revision` the entry
    that it is about."""

    what: What
    record: str
    flag: str | None
    revision: Count | None
    stored_version: int | None
    recorded_version: int | None


class Reconciliation(Answer):
    """Whether what is stored is what the audit stream says; `findings` are the first 1,000 of `total`."""

    consistent: bool
    findings: Annotated[list[Finding], Field(max_length=1_000)]
    total: Count
    head: Head


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
