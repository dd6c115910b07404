"""What the functions answer of changes to come, by preview, plan and apply, as models."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.core.changes.preview import SAMPLES, Source
from headgate.core.model import Reason, Unit
from headgate.openapi.parts import ABSENT, Answer, Count, Key, Next


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
