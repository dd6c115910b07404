"""What the functions answer of changes to come, by preview, plan and apply, as models."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.core.changes.preview import SAMPLES, Source
from headgate.core.model import Reason, Unit
from headgate.openapi.parts import ABSENT, AnswerSchema, Count, FlagKeyText, Next


class StepSchema(AnswerSchema):
    """One change that a manifest makes; `flag` is null for routes and profile."""

    target: Literal["flag", "routes", "profile"]
    action: Literal["create", "replace", "delete"]
    flag: FlagKeyText | None
    shrinks: Annotated[bool, Field(description="It takes access away from some.")]


class SampledSchema(AnswerSchema):
    """A subject; `user` is null for an org of which no more is known."""

    user: str | None
    orgs: list[str]
    admin: bool


class VerdictSchema(AnswerSchema):
    """A decision."""

    value: bool
    reason: Reason


class SampleSchema(AnswerSchema):
    """Somebody for whom a flag changes. `source` says how they are known."""

    subject: SampledSchema
    source: Source
    before: VerdictSchema
    after: VerdictSchema


class SamplesSchema(AnswerSchema):
    """The first of those who gain and of those who lose."""

    gains: Annotated[list[SampleSchema], Field(max_length=SAMPLES)]
    loses: Annotated[list[SampleSchema], Field(max_length=SAMPLES)]


class KnownCountsSchema(AnswerSchema):
    """How many subjects were looked at; `complete` when these are all that are known."""

    named: Count
    sessions: Count
    listed: Count
    complete: bool


class AffectedSchema(AnswerSchema):
    """Another flag, that hangs on the changed one and changes for somebody."""

    flag: FlagKeyText
    gains: Count
    loses: Count


class OpenSchema(AnswerSchema):
    """Percent of a unit's ids that a flag's bucket lets in; `unit` is null where there is no flag."""

    percent: Annotated[float, Field(ge=0, le=100)]
    unit: Unit | None


class ShareSchema(AnswerSchema):
    """What the bucket alone does to all ids of its unit, known or not: percent that gain and lose."""

    before: OpenSchema
    after: OpenSchema
    gains: Annotated[float, Field(ge=0, le=100)]
    loses: Annotated[float, Field(ge=0, le=100)]


class PreviewSchema(AnswerSchema):
    """Who would gain and who would lose. `shrinks`: the change needs `allow_shrink`."""

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
    """A change, and for a flag who gains and loses by all changes together."""

    gains: Count = ABSENT
    loses: Count = ABSENT
    samples: SamplesSchema = ABSENT


class PlanSchema(AnswerSchema):
    """What applying would change."""

    changes: list[PlannedStepSchema]
    affects: list[AffectedSchema]
    known: KnownCountsSchema
    shrinks: bool
    revision: Count


class AppliedSchema(AnswerSchema):
    """What was changed; `next` where the call's time was spent: send the same again with it."""

    changes: list[StepSchema]
    next: Next
    revision: Count = ABSENT
