"""`headgate token`: exchange an identity token, and write the new token to stdout for `$(...)`."""

import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate_cli import failures, render
from headgate_cli.failures import ExitCode
from headgate_cli.options import OrgsOfUser, option
from headgate_cli.settings import api_url, client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.transport import HttpAnswer, Transport


class _Scope(StrEnum):
    """What the token permits."""

    ACCESS = "access"
    EVALUATE = "evaluate"
    SERVICE = "service"


def token(
    ctx: typer.Context,
    sub: Annotated[str | None, option(metavar="USER", help="Get this user's token from the dev provider.")] = None,
    org: OrgsOfUser = None,
    admin: Annotated[bool, typer.Option("--admin", help="Make the user an admin.")] = False,
    claim: Annotated[
        list[str] | None, option("--claim", metavar="NAME=VALUE", help="Another claim; repeatable.")
    ] = None,
    idp: Annotated[str | None, option(envvar="HEADGATE_IDP", metavar="URL", help="The dev identity provider.")] = None,
    identity_token: Annotated[
        Path | None, option("--identity-token", metavar="FILE", help="A file with an identity token; - for stdin.")
    ] = None,
    scope: Annotated[_Scope, typer.Option(help="evaluate: flags only. service: signed, no user.")] = _Scope.ACCESS,
    session: Annotated[str | None, option(metavar="ID", help="Start or renew a session, and print its token.")] = None,
    explain: Annotated[
        Path | None, option("--explain", metavar="FILE", help="Explain how the issuers in FILE read the token.")
    ] = None,
) -> None:
    """Exchange an identity token for a Headgate token.

    Pass the identity token with --identity-token FILE or HEADGATE_IDENTITY_TOKEN. With headgate local, --sub gets one
    from the dev identity provider.

    With --explain FILE, no exchange is made: the token is checked here, with the value of the parameter IdentityIssuers
    in FILE. The output says who it identifies, or why it is refused.

    Example: headgate token --sub alice --org acme
    """
    if explain is not None:
        _explain(ctx, _identity(sub, org, admin, claim, idp, identity_token), explain)
        return
    if scope is not _Scope.ACCESS and session is not None:
        raise failures.usage("--session and --scope cannot be used together")
    if scope is _Scope.SERVICE:
        answer = client_of(ctx).send("POST", "/v1/service-token").required()
    else:
        answer = _exchanged(ctx, _identity(sub, org, admin, claim, idp, identity_token), scope, session).required()
    document = answer.document
    if settings_of(ctx).as_json:
        render.show_json(document)
    else:
        render.show_lines([str(document.get("access_token", ""))])


def _explain(ctx: typer.Context, identity: str, file: Path) -> None:
    from headgate.core.documents import Invalid
    from headgate.tokens.issuers import parse_issuers
    from headgate_cli.identity_check import identified

    try:
        issuers = parse_issuers(_read(file))
    except Invalid as invalid:
        raise failures.usage(f"{file} is not a valid value of IdentityIssuers", str(invalid)) from None
    found = identified(identity, issuers, time.time())
    if settings_of(ctx).as_json:
        render.show_json(found)
    else:
        render.show_pairs((name, _shown(value)) for name, value in found.items() if value not in (None, [], {}))
    if not found["accepted"]:
        raise typer.Exit(ExitCode.REFUSED)


def _shown(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    return "yes" if value is True else "no" if value is False else value


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
        raise failures.usage("--org, --admin, and --claim need --sub USER")
    given = _read(file) if file is not None else os.environ.get("HEADGATE_IDENTITY_TOKEN", "")
    if not given.strip():
        raise failures.usage(
            "no identity token", "pass --sub USER or --identity-token FILE, or set HEADGATE_IDENTITY_TOKEN"
        )
    return given.strip()


def _from_dev_idp(sub: str, orgs: tuple[str, ...], admin: bool, claims: list[str], idp: str | None) -> str:
    from headgate_cli.exchange import Who, identity_token
    from headgate_cli.transport import checked_url

    if not idp:
        raise failures.usage("--sub needs the dev identity provider: pass --idp URL or set HEADGATE_IDP")
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
