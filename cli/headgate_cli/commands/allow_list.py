"""`headgate allow list` and `allow has`: read a flag's allowlist, however long it is."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.commands.allow_import import KindOption, MemberKind
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import FlagKeyArgument, flag_path
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.client import Client

_PAGE = 1_000
_Id = Annotated[str, typer.Argument(metavar="ID", help="The user or org.", show_default=False)]


def allow_list(ctx: typer.Context, key: FlagKeyArgument, kind: KindOption = MemberKind.USER) -> None:
    """Write the ids on a flag's allowlist to stdout, one per line.

    headgate allow import reads the lines back, so that a list can be carried to another stack. Exits with 4 if the list
    changes in between.

    Example: headgate allow list access > access.txt
    """
    from headgate_cli.member_file import member_line

    found = _members(client_of(ctx), key, kind.value)
    if settings_of(ctx).as_json:
        render.show_json({"kind": kind.value, "members": list(found)})
        return
    told = render.escaped if sys.stdout.isatty() else str  # a file gets each id as it is
    for name in found:
        typer.echo(told(member_line(name)))


def _members(client: "Client", key: str, kind: str) -> Iterator[str]:
    """Yield the ids. Raises `Failure` if the flag changes while they are read: some could be missing."""
    version: str | None = None
    cursor: str | None = None
    while True:
        answer = client.get(f"{flag_path(key)}/allow", {"kind": kind, "limit": _PAGE, "cursor": cursor})
        etag, page = answer.headers.get("etag"), answer.document
        if version not in (None, etag):
            title = "the allowlist changed while it was read"
            raise Failure(ExitCode.CONFLICT, title, "the ids so far are incomplete", hint="run the command again")
        yield from map(str, page.get("members", []))
        version, cursor = etag, page.get("next")
        if not cursor:
            return


def allow_has(ctx: typer.Context, key: FlagKeyArgument, name: _Id, kind: KindOption = MemberKind.USER) -> None:
    """Show whether a user or org is on a flag's allowlist.

    Exits with 1 if not. A rule may let in who is not listed: headgate explain shows the whole decision.

    Example: headgate allow has access alice
    """
    page: dict[str, Any] = client_of(ctx).get(f"{flag_path(key)}/allow", {"kind": kind.value, "id": name}).document
    is_on = name in page.get("members", [])
    if settings_of(ctx).as_json:
        render.show_json({"kind": kind.value, "id": name, "listed": is_on})
    else:
        render.show_lines([f"{kind.value} {name} is {'' if is_on else 'not '}on the allowlist of {key}"])
    if not is_on:
        raise typer.Exit(int(ExitCode.CHECK_FAILED))
