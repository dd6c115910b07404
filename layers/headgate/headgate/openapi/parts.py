"""What the models of answers are made of, and the failures that all calls share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from headgate.edge.problems import PROBLEMS

ABSENT: Any = None
JSON = Annotated[Any, WithJsonSchema({"description": "Any JSON."})]
NAMED = "x-named"
"""Marks a reference to a schema that is not made from a model; `schemas` puts it in."""


def named(name: str) -> Any:
    """A schema that the manifest has."""
    return WithJsonSchema({NAMED: name})


Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Digest = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{64}$"})]
FlagKeyText = Annotated[str, named("Key")]
Count = Annotated[int, Field(ge=0)]
Next = Annotated[str | None, Field(description="The next page's cursor; null on the last.")]


class AnswerSchema(BaseModel):
    """These members and no others."""

    model_config = ConfigDict(extra="forbid")


class ProblemSchema(AnswerSchema):
    """A failure (RFC 9457). `errors` names each member at fault; `staged`, `import` say how an import stands."""

    type: Annotated[str, WithJsonSchema({"enum": [f"urn:headgate:{slug}" for slug in PROBLEMS]})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str = ABSENT
    errors: list["FaultSchema"] = ABSENT
    staged: Count = ABSENT
    import_: Annotated[str, Field(alias="import")] = ABSENT


class FaultSchema(AnswerSchema):
    """One member at fault: a dotted path, $ for the whole."""

    path: str
    message: str


class GatewayAnswerSchema(AnswerSchema):
    """What API Gateway itself answers: no right to this route, too many requests, no such route."""

    message: str
