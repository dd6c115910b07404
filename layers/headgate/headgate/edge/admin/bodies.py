"""The bodies that the admin API takes, as strict models: unknown members, wrong types and blank reasons are refused."""

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


def _schema(**more: Any) -> Any:
    """What the OpenAPI document says about a value that code checks."""
    return Field(json_schema_extra=more)


PLAIN = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"
ReasonText = Annotated[
    str, AfterValidator(_plain), _schema(minLength=1, maxLength=limits.MAX_REASON_BYTES, pattern=PLAIN)
]
MemberId = Annotated[
    str, AfterValidator(_member), _schema(minLength=1, maxLength=limits.MAX_ID_BYTES, pattern=r"^\S+$")
]
FlagKey = Annotated[str, AfterValidator(_key), _schema(pattern=f"^{limits.KEY.pattern}$")]
PercentNumber = Annotated[int | float | None, _schema(minimum=0, maximum=100, description="With at most 3 decimals.")]
Moment = Annotated[int | str | None, _schema(minimum=0, format="date-time", description="A revision, or a time.")]
OnlyTrue = Annotated[bool, AfterValidator(_true), _schema(const=True)]


class Body(BaseModel):
    """Strict: `"1"` is not 1, and a member that is not listed is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ChangeBody(Body):
    """What every change takes: why, and whether it may take access away."""

    reason: ReasonText
    allow_shrink: bool = False


class StageBody(ChangeBody):
    """`percent` and `unit` may come with any stage; stage `percentage` needs `percent`."""

    stage: Annotated[Stage, Field(strict=False)]
    percent: PercentNumber = None
    unit: Annotated[Unit | None, Field(strict=False)] = None


class MembersBody(Body):
    """Users and orgs; the two never mix."""

    users: Annotated[list[MemberId], _schema(maxItems=limits.MAX_MEMBERS_A_CALL, uniqueItems=True)] = []
    orgs: Annotated[list[MemberId], _schema(maxItems=limits.MAX_MEMBERS_A_CALL, uniqueItems=True)] = []

    @property
    def members(self) -> list[Member]:
        """Users, then orgs, as changes take them."""
        return [("user", name) for name in self.users] + [("org", name) for name in self.orgs]


class AllowBody(ChangeBody):
    """Who comes and who goes, at most 1,000 ids a call."""

    add: MembersBody = MembersBody()
    remove: MembersBody = MembersBody()


class KillBody(Body):
    """`drain_until` (RFC 3339) exactly with reach `drain`."""

    reason: ReasonText
    reach: Annotated[Reach, Field(strict=False)] = Reach.GATE
    drain_until: Annotated[str | None, _schema(format="date-time")] = None


class ReasonBody(Body):
    """Why."""

    reason: ReasonText


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
    as_of: Moment = None


class FlagChangeBody(Body):
    """One change as the admin API makes it: a stage, members, a kill, a restore, a whole flag, or a deletion."""

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
            raise ValueError("name one change: stage, add and remove, kill, restore, put or delete")
        if self.stage is None and (self.percent is not None or self.unit is not None):
            raise ValueError("percent and unit belong to stage")
        return self


class PreviewBody(Body):
    """`subjects` are looked at beside those that are known anyway."""

    flag: FlagKey
    change: FlagChangeBody
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


def steps_of(stage: Stage, percent: float | None) -> int | None:
    """The percent that comes with a stage, in steps; None without one. Raises `Invalid`."""
    if percent is None:
        if stage is Stage.PERCENTAGE:
            refuse("percent", "is required with stage percentage")
        return None
    read = Reader({"percent": percent})
    steps = read_percent(read)
    read.check()
    return steps


def check_members(add: MembersBody, remove: MembersBody, *, email_ids: bool) -> None:
    """Refuse too many ids, an id named twice, and e-mail addresses. Raises `Refusal` or `Invalid`."""
    if len(add.members) + len(remove.members) > limits.MAX_MEMBERS_A_CALL:
        raise Refusal(Slug.TOO_LARGE, f"a call takes at most {limits.MAX_MEMBERS_A_CALL} ids")
    for kind in ("users", "orgs"):
        named = [*getattr(add, kind), *getattr(remove, kind)]
        if len(set(named)) != len(named):
            refuse(kind, "must not name an id twice")
    if not email_ids:
        check_no_emails(add.users)
