"""The evaluate function's calls: OpenFeature Remote Evaluation Protocol 0.3.0, with Headgate's metadata."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from headgate.core.model import Reason
from headgate.edge.openfeature import MAX_ORGS, OPENFEATURE
from headgate.openapi.calls import ETAG_HEADER, RETRY, REVISION_HEADER, Described, gateways, in_json
from headgate.openapi.parameters import IN_PATH
from headgate.openapi.parts import ABSENT, AnswerSchema, Count, FlagKeyText
from headgate.openapi.schemas import component

FAILURES = {
    400: "The request is malformed: `PARSE_ERROR`, `INVALID_CONTEXT`, `TARGETING_KEY_MISSING` or `GENERAL`.",
    401: "The token is missing or invalid.",
    403: "`targetingKey` is not the token's subject.",
    413: "The body is too large.",
    503: "The rules, an allowlist, or the signing keys are not available.",
}
CHALLENGE = {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}}


class AboutSchema(AnswerSchema):
    """The revision of the rules. `stale` is true if the last known good rules were used."""

    revision: Count
    stale: Literal[True] = ABSENT


class WhySchema(AboutSchema):
    """Headgate's own reason for a decision."""

    reason: Reason


class EvaluationSchema(AnswerSchema):
    """A flag's value for the subject, and the reason."""

    key: FlagKeyText
    value: Annotated[Any, WithJsonSchema({"type": ["boolean", "string", "number", "object"]})]
    variant: Literal["on", "off"]
    reason: Annotated[str, WithJsonSchema({"enum": sorted({*OPENFEATURE.values(), "DEFAULT"})})]
    metadata: WhySchema


class EvaluationFailureSchema(AnswerSchema):
    """An OFREP error. There is no `errorCode` if the token or the store is the cause."""

    key: str = ABSENT
    errorCode: Literal["PARSE_ERROR", "INVALID_CONTEXT", "TARGETING_KEY_MISSING", "FLAG_NOT_FOUND", "GENERAL"] = (  # noqa: N815  # as OFREP has it
        ABSENT
    )
    errorDetails: Annotated[str, Field(description="For humans.")]  # noqa: N815
    metadata: WhySchema = ABSENT


class EvaluationsSchema(AnswerSchema):
    """All flags for the subject. A flag whose value does not fit into 4 MB is a failure, and can be evaluated alone."""

    flags: list[EvaluationSchema | EvaluationFailureSchema]
    metadata: AboutSchema


CONTEXT: Described = {
    "type": "object",
    "properties": {"context": {
        "type": "object",
        "description": "With a service token, this names the subject; other members are its attributes. With a user's "
                       "token, only `targetingKey` is read, and it must be the token's subject.",
        "properties": {
            "targetingKey": {"type": "string"},
            "orgs": {"type": "array", "maxItems": MAX_ORGS, "items": {"type": "string"}},
            "admin": {"type": "boolean"},
        },
    }},
}  # fmt: skip


def evaluate_calls() -> dict[str, Described]:
    """Return every call of the evaluate function, by route key."""
    unchanged = {"in": "header", "name": "If-None-Match", "schema": {"type": "string"},
                 "description": "The ETag of the previous response."}  # fmt: skip
    key = {"name": "key", "in": "path", "required": True, "schema": IN_PATH["key"]}
    return {
        "POST /ofrep/v1/evaluate/flags": _call(
            "evaluate_flags", "Evaluate all flags for a subject.", [unchanged],
            {"200": _answer("The values.", "Evaluations", REVISION_HEADER | ETAG_HEADER),
             "304": {"description": "Nothing has changed.", "headers": REVISION_HEADER | ETAG_HEADER}}),
        "POST /ofrep/v1/evaluate/flags/{key}": _call(
            "evaluate_flag", "Evaluate one flag for a subject.", [key],
            {"200": _answer("The value.", "Evaluation", REVISION_HEADER), "404": _missing()}),
    }  # fmt: skip


def _call(name: str, summary: str, parameters: list[Described], responses: Described) -> Described:
    failures = {str(status): _failure(status) for status in FAILURES}
    return {
        "operationId": name,
        "tags": ["evaluate"],
        "summary": summary,
        "security": [{"bearer": []}],
        "parameters": parameters,
        "requestBody": {"required": True, "content": in_json(CONTEXT)},
        "responses": dict(sorted({**failures, **gateways(429, 500), **responses}.items())),
    }


def _answer(description: str, model: str, headers: Described) -> Described:
    return {"description": description, "headers": headers, "content": in_json(component(model))}


def _failure(status: int) -> Described:
    headers = {401: CHALLENGE, 503: RETRY}.get(status, {})
    return _answer(FAILURES[status], "EvaluationFailure", headers)


def _missing() -> Described:
    """Describe a 404: an unknown flag, or API Gateway's answer for a path that matches no route."""
    either = {"anyOf": [component("EvaluationFailure"), component("GatewayAnswer")]}
    return {"description": "`FLAG_NOT_FOUND`.", "headers": REVISION_HEADER, "content": in_json(either)}
