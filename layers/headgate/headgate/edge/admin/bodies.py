"""The bodies that the admin API takes, as strict models: unknown members, wrong types and blank reasons are refused."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from headgate.core import limits
from headgate.core.faults import Invalid, is_plain
from headgate.core.model import Json, Reach, Stage, Subject, Unit
from headgate.core.parse import is_key
from headgate.core.parse_allow import is_member_id

B = TypeVar("B", bound="Body")


def _plain(text: str) -> str:
    if not text.strip() or not is_plain(text) or len(text.encode()) > limits.MAX_REASON_BYTES:
        raise ValueError(f"must be 1 to {limits.MAX_REASON_BYTES} bytes, not blank, without control characters")
    return text


def _member(text: str) -> str:
    if not is_member_id(text):
        raise ValueError("must be an id of 1 to 256 bytes without blanks or control characters")
    return text


def _key(text: str) -> str:
    if not is_key(text):
        raise ValueError("must match ^[a-z0-9][a-z0-9._-]{0,63}$")
    return text


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("must be true, or left out")
    return value


Reason = Annotated[str, AfterValidator(_plain)]
Member = Annotated[str, AfterValidator(_member)]
FlagKey = Annotated[str, AfterValidator(_key)]
Yes = Annotated[bool, AfterValidator(_true), Field(json_schema_extra={"const": True})]


class Body(BaseModel):
    """Strict: `"1"` is not 1, and a member that is not listed is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Change(Body):
    """What every change takes: why, and whether it may take access away."""

    reason: Reason
    allow_shrink: bool = False


class StageBody(Change):
    """`percent` and `unit` may come with any stage; stage `percentage` needs `percent`."""

    stage: Annotated[Stage, Field(strict=False)]
    percent: int | float | None = None
    unit: Annotated[Unit | None, Field(strict=False)] = None


class Members(Body):
    """Users and orgs; the two never mix."""

    users: list[Member] = []
    orgs: list[Member] = []


class AllowBody(Change):
    """Who comes and who goes, at most 1,000 ids a call."""

    add: Members = Members()
    remove: Members = Members()


class KillBody(Body):
    """`drain_until` (RFC 3339) exactly with reach `drain`."""

    reason: Reason
    reach: Annotated[Reach, Field(strict=False)] = Reach.GATE
    drain_until: str | None = None


class RestoreBody(Body):
    """Why the gate opens again."""

    reason: Reason


class SubjectBody(Body):
    """A subject as an operator names it."""

    user: str | None = None
    orgs: list[str] = []
    admin: bool = False
    attributes: dict[str, Any] = {}

    def subject(self) -> Subject:
        """As decisions see it."""
        return Subject(self.user or None, tuple(self.orgs), self.admin, self.attributes)


class ExplainBody(Body):
    """`as_of`: a revision, or a time (RFC 3339)."""

    flag: FlagKey
    subject: SubjectBody
    as_of: int | str | None = None


class FlagChange(Body):
    """One change as the admin API makes it: a stage, members, a kill, a restore, a whole flag, or a deletion."""

    stage: Annotated[Stage | None, Field(strict=False)] = None
    percent: int | float | None = None
    unit: Annotated[Unit | None, Field(strict=False)] = None
    add: Members | None = None
    remove: Members | None = None
    kill: Yes | None = None
    restore: Yes | None = None
    put: dict[str, Any] | None = None
    delete: Yes | None = None

    @model_validator(mode="after")
    def _one(self) -> "FlagChange":
        kinds = ("stage", "add", "remove", "kill", "restore", "put", "delete")
        named = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(named) != 1 and named != ["add", "remove"]:
            raise ValueError("name one change: stage, add and remove, kill, restore, put or delete")
        if self.stage is None and (self.percent is not None or self.unit is not None):
            raise ValueError("percent and unit belong to stage")
        return self


class PreviewBody(Body):
    """`subjects` are looked at beside those that are known anyway."""

    flag: FlagKey
    change: FlagChange
    subjects: Annotated[list[SubjectBody], Field(max_length=1_000, default_factory=list)]


def read_body(model: type[B], document: Json) -> B:
    """The body as its model. Raises `Invalid` with a path to each fault and nothing of the values."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])) or "$", _message(fault["msg"])) for fault in error.errors()]
    raise Invalid(faults)


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")
