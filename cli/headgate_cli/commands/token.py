"""`headgate token`: exchange an identity token, and write what comes back to stdout for `$(...)`."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate_cli import failures, render
from headgate_cli.options import option
from headgate_cli.settings import api_url, client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.transport import HttpAnswer, Transport


class _Scope(StrEnum):
    """What the token is good for."""

    ACCESS = "access"
    EVALUATE = "evaluate"
    SERVICE = "service"


def token(
    ctx: typer.Context,
    sub: Annotated[str | None, option(metavar="USER", help="Ask the dev identity provider for this user.")] = None,
    org: Annotated[list[str] | None, option("--org", metavar="ID", help="An org of the user; may repeat.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="The user is an admin.")] = False,
    claim: Annotated[
        list[str] | None, option("--claim", metavar="NAME=VALUE", help="Another claim; may repeat.")
    ] = None,
    idp: Annotated[str | None, option(envvar="HEADGATE_IDP", metavar="URL", help="The dev identity provider.")] = None,
    identity_token: Annotated[
        Path | None, option("--identity-token", metavar="FILE", help="A file that holds an identity token; - is stdin.")
    ] = None,
    scope: Annotated[
        _Scope, typer.Option(help="access, evaluate (flags only), or service (signed, no user).")
    ] = _Scope.ACCESS,
    session: Annotated[str | None, option(metavar="ID", help="Start or renew this session; gives its token.")] = None,
) -> None:
    """Exchange an identity token for a Headgate token.

    On a laptop: headgate token --sub alice --org o1. Elsewhere: --identity-token FILE, or HEADGATE_IDENTITY_TOKEN.
    """
    if scope is not _Scope.ACCESS and session is not None:
        raise failures.usage("--session gives a session token; it takes no --scope")
    if scope is _Scope.SERVICE:
        answer = client_of(ctx).send("POST", "/v1/service-token").required()
    else:
        answer = _exchanged(ctx, _identity(sub, org, admin, claim, idp, identity_token), scope, session).required()
    document = answer.document
    if settings_of(ctx).as_json:
        render.show_json(document)
    else:
        render.show_lines([str(document.get("access_token", ""))])


def _exchanged(ctx: typer.Context, identity: str, scope: _Scope, session: str | None) -> "HttpAnswer":
    from headgate_cli.exchange import exchange, session_token

    api, transport = api_url(settings_of(ctx)), _transport()
    if session is not None:
        return session_token(transport, api, identity, session)
    return exchange(transport, api, identity, scope=None if scope is _Scope.ACCESS else scope.value)


def _identity(
    sub: str | None, orgs: list[str] | None, admin: bool, claims: list[str] | None, idp: str | None, file: Path | None
) -> str:
    if sub is not None:
        return _from_dev_idp(sub, tuple(orgs or ()), admin, claims or [], idp)
    if orgs or admin or claims:
        raise failures.usage("--org, --admin and --claim say what --sub USER is to be")
    given = _read(file) if file is not None else os.environ.get("HEADGATE_IDENTITY_TOKEN", "")
    if not given.strip():
        raise failures.usage("whose token? give --sub USER, --identity-token FILE or HEADGATE_IDENTITY_TOKEN")
    return given.strip()


def _from_dev_idp(sub: str, orgs: tuple[str, ...], admin: bool, claims: list[str], idp: str | None) -> str:
    from headgate_cli.exchange import Who, identity_token
    from headgate_cli.transport import checked_url

    if not idp:
        raise failures.usage("--sub asks the dev identity provider: give --idp URL or set HEADGATE_IDP")
    named = dict(item.partition("=")[::2] for item in claims)
    return identity_token(_transport(), checked_url(idp), Who(sub, orgs, admin, named))


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise failures.usage(f"cannot read {file}: {type(error).__name__}") from None


def _transport() -> "Transport":
    from headgate_cli.transport import Transport

    return Transport(os.environ.get("AWS_CA_BUNDLE"))
