"""Models of the responses about the audit stream."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from headgate.core.changes.reconcile import What
from headgate.openapi.parts import JSON, AnswerSchema, Count, Digest, Next, Time


class HeadSchema(AnswerSchema):
    """The newest revision and the digest of its entry."""

    revision: Count
    digest: Digest


class ActorSchema(AnswerSchema):
    """Who made the change, as verified by API Gateway."""

    arn: str
    session: str
    source_ip: str


class AuditEntrySchema(AnswerSchema):
    """One change. `digest` is the SHA-256 of the other members as canonical JSON; `prev` is the previous digest."""

    revision: Annotated[int, Field(ge=1)]
    at: Time
    actor: ActorSchema
    action: Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[a-z]+\.[a-z-]+$"})]
    flag: str | None
    before: JSON
    after: JSON
    reason: str
    request_id: str
    prev: Digest
    digest: Digest


class AuditPageSchema(AnswerSchema):
    """A page of audit entries, newest first."""

    entries: list[AuditEntrySchema]
    head: HeadSchema
    next: Next


class CheckpointSchema(AnswerSchema):
    """A signed head. `signature` is a compact JWS by key `kid` over `issuer`, `revision`, `digest`, and `at`."""

    revision: Count
    digest: Digest
    at: Time
    issuer: str
    kid: str
    signature: str


class AuditPublicKeySchema(AnswerSchema):
    """A P-256 public key (RFC 7517)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    use: Literal["sig"]
    alg: Literal["ES256"]
    kid: str


class AuditKeySchema(AnswerSchema):
    """The key that verifies checkpoints, and its thumbprint (RFC 7638)."""

    key: AuditPublicKeySchema
    thumbprint: str


class FindingSchema(AnswerSchema):
    """A difference between a stored record and the audit stream. `revision` is that of the audit entry."""

    what: What
    record: str
    flag: str | None
    revision: Count | None
    stored_version: int | None
    recorded_version: int | None


class ReconciliationSchema(AnswerSchema):
    """Whether what is stored matches the audit stream. `findings` has the first 1,000 of `total`."""

    consistent: bool
    findings: Annotated[list[FindingSchema], Field(max_length=1_000)]
    total: Count
    head: HeadSchema
