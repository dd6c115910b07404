"""Models of the responses of preview, plan, and apply."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.core.changes.preview import SAMPLES, Source
from headgate.core.model import Reason, Unit
from headgate.openapi.parts import ABSENT, AnswerSchema, Count, FlagKeyText, Next


class StepSchema(AnswerSchema):
    """One change that a manifest makes. `flag` is null for routes and profile."""

    target: Literal["flag", "routes", "profile"]
    action: Literal["create", "replace", "delete"]
    flag: FlagKeyText | None
    shrinks: Annotated[bool, Field(description="Whether it removes access.")]


class SampledSchema(AnswerSchema):
    """A subject. `user` is null for an org without a known user."""

    user: str | None
    orgs: list[str]
    admin: bool


class VerdictSchema(AnswerSchema):
    """A decision."""

    value: bool
    reason: Reason


class SampleSchema(AnswerSchema):
    """A subject whose decision changes. `source` says how the subject is known."""

    subject: SampledSchema
    source: Source
    before: VerdictSchema
    after: VerdictSchema


class SamplesSchema(AnswerSchema):
    """Samples of those who gain and of those who lose access."""

    gains: Annotated[list[SampleSchema], Field(max_length=SAMPLES)]
    loses: Annotated[list[SampleSchema], Field(max_length=SAMPLES)]


class KnownCountsSchema(AnswerSchema):
    """The number of subjects in the preview. `complete` is true if these are all known subjects."""

    named: Count
    sessions: Count
    listed: Count
    complete: bool


class AffectedSchema(AnswerSchema):
    """A flag that depends on the changed one and changes for some subjects."""

    flag: FlagKeyText
    gains: Count
    loses: Count


class OpenSchema(AnswerSchema):
    """The percent of a unit's ids that buckets let in. `unit` is null if the flag does not exist."""

    percent: Annotated[float, Field(ge=0, le=100)]
    unit: Unit | None


class ShareSchema(AnswerSchema):
    """The effect on all ids of the unit by buckets alone, known or not: the percent that gain and lose."""

    before: OpenSchema
    after: OpenSchema
    gains: Annotated[float, Field(ge=0, le=100)]
    loses: Annotated[float, Field(ge=0, le=100)]


class PreviewSchema(AnswerSchema):
    """Who would gain and who would lose access. `shrinks` is true if the change needs `allow_shrink`."""

    flag: FlagKeyText
    gains: Count
    loses: Count
    samples: SamplesSchema
    shrinks: bool
    share: ShareSchema
    affects: list[AffectedSchema]
    known: KnownCountsSchema
    revision: Count


class PlannedStepSchema(StepSchema):
    """A change, and for a flag, who gains and loses by all changes together."""

    gains: Count = ABSENT
    loses: Count = ABSENT
    samples: SamplesSchema = ABSENT


class PlanSchema(AnswerSchema):
    """What applying a manifest would change."""

    changes: list[PlannedStepSchema]
    affects: list[AffectedSchema]
    known: KnownCountsSchema
    shrinks: bool
    revision: Count


class AppliedSchema(AnswerSchema):
    """What was changed. If `next` is not null, send the request again with it as `cursor`."""

    changes: list[StepSchema]
    next: Next
    revision: Count = ABSENT
