"""Tokens as a client gets them: an identity token exchanged at `/v1/token` (RFC 8693). Holds no secret of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from headgate.edge.oauth import ACCESS_TOKEN, GRANT, ID_TOKEN, SESSION_TOKEN
from headgate_cli import failures
from headgate_cli.transport import HttpAnswer, NoAnswer, Transport


@dataclass(frozen=True, slots=True)
class Who:
    """A person as the dev identity provider is asked for one."""

    sub: str
    orgs: tuple[str, ...] = ()
    admin: bool = False
    claims: Mapping[str, str] | None = None

    @property
    def form(self) -> dict[str, str]:
        """The provider's form fields."""
        fields = {"sub": self.sub, "orgs": ",".join(self.orgs), "admin": "true" if self.admin else ""}
        return {**(self.claims or {}), **{name: value for name, value in fields.items() if value}}


def identity_token(transport: Transport, idp: str, who: Who) -> str:
    """Ask the dev identity provider. Raises `Failure`."""
    answer = post_form(transport, f"{idp}/token", who.form).required()
    token = answer.document.get("id_token")
    if not isinstance(token, str):
        raise failures.unavailable("the identity provider gave no id_token")
    return token


def exchange(
    transport: Transport,
    api: str,
    token: str,
    *,
    kind: str = ID_TOKEN,
    scope: str | None = None,
    session: str | None = None,
) -> HttpAnswer:
    """Exchange a token. The answer may be a refusal: the caller looks.

    `kind` is the URN of what `token` is; `session` asks for the token of that session.
    """
    form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": kind}
    if scope is not None:
        form["scope"] = scope
    if session is not None:
        form |= {"requested_token_type": SESSION_TOKEN, "session_id": session}
    return post_form(transport, f"{api}/v1/token", form)


def session_token(transport: Transport, api: str, identity: str, session: str) -> HttpAnswer:
    """Start or renew a session: by a fresh access token; where access is off, by the identity token (renewal only)."""
    access = exchange(transport, api, identity)
    if access.ok:
        token = str(access.document["access_token"])
        return exchange(transport, api, token, kind=ACCESS_TOKEN, session=session)
    return exchange(transport, api, identity, session=session) if access.status == 403 else access


def post_form(transport: Transport, url: str, form: Mapping[str, str]) -> HttpAnswer:
    """POST a form. Raises `Failure` where no answer comes."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        return transport.send("POST", url, urlencode(form).encode(), headers)
    except NoAnswer as error:
        raise failures.unavailable(str(error)) from None
