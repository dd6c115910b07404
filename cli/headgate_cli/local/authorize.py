"""Decides whether a request passes its route's authorisation: none, AWS_IAM, or a Lambda authorizer.

AWS_IAM: the signature is verified, then the signer's policies are held against the method and the path as requested.
A Lambda authorizer is asked only when each of its identity sources is there; its answer is taken only in the exact form
of a simple response. It must not know what the route's function does.
Source: API Gateway Developer Guide, "Lambda authorizers for HTTP APIs", "IAM authorization for HTTP APIs".
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from headgate_cli.local import answer as answers
from headgate_cli.local.answer import GatewayAnswer
from headgate_cli.local.declared import ACCOUNT_ID, AWS_IAM, NONE, REGION, DeclaredAuthorizer, Template
from headgate_cli.local.event import GatewayRequest, authorizer_event, route_arn
from headgate_cli.local.iam import INVOKE, is_allowed
from headgate_cli.local.matching import Match
from headgate_cli.local.principals import Principal
from headgate_cli.local.runtime import Outcome
from headgate_cli.local.sigv4 import Signable, SignatureRefused, verify_signature

_TIMEOUT = 10.0
"""Seconds that an authorizer has (quota)."""
_MAX_CACHED = 10_000

Allowed = Mapping[str, Any] | None
"""What `requestContext.authorizer` will hold; None for an open route."""

Invoke = Callable[[str, Mapping[str, Any], float], Awaitable[Outcome | None]]
"""Calls a function by logical id, with an event and a limit in seconds; None when the limit passed."""


class Authorization:
    """The template's authorizers and the principals who may sign."""

    def __init__(self, template: Template, principals: Mapping[str, Principal], invoke: Invoke) -> None:
        self._authorizers = template.authorizers
        self._principals = {principal.access_key_id: principal for principal in principals.values()}
        self._secrets = {principal.access_key_id: principal.secret_access_key for principal in principals.values()}
        self._invoke = invoke
        self._cache: dict[tuple[str, ...], tuple[float, Mapping[str, Any]]] = {}

    async def admit(self, request: GatewayRequest, match: Match, event: Mapping[str, Any]) -> Allowed | GatewayAnswer:
        """What `requestContext.authorizer` will hold, or the refusal."""
        if match.route.auth == NONE:
            return None
        if match.route.auth == AWS_IAM:
            return self._by_signature(request)
        return await self._by_function(self._authorizers[match.route.auth], request, event)

    def _by_signature(self, request: GatewayRequest) -> Allowed | GatewayAnswer:
        signable = Signable(request.method, request.path, request.query, request.headers, request.body)
        try:
            key_id = verify_signature(signable, self._secrets, region=REGION, now=datetime.now(UTC))
        except SignatureRefused:
            return answers.FORBIDDEN
        principal = self._principals[key_id]
        if not is_allowed(principal.statements, INVOKE, route_arn(REGION, request)):
            return answers.FORBIDDEN
        return {
            "iam": {
                "accessKey": key_id,
                "accountId": ACCOUNT_ID,
                "callerId": principal.user_id,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": principal.user_arn,
                "userId": principal.user_id,
            }
        }

    async def _by_function(
        self, authorizer: DeclaredAuthorizer, request: GatewayRequest, event: Mapping[str, Any]
    ) -> Allowed | GatewayAnswer:
        identity = [_identity(source, event) for source in authorizer.identity_sources]
        if not all(identity):
            return answers.UNAUTHORIZED
        key = (authorizer.name, *identity)
        kept = self._cache.get(key)
        if kept is not None and kept[0] > time.monotonic():
            verdict = kept[1]
        else:
            asked = authorizer_event(event, identity, route_arn(REGION, request))
            outcome = await self._invoke(authorizer.function, asked, _TIMEOUT)
            if outcome is None or outcome.failure or not _is_verdict(outcome.answer):
                return answers.INTERNAL_ERROR
            verdict = outcome.answer
            self._keep(authorizer, key, verdict)
        if not verdict["isAuthorized"]:
            return answers.FORBIDDEN
        return {"lambda": verdict.get("context", {})}

    def _keep(self, authorizer: DeclaredAuthorizer, key: tuple[str, ...], verdict: Mapping[str, Any]) -> None:
        if authorizer.ttl:
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[key] = (time.monotonic() + authorizer.ttl, verdict)


def _identity(source: str, event: Mapping[str, Any]) -> str:
    """The value of an identity source, "" when it is absent."""
    kind, _, name = source.rpartition(".")
    if kind == "$request.header":
        return str(event["headers"].get(name.lower(), ""))
    if kind == "$request.querystring":
        return str(dict(parse_qsl(event["rawQueryString"])).get(name, ""))
    if source == "$context.routeKey":
        return str(event["routeKey"])
    value: object = event["requestContext"].get(name, "") if kind == "$context" else ""
    return value if isinstance(value, str) else ""


def _is_verdict(value: Any) -> bool:
    """Exactly a simple response: `isAuthorized` a boolean, `context` scalars."""
    if not isinstance(value, dict) or not set(value) <= {"isAuthorized", "context"}:
        return False
    context = value.get("context", {})
    return (
        isinstance(value.get("isAuthorized"), bool)
        and isinstance(context, dict)
        and all(isinstance(item, (str, int, float)) for item in context.values())
    )
