"""The OpenAPI 3.1 document of everything that a stack serves, except the protected service."""

from typing import Any

from pydantic import BaseModel

from headgate.openapi import SERVED, answers, audit, evaluation, lists, parts, preview, tokens
from headgate.openapi.calls import Described, calls, gateway_responses
from headgate.openapi.schemas import answers_in, documents, of_models

TITLE = "Headgate"
ABOUT = """\
An access gate for progressive rollout: it decides (flags), admits (a signed token), enforces (an authorizer), and
records every change (the audit stream). This document does not include the protected service's own routes.

Sign admin calls with AWS Signature Version 4 for the service `execute-api`. They are checked in this order: signature,
JSON, idempotency, validation, precondition, shrink."""
SECURITY: Described = {
    "sigv4": {
        "type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4",
        "description": "AWS Signature Version 4, service `execute-api`. IAM decides who may call which route.",
    },
    "bearer": {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "An access, evaluation, or service token.",
    },
}  # fmt: skip


def document() -> dict[str, Any]:
    """Return the document."""
    described = {**tokens.token_calls(), **evaluation.evaluate_calls(), **calls(SERVED)}
    paths: dict[str, Described] = {}
    for route_key, call in described.items():
        method, path = route_key.split()
        paths.setdefault(path, {})[method.lower()] = call
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"securitySchemes": SECURITY, "responses": gateway_responses(), "schemas": _schemas()},
    }


def _schemas() -> dict[str, Described]:
    bodies: list[type[BaseModel]] = [
        route.body for route in SERVED.values() if route.body is not None and not isinstance(route.body, str)
    ]
    models = answers_in(parts, answers, audit, lists, preview, tokens, evaluation)
    made = {**of_models([*bodies, *models]), **documents()}
    return dict(sorted(made.items()))
