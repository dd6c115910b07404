"""Models of the responses of preview, plan, and apply."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.core.changes.difference import IDS
from headgate.core.changes.preview import SAMPLES, Source
from headgate.core.model import Reason, RouteClass, Unit
from headgate.openapi.parts import ABSENT, JSON, AnswerSchema, Count, FaultSchema, FlagKeyText, Next


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


class FieldSchema(AnswerSchema):
    """A member that differs. Lists of ids have counts and samples, and a salt is not shown."""

    path: str
    before: JSON = ABSENT
    after: JSON = ABSENT
    added: Annotated[list[str], Field(max_length=IDS)] = ABSENT
    added_count: Count = ABSENT
    removed: Annotated[list[str], Field(max_length=IDS)] = ABSENT
    removed_count: Count = ABSENT


class RequirementSchema(AnswerSchema):
    """What a route policy requires."""

    class_: Annotated[RouteClass, Field(alias="class")]
    flags: list[FlagKeyText]
    asks: list[FlagKeyText]


class PolicyChangeSchema(AnswerSchema):
    """A route policy that differs. Null is a route that is not listed, which is `entry`."""

    route: str = ABSENT
    procedure: str = ABSENT
    before: RequirementSchema | None
    after: RequirementSchema | None
    shrinks: Annotated[bool, Field(description="Whether the route would refuse what it admitted.")]
    opens: Annotated[bool, Field(description="Whether the route would require less.")]


class PlannedStepSchema(StepSchema):
    """A change in detail. For a flag: who gains and loses by all changes together, as a preview reports it.

    `cut` is true where details are left out because the plan would be too large.
    """

    opens: Annotated[bool, Field(description="Whether it opens a route.")]
    fields: list[FieldSchema] = ABSENT
    routes: list[PolicyChangeSchema] = ABSENT
    gains: Count = ABSENT
    loses: Count = ABSENT
    samples: SamplesSchema = ABSENT
    share: ShareSchema = ABSENT
    cut: Literal[True] = ABSENT


class PlanSchema(AnswerSchema):
    """What applying a manifest would change. `shrinks` needs `allow_shrink`, and `opens` needs `allow_open`.

    `warnings` name flags that are required or asked about and do not exist.
    """

    changes: list[PlannedStepSchema]
    affects: list[AffectedSchema]
    warnings: list[FaultSchema]
    known: KnownCountsSchema
    shrinks: bool
    opens: bool
    revision: Count


class AppliedSchema(AnswerSchema):
    """What was changed. If `next` is not null, send the request again with it as `cursor`."""

    changes: list[StepSchema]
    next: Next
    revision: Count = ABSENT
