"""Decides what the template's API declares: each route with its authorisation, the authorizers, CORS.

It takes resolved values and refuses whatever it does not know: `$default`, `ANY`, a greedy path, another format.
It must not know YAML, intrinsics or how a route is served.
Source: AWS SAM specification, `HttpApiAuth`, `LambdaAuthorizationIdentity`, `HttpApiCorsConfiguration`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headgate_cli.local.declared import AWS_IAM, NONE, Cors, DeclaredAuthorizer, DeclaredRoute, local_arn
from headgate_cli.local.intrinsics import TemplateError

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PATH = re.compile(r"^(/([A-Za-z0-9._~%-]+|\{[A-Za-z0-9._-]+\}))+$")
_SOURCE = re.compile(r"^\$(request\.(header|querystring)|context|stageVariables)\.[A-Za-z0-9._-]+$")
_READ = frozenset({"Auth", "CorsConfiguration"})
_HARMLESS = frozenset(
    {
        "AccessLogSettings",
        "DefaultRouteSettings",
        "Description",
        "DisableExecuteApiEndpoint",
        "FailOnWarnings",
        "Name",
        "PropagateTags",
        "RouteSettings",
        "Tags",
    }
)  # logs, names, throttles, host names: no route or authorisation depends on them
_SOURCES = {
    "Headers": "$request.header.",
    "QueryStrings": "$request.querystring.",
    "Context": "$context.",
    "StageVariables": "$stageVariables.",
}


@dataclass(frozen=True, slots=True)
class Auth:
    """The API's authorizers, and the one that a route gets which names none."""

    authorizers: Mapping[str, DeclaredAuthorizer]
    default: str


def refuse_unread(api: str, properties: Mapping[str, Any]) -> None:
    """Raise TemplateError when the API has a member that could change routes and is not read here."""
    for name in sorted(set(properties) - _READ - _HARMLESS):
        raise TemplateError(f"{api}: {name} is not known here")


def read_auth(api: str, auth: Mapping[str, Any]) -> Auth:
    """The API's `Auth`. Raises TemplateError."""
    unknown = set(auth) - {"Authorizers", "DefaultAuthorizer", "EnableIamAuthorizer"}
    if unknown:
        raise TemplateError(f"{api}: Auth.{min(unknown)} is not known here")
    found = {name: _authorizer(name, spec) for name, spec in auth.get("Authorizers", {}).items()}
    default = auth.get("DefaultAuthorizer", NONE)
    if default not in (NONE, AWS_IAM) and default not in found:
        raise TemplateError(f"{api}: the default authorizer {default} is not declared")
    return Auth(authorizers=found, default=default)


def _authorizer(name: str, spec: Mapping[str, Any]) -> DeclaredAuthorizer:
    arn, functions = str(spec.get("FunctionArn", "")), local_arn("lambda", "function:")
    function = arn.removeprefix(functions).partition(":")[0]  # what follows is an alias's name
    if not arn.startswith(functions):
        raise TemplateError(f"authorizer {name}: FunctionArn must be a function of this template")
    if str(spec.get("AuthorizerPayloadFormatVersion")) != "2.0" or spec.get("EnableSimpleResponses") is not True:
        raise TemplateError(f"authorizer {name}: only payload 2.0 with simple responses is known here")
    identity = spec.get("Identity", {})
    ttl = identity.get("ReauthorizeEvery")
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl <= 3600:
        raise TemplateError(f"authorizer {name}: ReauthorizeEvery must be said, 0 to 3600 seconds")
    sources = tuple(_identity_sources(name, identity))
    return DeclaredAuthorizer(name=name, function=function, identity_sources=sources, ttl=ttl)


def _identity_sources(name: str, identity: Mapping[str, Any]) -> Iterable[str]:
    unknown = set(identity) - set(_SOURCES) - {"ReauthorizeEvery"}
    if unknown:
        raise TemplateError(f"authorizer {name}: Identity.{min(unknown)} is not known here")
    for member, prefix in _SOURCES.items():
        for item in identity.get(member, []):
            if not _SOURCE.match(prefix + str(item)):
                raise TemplateError(f"authorizer {name}: identity source {item!r} is not known here")
            yield prefix + str(item)


def read_route(where: str, properties: Mapping[str, Any], function: str, auth: Auth) -> DeclaredRoute:
    """One `HttpApi` event. Raises TemplateError."""
    method, path = str(properties.get("Method", "")).upper(), str(properties.get("Path", ""))
    if method not in _METHODS:
        raise TemplateError(f"{where}: method {method or '(none)'} is refused; every route names one method")
    if not _PATH.match(path):
        raise TemplateError(f"{where}: path {path or '(none)'} is refused; no $default, no greedy proxy")
    if str(properties.get("PayloadFormatVersion", "2.0")) != "2.0":
        raise TemplateError(f"{where}: only payload format 2.0 is known here")
    own = properties.get("Auth", {})
    if set(own) - {"Authorizer"}:
        raise TemplateError(f"{where}: only Auth.Authorizer is known here")
    name = own.get("Authorizer", auth.default)
    if name not in (NONE, AWS_IAM) and name not in auth.authorizers:
        raise TemplateError(f"{where}: authorizer {name} is not declared")
    return DeclaredRoute(method=method, path=path, function=function, auth=name)


def refuse_twins(routes: Iterable[DeclaredRoute]) -> None:
    """Raise TemplateError for two routes that differ only in a parameter's name."""
    seen: dict[str, DeclaredRoute] = {}
    for route in routes:
        shape = re.sub(r"\{[^}]*\}", "{}", route.key)
        if shape in seen:
            raise TemplateError(f"{route.key} and {seen[shape].key} are the same route")
        seen[shape] = route


def read_cors(api: str, spec: Any) -> Cors | None:
    """The API's `CorsConfiguration`, or None where it has none. Raises TemplateError."""
    if not spec:
        return None
    if not isinstance(spec, dict):
        raise TemplateError(f"{api}: CorsConfiguration must name its origins")

    def names(member: str) -> tuple[str, ...]:
        value = spec.get(member, [])
        if not isinstance(value, list):
            raise TemplateError(f"{api}: CorsConfiguration.{member} is not a list")
        return tuple(str(item) for item in value if item)

    return Cors(
        allow_origins=names("AllowOrigins"),
        allow_methods=names("AllowMethods"),
        allow_headers=names("AllowHeaders"),
        expose_headers=names("ExposeHeaders"),
        max_age=int(spec["MaxAge"]) if "MaxAge" in spec else None,
        allow_credentials=spec.get("AllowCredentials") is True,
    )
