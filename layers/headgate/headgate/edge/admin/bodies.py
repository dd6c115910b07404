"""The admin API's request bodies as strict models: unknown members, wrong types, and blank reasons are refused."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from headgate.core import limits
from headgate.core.allow import is_member_id
from headgate.core.changes.flag import check_no_emails
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import Invalid, Reader, is_key, is_plain, refuse
from headgate.core.flag import read_percent
from headgate.core.members import Member
from headgate.core.model import Json, Reach, Stage, Subject, Unit

B = TypeVar("B", bound="Body")


def _plain(text: str) -> str:
    if not text.strip() or not is_plain(text) or len(text.encode()) > limits.MAX_REASON_BYTES:
        raise ValueError(f"must be 1 to {limits.MAX_REASON_BYTES} bytes, not blank, without control characters")
    return text


def _member(text: str) -> str:
    if not is_member_id(text):
        raise ValueError("must be an id of 1 to 256 bytes without whitespace or control characters")
    return text


def _key(text: str) -> str:
    if not is_key(text):
        raise ValueError("must match ^[a-z0-9][a-z0-9._-]{0,63}$")
    return text


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("must be true or absent")
    return value


def _schema(**more: Any) -> Any:
    """The OpenAPI schema of a value that code validates."""
    return Field(json_schema_extra=more)


PLAIN = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"
ReasonText = Annotated[
    str, AfterValidator(_plain), _schema(minLength=1, maxLength=limits.MAX_REASON_BYTES, pattern=PLAIN)
]
MemberId = Annotated[
    str, AfterValidator(_member), _schema(minLength=1, maxLength=limits.MAX_ID_BYTES, pattern=r"^\S+$")
]
FlagKey = Annotated[str, AfterValidator(_key), _schema(pattern=f"^{limits.KEY.pattern}$")]
PercentNumber = Annotated[int | float | None, _schema(minimum=0, maximum=100, description="At most 3 decimals.")]
Moment = Annotated[int | str | None, _schema(minimum=0, format="date-time", description="A revision or a time.")]
OnlyTrue = Annotated[bool, AfterValidator(_true), _schema(const=True)]


class Body(BaseModel):
    """A strict body: `"1"` is not 1, and unknown members are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ChangeBody(Body):
    """What every change accepts: `reason`, and `allow_shrink` to allow it to remove access."""

    reason: ReasonText
    allow_shrink: bool = False


class OpeningBody(ChangeBody):
    """What a change of route policies accepts: also `allow_open`, to allow it to open routes."""

    allow_open: bool = False


class StageBody(ChangeBody):
    """A stage to set. `percent` and `unit` are allowed with any stage; stage `percentage` requires `percent`."""

    stage: Annotated[Stage, Field(strict=False)]
    percent: PercentNumber = None
    unit: Annotated[Unit | None, Field(strict=False)] = None


class MembersBody(Body):
    """User ids and org ids."""

    users: Annotated[list[MemberId], _schema(maxItems=limits.MAX_MEMBERS_A_CALL, uniqueItems=True)] = []
    orgs: Annotated[list[MemberId], _schema(maxItems=limits.MAX_MEMBERS_A_CALL, uniqueItems=True)] = []

    @property
    def members(self) -> list[Member]:
        """Users, then orgs, as changes expect them."""
        return [("user", name) for name in self.users] + [("org", name) for name in self.orgs]


class AllowBody(ChangeBody):
    """Ids to add to and remove from an allowlist, at most 1,000 per call."""

    add: MembersBody = MembersBody()
    remove: MembersBody = MembersBody()


class KillBody(Body):
    """A kill. `drain_until` (RFC 3339) is required with reach `drain` and not allowed otherwise."""

    reason: ReasonText
    reach: Annotated[Reach, Field(strict=False)] = Reach.GATE
    drain_until: Annotated[str | None, _schema(format="date-time")] = None


class ReasonBody(Body):
    """The reason for a change."""

    reason: ReasonText


class SubjectBody(Body):
    """A subject, as an operator names it."""

    user: str | None = None
    orgs: list[str] = []
    admin: bool = False
    attributes: dict[str, Any] = {}

    def subject(self) -> Subject:
        """Return the subject that decisions use."""
        return Subject(self.user or None, tuple(self.orgs), self.admin, self.attributes)


class ExplainBody(Body):
    """The decision to explain: now, or `as_of` a revision or a time (RFC 3339)."""

    flag: FlagKey
    subject: SubjectBody
    as_of: Moment = None


class FlagChangeBody(Body):
    """One change that the admin API can make: a stage, members, a kill, a restore, a whole flag, or a deletion."""

    stage: Annotated[Stage | None, Field(strict=False)] = None
    percent: PercentNumber = None
    unit: Annotated[Unit | None, Field(strict=False)] = None
    add: MembersBody | None = None
    remove: MembersBody | None = None
    kill: OnlyTrue | None = None
    restore: OnlyTrue | None = None
    put: dict[str, Any] | None = None
    delete: OnlyTrue | None = None

    @model_validator(mode="after")
    def _one(self) -> "FlagChangeBody":
        kinds = ("stage", "add", "remove", "kill", "restore", "put", "delete")
        named = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(named) != 1 and named != ["add", "remove"]:
            raise ValueError("must be one change: stage, add and/or remove, kill, restore, put, or delete")
        if self.stage is None and (self.percent is not None or self.unit is not None):
            raise ValueError("percent and unit require stage")
        return self


class PreviewBody(Body):
    """A change to preview. `subjects` are previewed in addition to the known subjects."""

    flag: FlagKey
    change: FlagChangeBody
    subjects: Annotated[list[SubjectBody], Field(max_length=1_000, default_factory=list)]


def read_body(model: type[B], document: Json) -> B:
    """Parse the body as a model. Raises `Invalid` with a path to each fault and none of the values."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])) or "$", _message(fault["msg"])) for fault in error.errors()]
    raise Invalid(faults)


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")


def steps_of(stage: Stage, percent: float | None) -> int | None:
    """Return a stage's percent in steps of 0.001 %, or None without one. Raises `Invalid`."""
    if percent is None:
        if stage is Stage.PERCENTAGE:
            refuse("percent", "is required with stage percentage")
        return None
    read = Reader({"percent": percent})
    steps = read_percent(read)
    read.check()
    return steps


def check_members(add: MembersBody, remove: MembersBody, *, email_ids: bool) -> None:
    """Refuse too many ids, a repeated id, and email addresses. Raises `Refusal` or `Invalid`."""
    if len(add.members) + len(remove.members) > limits.MAX_MEMBERS_A_CALL:
        raise Refusal(Slug.TOO_LARGE, f"send at most {limits.MAX_MEMBERS_A_CALL} ids per call")
    for kind in ("users", "orgs"):
        named = [*getattr(add, kind), *getattr(remove, kind)]
        if len(set(named)) != len(named):
            refuse(kind, "must not repeat an id")
    if not email_ids:
        check_no_emails(add.users)
