"""An answer against the OpenAPI document: is the status described, the media type, every header, the body's shape?"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from headgate.openapi.document import document


@cache
def described() -> dict[str, Any]:
    """The document that the code makes."""
    return document()


DESCRIBED = {f"{method.upper()} {path}" for path, methods in described()["paths"].items() for method in methods}
"""Every route that it tells of."""


def operation(route_key: str) -> dict[str, Any]:
    """What it says of a route."""
    method, path = route_key.split()
    found: dict[str, Any] = described()["paths"][path][method.lower()]
    return found


def responses(route_key: str) -> dict[str, Any]:
    """Status to what is answered, with references followed."""
    shared = described()["components"]["responses"]
    named = operation(route_key)["responses"]
    return {status: shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for status, one in named.items()}


@cache
def _validator(route_key: str, status: str, media_type: str) -> Any:
    schema = responses(route_key)[status]["content"][media_type]["schema"]
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": described()["components"]}, validate_formats=True
    )


def undescribed(route_key: str, response: Mapping[str, Any]) -> list[str]:
    """Everything in an answer (payload 2.0) that the document does not say, or says otherwise."""
    status = str(response["statusCode"])
    said = responses(route_key).get(status)
    if said is None:
        return [f"status {status} is not described"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return [*_headers(said.get("headers", {}), headers), *_body(route_key, status, said, headers, response["body"])]


def _headers(said: Mapping[str, Any], headers: Mapping[str, str]) -> list[str]:
    known = {name.lower(): one for name, one in said.items()}
    faults = [f"header {name} is missing" for name, one in known.items() if one.get("required") and name not in headers]
    for name in ("etag", "retry-after", "x-headgate-revision", "www-authenticate"):
        if name not in headers:
            continue
        if name not in known:
            faults.append(f"header {name} is not described")
        elif not jsonschema_rs.is_valid(known[name]["schema"], headers[name]):
            faults.append(f"header {name} is {headers[name]!r}")
    return faults


def _body(route_key: str, status: str, said: Mapping[str, Any], headers: Mapping[str, str], body: str) -> list[str]:
    content = said.get("content")
    if content is None:
        return ["a body is not described"] if body else []
    media_type = headers.get("content-type", "")
    if media_type not in content:
        return [f"media type {media_type} is not described"]
    errors = _validator(route_key, status, media_type).iter_errors(json.loads(body))
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}"[:300] for error in errors]
