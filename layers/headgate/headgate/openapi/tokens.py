"""The token function's calls: exchange, service token, public keys, metadata. Errors follow RFC 6749 §5.2."""

from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from headgate.core.session import SESSION_ID
from headgate.edge.oauth import ACCESS_TOKEN, GRANT, ID_TOKEN, JWT, SESSION_TOKEN, UNAVAILABLE
from headgate.openapi.calls import GATEWAYS, RETRY, REVISION_HEADER, Described, gateways, in_json
from headgate.openapi.parts import AnswerSchema
from headgate.openapi.schemas import component

REFUSED = ("invalid_request", "unsupported_grant_type", "invalid_target", "invalid_scope")
ERRORS: dict[int, tuple[str, ...]] = {
    400: REFUSED,
    403: ("access_denied",),
    413: ("invalid_request",),
    415: ("invalid_request",),
    429: (UNAVAILABLE,),
    503: (UNAVAILABLE,),
}
Url = Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
Base64Url = Annotated[str, WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"})]


class TokenSchema(AnswerSchema):
    """A signed token (RFC 8693 §2.2.1)."""

    access_token: Annotated[str, WithJsonSchema({"type": "string", "pattern": r"^[\w-]+\.[\w-]+\.[\w-]+$"})]
    issued_token_type: Annotated[str, WithJsonSchema({"enum": [ACCESS_TOKEN, SESSION_TOKEN]})]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(gt=0)]
    scope: Literal["access", "evaluate", "session", "service"]


class OAuthErrorSchema(AnswerSchema):
    """An OAuth error. The description is generic and never contains what was sent."""

    error: Annotated[str, WithJsonSchema({"enum": sorted({error for errors in ERRORS.values() for error in errors})})]
    error_description: str


class PublicKeySchema(AnswerSchema):
    """A public key that verifies tokens (RFC 7517, RFC 7518 §6.2)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Base64Url
    y: Base64Url
    kid: str
    use: Literal["sig"]
    alg: Literal["ES256"]


class KeySetSchema(AnswerSchema):
    """The public keys in the states `next`, `active`, and `previous`."""

    keys: list[PublicKeySchema]


class MetadataSchema(AnswerSchema):
    """Authorization server metadata (RFC 8414 §2)."""

    issuer: Url
    token_endpoint: Url
    jwks_uri: Url
    grant_types_supported: list[str]
    response_types_supported: list[str]
    scopes_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]


def _text(description: str, **more: Any) -> Described:
    return {"type": "string", "description": description, **more}


FORM: Described = {
    "type": "object",
    "description": "RFC 8693 §2.1. Unknown parameters are ignored; none may be repeated.",
    "required": ["grant_type", "subject_token", "subject_token_type"],
    "properties": {
        "grant_type": {"const": GRANT},
        "subject_token": _text("An identity token. For a session, also an access or session token.",
                               minLength=1),
        "subject_token_type": {"enum": [ID_TOKEN, ACCESS_TOKEN]},
        "requested_token_type": {"enum": [ACCESS_TOKEN, JWT, SESSION_TOKEN], "default": ACCESS_TOKEN},
        "session_id": _text("Required for a session token.", pattern=f"^{SESSION_ID.pattern}$"),
        "scope": {"enum": ["access", "evaluate", "session"],
                  "description": "`evaluate`: a token that can only evaluate flags, for every verified subject."},
        "audience": _text("The audience of access tokens. Optional."),
        "resource": _text("An alternative to `audience`. Optional."),
    },
}  # fmt: skip


def token_calls() -> dict[str, Described]:
    """Return every call of the token function, by route key."""
    form = {"required": True, "content": in_json(FORM, "application/x-www-form-urlencoded")}
    minted = {"200": _answer("The token.", "Token", {**REVISION_HEADER})}
    return {
        "POST /v1/token": _call("exchange", "Exchange an identity token for a signed token (RFC 8693).",
                                {**minted, **_errors(*ERRORS)}, requestBody=form),
        "POST /v1/service-token": _call("service_token", "Get a token for a backend that names its subjects.",
                                        {**minted, **_errors(400, 503)}, security=[{"sigv4": []}]),
        "GET /.well-known/jwks.json": _call("jwks", "Get the public keys that verify tokens.",
                                            {"200": _answer("The keys; cacheable.", "KeySet"), **_errors(403, 503)}),
        "GET /.well-known/oauth-authorization-server": _call("metadata", "Get the OAuth server metadata (RFC 8414).",
                                                             {"200": _answer("The metadata; cacheable.", "Metadata"),
                                                              **_errors(403)}),
    }  # fmt: skip


def _call(name: str, summary: str, responses: Described, **more: Any) -> Described:
    """Describe one call, open unless `security` says otherwise."""
    signed = (403,) if more.get("security") else ()
    answered = dict(sorted({**gateways(*signed, 429, 500), **responses}.items()))
    return {"operationId": name, "tags": ["token"], "summary": summary, "security": [], **more, "responses": answered}


def _answer(description: str, model: str, headers: Described | None = None) -> Described:
    return {"description": description, "headers": headers or {}, "content": in_json(component(model))}


def _errors(*statuses: int) -> Described:
    return {str(status): _error(status, ERRORS[status]) for status in statuses}


def _error(status: int, errors: tuple[str, ...]) -> Described:
    exact = {"properties": {"error": {"enum": list(errors)}}}
    headers = {503: RETRY, 403: REVISION_HEADER}.get(status, {})
    told, schema = ", ".join(f"`{error}`" for error in errors), {"allOf": [component("OAuthError"), exact]}
    if status == 429:
        told = f"{told}: too many tokens for this subject, with `Retry-After`. {GATEWAYS[status]}"
        schema = {"anyOf": [schema, component("GatewayAnswer")]}
    return {"description": told, "headers": headers, "content": in_json(schema)}
