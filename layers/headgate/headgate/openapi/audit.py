"""What the functions answer of the audit stream and of its proofs, as models."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from headgate.core.changes.reconcile import What
from headgate.openapi.parts import JSON, AnswerSchema, Count, Digest, Next, Time


class HeadSchema(AnswerSchema):
    """The newest revision, and the digest of its entry."""

    revision: Count
    digest: Digest


class ActorSchema(AnswerSchema):
    """Who asked, as API Gateway verified it."""

    arn: str
    session: str
    source_ip: str


class AuditEntrySchema(AnswerSchema):
    """One change. `digest` covers the rest (SHA-256 of canonical JSON); `prev` is the digest of the entry before."""

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
    """Entries, newest first."""

    entries: list[AuditEntrySchema]
    head: HeadSchema
    next: Next


class CheckpointSchema(AnswerSchema):
    """The head at `at`, and `signature`: a compact JWS of the audit key `kid` over issuer, revision, digest and at."""

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
    """What checkpoints are verified with, and its RFC 7638 thumbprint."""

    key: AuditPublicKeySchema
    thumbprint: str


class FindingSchema(AnswerSchema):
    """One disagreement between what is stored and what is recorded. `record` is the stored one, `revision` the entry
    that it is about."""

    what: What
    record: str
    flag: str | None
    revision: Count | None
    stored_version: int | None
    recorded_version: int | None


class ReconciliationSchema(AnswerSchema):
    """Whether what is stored is what the audit stream says; `findings` are the first 1,000 of `total`."""

    consistent: bool
    findings: Annotated[list[FindingSchema], Field(max_length=1_000)]
    total: Count
    head: HeadSchema
