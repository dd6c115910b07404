"""The token endpoint's form and its errors: RFC 8693 token exchange in, RFC 6749 §5.2 errors out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from headgate.core.session import SESSION_ID
from headgate.edge.http import Request, Response, respond
from headgate.edge.problems import RETRY_AFTER

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 a name, not a secret
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105
JWT = "urn:ietf:params:oauth:token-type:jwt"
SESSION_TOKEN = "urn:headgate:params:oauth:token-type:session"  # noqa: S105

MAX_FORM = 16_384
MAX_FIELDS = 20


class OAuthError(Exception):
    """An OAuth error. `description` is generic and never contains what was sent."""

    def __init__(self, status: int, error: str, description: str, *, revision: int | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.description, self.revision = status, error, description, revision

    def response(self) -> Response:
        """Return the response, always with `no-store`."""
        headers = {} if self.revision is None else {"x-headgate-revision": str(self.revision)}
        headers |= {"retry-after": RETRY_AFTER} if self.status in (429, 503) else {}
        return respond(self.status, {"error": self.error, "error_description": self.description}, headers)


def invalid_request(description: str) -> OAuthError:
    """Return `invalid_request`, for requests that no other error of RFC 6749 covers."""
    return OAuthError(400, "invalid_request", description)


def access_denied(revision: int | None) -> OAuthError:
    """Return `access_denied`: the subject is verified but not admitted."""
    return OAuthError(403, "access_denied", "this subject does not have access", revision=revision)


UNAVAILABLE = "temporarily_unavailable"


def temporarily_unavailable(cause: str) -> OAuthError:
    """Return `temporarily_unavailable`: 503 with Retry-After."""
    return OAuthError(503, UNAVAILABLE, f"{cause}, try again")


def too_many() -> OAuthError:
    """Return `temporarily_unavailable` for one subject that asks too often: 429 with Retry-After."""
    return OAuthError(429, UNAVAILABLE, "this subject requests too many tokens, try again")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A well-formed exchange. `session_id` is set only if a session token is requested."""

    subject_token: str = field(repr=False)
    subject_type: str
    scope: str
    session_id: str | None


def read_exchange(request: Request, audience: str) -> Exchange:
    """Read and check the form. Parameters that are unknown or have no value are ignored (RFC 6749 §3.2).

    Raises `OAuthError`.
    """
    form = _form(request)
    if "grant_type" not in form:
        raise invalid_request("grant_type is missing")
    if form["grant_type"] != GRANT:
        raise OAuthError(400, "unsupported_grant_type", "grant_type must be token exchange")
    for name in ("subject_token", "subject_token_type"):
        if not form.get(name):
            raise invalid_request(f"{name} is missing")
    if "actor_token" in form or "actor_token_type" in form:
        raise invalid_request("actor_token is not supported")
    for name in ("audience", "resource"):
        if form.get(name, audience) != audience:
            raise OAuthError(400, "invalid_target", f"unknown {name}")
    if form["subject_token_type"] not in (ID_TOKEN, ACCESS_TOKEN):
        raise invalid_request("subject_token_type is not supported")
    return _read_request(form)


def _read_request(form: Mapping[str, str]) -> Exchange:
    requested = form.get("requested_token_type", ACCESS_TOKEN)
    if requested not in (ACCESS_TOKEN, JWT, SESSION_TOKEN):
        raise invalid_request("requested_token_type is not supported")
    wants_session = requested == SESSION_TOKEN
    scope = form.get("scope", "session" if wants_session else "access")
    if scope not in (("session",) if wants_session else ("access", "evaluate")):
        raise OAuthError(400, "invalid_scope", "scope is not supported")
    if form["subject_token_type"] == ACCESS_TOKEN and not wants_session:
        raise invalid_request("an access token can only be exchanged for a session token")
    session_id = form.get("session_id", "")
    if wants_session and not SESSION_ID.fullmatch(session_id):
        raise invalid_request("session_id must be 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    return Exchange(form["subject_token"], form["subject_token_type"], scope, session_id if wants_session else None)


def _form(request: Request) -> dict[str, str]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise OAuthError(415, "invalid_request", "the body must be application/x-www-form-urlencoded")
    if len(request.body) > MAX_FORM:
        raise OAuthError(413, "invalid_request", f"the body must be at most {MAX_FORM} bytes")
    try:
        text = request.body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise invalid_request("the form is malformed or has too many parameters") from None
    if len(dict(pairs)) != len(pairs):
        raise invalid_request("a parameter is repeated")
    return {name: value for name, value in pairs if value}
