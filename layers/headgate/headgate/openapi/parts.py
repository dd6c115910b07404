"""Parts of the response models, and the errors that all calls share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from headgate.edge.problems import PROBLEMS

ABSENT: Any = None
JSON = Annotated[Any, WithJsonSchema({"description": "Any JSON."})]
NAMED = "x-named"
"""Marks a reference to a schema without a model, which `schemas` resolves."""


def named(name: str) -> Any:
    """Reference one of the manifest's schemas."""
    return WithJsonSchema({NAMED: name})


Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Digest = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})]
FlagKeyText = Annotated[str, named("Key")]
Count = Annotated[int, Field(ge=0)]
Next = Annotated[str | None, Field(description="The cursor of the next page, or null on the last page.")]


class AnswerSchema(BaseModel):
    """A response with these members and no others."""

    model_config = ConfigDict(extra="forbid")


class ProblemSchema(AnswerSchema):
    """An error (RFC 9457). `errors` lists each invalid member. `staged` and `import` describe the import at fault."""

    type: Annotated[str, WithJsonSchema({"enum": [f"urn:headgate:{slug}" for slug in PROBLEMS]})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str = ABSENT
    errors: list["FaultSchema"] = ABSENT
    staged: Count = ABSENT
    import_: Annotated[str, Field(alias="import")] = ABSENT


class FaultSchema(AnswerSchema):
    """One invalid member, by its dotted path; `$` is the whole body."""

    path: str
    message: str


class GatewayAnswerSchema(AnswerSchema):
    """An error from API Gateway itself: not authorized, too many requests, or unknown route."""

    message: str
