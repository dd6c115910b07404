"""`headgate sessions`: who is inside, and ending one session."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from headgate_cli import render
from headgate_cli.options import COMMON, ReasonOption, option
from headgate_cli.settings import client_of, settings_of

app = typer.Typer(help="List the live sessions, or end one.", invoke_without_command=True, epilog=COMMON)

_PATH = "/admin/v1/sessions"
_HEADERS = ("subject", "session", "started", "token ends", "id")


@app.callback()
def sessions(
    ctx: typer.Context,
    subject: Annotated[str | None, option(metavar="USER", help="Only this user's.")] = None,
) -> None:
    """List the live sessions, or end one. With no command: list."""
    if ctx.invoked_subcommand is None:
        list_sessions(ctx, subject)


@app.command("list", epilog=COMMON)
def list_sessions(
    ctx: typer.Context,
    subject: Annotated[str | None, option(metavar="USER", help="Only this user's.")] = None,
) -> None:
    """Every live session, and how many there are."""
    pages = list(client_of(ctx).pages(_PATH))
    found = [session for page in pages for session in page.get("sessions", [])]
    shown = [session for session in found if subject in (None, session.get("subject"))]
    counts = pages[0].get("counts") or {}
    if settings_of(ctx).as_json:
        render.show_json({"sessions": shown, "counts": counts})
        return
    render.show_table(_HEADERS, [_row(session) for session in shown], empty="nobody is inside")
    if shown and subject is None:
        render.show_lines([_counted(counts, len(found))])


def _row(session: dict[str, Any]) -> tuple[object, ...]:
    started, ends = (_minute(session.get(name)) for name in ("started_at", "expires_at"))
    return session.get("subject"), session.get("session_id"), started, ends, session.get("id")


def _counted(counts: dict[str, Any], seen: int) -> str:
    inside, last = counts.get("inside"), counts.get("last_leaves_at")
    return f"{seen if inside is None else inside} inside" + (
        f", the last must leave by {_minute(last)}" if last else ""
    )


def _minute(moment: object) -> str:
    return str(moment or "")[:16].replace("T", " ")


@app.command("end", epilog=COMMON)
def end_session(
    ctx: typer.Context,
    record: Annotated[str, typer.Argument(metavar="ID", help="Its id, as the list shows it.", show_default=False)],
    reason: ReasonOption,
) -> None:
    """End one session for good.

    Its token is refused within 5 s, and it is not renewed. The same id may be started anew by whoever is let in.
    """
    client_of(ctx).change("DELETE", f"{_PATH}/{quote(record, safe='')}", {"reason": reason}).required()
    if settings_of(ctx).as_json:
        render.show_json({"ended": record})
        return
    render.show_lines([f"ended {record}: refused within 5 s, and not renewed"])
