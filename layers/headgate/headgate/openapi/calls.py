"""The admin API's calls, described from its table of routes."""

import inspect
from collections.abc import Mapping
from http import HTTPStatus
from itertools import groupby
from typing import Any

from pydantic import BaseModel

from headgate.edge.admin.call import Route
from headgate.edge.problems import PROBLEMS, RETRY_AFTER
from headgate.openapi.parameters import taken
from headgate.openapi.schemas import component

Described = dict[str, Any]

GATEWAYS = {
    403: "From API Gateway: the signature is invalid, or the caller's IAM policy does not allow this route.",
    429: "From API Gateway: too many requests for this route.",
    500: "From API Gateway: the function failed.",
}
REVISION_HEADER = {"x-headgate-revision": {"description": "The newest revision that the response reflects.",
                                    "schema": {"type": "string", "pattern": "^[0-9]+$"}}}  # fmt: skip
ETAG_HEADER = {"ETag": {"description": "The version, to send as If-Match.", "schema": {"type": "string"}}}
RETRY = {"Retry-After": {"description": "Seconds.", "required": True, "schema": {"const": RETRY_AFTER}}}


def calls(routes: Mapping[str, Route]) -> dict[str, Described]:
    """Return every call of the table, by route key."""
    return {route_key: _call(route_key, route) for route_key, route in routes.items()}


def _call(route_key: str, route: Route) -> Described:
    body = {} if route.body is None else {"requestBody": _request(route.body)}
    return {
        "operationId": route.handler.__name__,
        "tags": ["admin"],
        **_words(route),
        "security": [{"sigv4": []}],
        "parameters": taken(route_key, route.takes),
        **body,
        "responses": {**_answers(route), **_refusals(route_key, route)},
    }


def _words(route: Route) -> Described:
    """Read the handler's docstring after the route: the first paragraph is the summary, the others the description."""
    _, _, told = inspect.cleandoc(route.handler.__doc__ or "").partition(": ")
    first, *others = (" ".join(part.split()) for part in told.split("\n\n"))
    more = {"description": "\n\n".join(others)} if others else {}
    return {"summary": first[:1].upper() + first[1:], **more}


def _request(body: type[BaseModel] | str) -> Described:
    """Describe a request body. It is optional if its model has no members."""
    if isinstance(body, str):
        return {"required": True, "content": in_json(component(body))}
    return {"required": bool(body.model_fields), "content": in_json(component(body.__name__))}


def in_json(schema: Described, media_type: str = "application/json") -> Described:
    """Return the content of one media type."""
    return {media_type: {"schema": schema}}


def _answers(route: Route) -> Described:
    return {
        str(status): {"description": HTTPStatus(status).phrase, "headers": REVISION_HEADER | ETAG_HEADER}
        | ({} if model is None else {"content": in_json(component(model))})
        for status, model in sorted(route.answers.items())
    }


def slugs(route_key: str, route: Route) -> set[str]:
    """Return the problems that a call can answer: those implied by what it accepts, and those in the table."""
    takes = route.takes.split()
    follows = {
        "unavailable": 200 not in route.answers or route.answers[200] != "Document",  # this route reads nothing
        "invalid-flag-key": "{key}" in route_key,
        "invalid-json": route.body is not None,
        "too-large": route.body is not None,
        "invalid-body": route.body is not None or takes != [],
        "invalid-cursor": "cursor" in takes,
        "idempotency-key-required": "Idempotency-Key" in takes,
        "idempotency-key-reused": "Idempotency-Key" in takes,
        "busy": "Idempotency-Key" in takes,
        "precondition-required": "If-Match" in takes,
        "precondition-failed": "If-Match" in takes,
    }
    return {slug for slug, does in follows.items() if does} | set(route.refuses.split())


def _refusals(route_key: str, route: Route) -> Described:
    ordered = sorted(slugs(route_key, route), key=lambda slug: (PROBLEMS[slug][0], slug))
    by_status = {status: list(found) for status, found in groupby(ordered, key=lambda slug: PROBLEMS[slug][0])}
    own = {str(status): refusal(status, found) for status, found in by_status.items()}
    if "{" in route_key and "404" in own:  # API Gateway answers for a path that matches no route
        own["404"]["content"] |= in_json(component("GatewayAnswer"))
    return dict(sorted({**own, **gateways(*GATEWAYS)}.items()))


def refusal(status: int, found: list[str]) -> Described:
    """Describe a status and the problems that have it."""
    types = [f"urn:headgate:{slug}" for slug in found]
    exact = {"properties": {"type": {"enum": types}, "status": {"const": status}}}
    headers: dict[int, Described] = {503: {"headers": RETRY}, 412: {"headers": ETAG_HEADER}}
    return {
        "description": "; ".join(f"`{slug}`: {PROBLEMS[slug][1]}" for slug in found),
        **headers.get(status, {}),
        "content": in_json({"allOf": [component("Problem"), exact]}, "application/problem+json"),
    }


def gateways(*statuses: int) -> Described:
    """Reference the responses that API Gateway itself sends."""
    return {str(status): {"$ref": f"#/components/responses/{HTTPStatus(status).name}"} for status in statuses}


def gateway_responses() -> Described:
    """Describe those responses, once for the whole document."""
    return {
        HTTPStatus(status).name: {"description": told, "content": in_json(component("GatewayAnswer"))}
        for status, told in GATEWAYS.items()
    }
