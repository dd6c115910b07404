"""The options that several commands share, and their checks, which run before anything is sent."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer

from headgate.core.documents import is_plain
from headgate.core.limits import KEY
from headgate.core.model import Reach, Stage, Unit
from headgate_cli import failures

COMMON = "Global options: --json, --api URL, --profile NAME, and --region NAME.\n\nGlossary: docs/glossary.md"

option = partial(typer.Option, show_default=False)


def checked_key(key: str) -> str:
    """Return a valid flag key. Raises a usage error otherwise, since the key becomes part of a path."""
    if not KEY.fullmatch(key):
        raise typer.BadParameter("a flag key has 1 to 64 of a-z 0-9 . _ - and starts with a letter or digit")
    return key


def checked_percent(value: float | None) -> float | None:
    """Return a percent from 0 to 100 with at most 3 decimals, as an int if it is whole. Raises a usage error."""
    if value is None:
        return None
    if not math.isfinite(value) or not 0 <= value <= 100 or round(value, 3) != value:
        raise typer.BadParameter("a percent is from 0 to 100, with at most 3 decimals")
    return int(value) if value == int(value) else value


def checked_reason(text: str) -> str:
    """Return a reason that is one line and not blank. Raises a usage error."""
    if not text.strip() or not is_plain(text):
        raise typer.BadParameter("a reason is one line of text and not blank")
    return text


def checked_time(text: str | None) -> str | None:
    """Return an RFC 3339 time with an offset as UTC. Raises a usage error."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a time looks like 2030-01-31T18:00:00Z") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("a time needs a UTC offset, as in 2030-01-31T18:00:00Z")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def checked_moment(text: str | None) -> str | None:
    """Return a revision, or a time as UTC. Raises a usage error."""
    return text if text is None or re.fullmatch(r"[0-9]{1,12}", text) else checked_time(text)


def pairs(given: Sequence[str]) -> dict[str, Any]:
    """Parse `NAME=VALUE` options as attributes. A value is a number, a boolean, or else text. Raises `Failure`."""
    found: dict[str, Any] = {}
    for item in given:
        name, sign, text = item.partition("=")
        if not sign or not name:
            raise failures.usage(f"--attribute must be NAME=VALUE, not {item}")
        found[name] = _scalar(text)
    return found


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", text) else text


ONE_ID = re.compile(r'"((?:[^"]|"")+)"|([^",;][^,;]*)')
"""One id, as a line of a CSV file with one column has it."""


def id_in(text: str) -> str | None:
    """Return the id in a CSV field, without its quotes, or None if the text has several fields or is badly quoted."""
    found = ONE_ID.fullmatch(text)
    if found is None:
        return None
    quoted, plain = found.groups()
    return str(plain) if quoted is None else str(quoted).replace('""', '"')


def checked_ids(given: list[str] | None) -> list[str] | None:
    """Return the ids of a repeatable option. Raises a usage error for several ids in one."""
    for text in given or ():
        if text and id_in(text) is None:
            raise typer.BadParameter(f"{text} is not one id: repeat the option for each, and quote one with a comma")
    return given and [id_in(text) or "" for text in given]


def flag_path(key: str) -> str:
    """Return a flag's path. The key must be checked, so that it needs no escaping."""
    return f"/admin/v1/flags/{key}"


FlagKeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The flag's key.", callback=checked_key, show_default=False)
]
ReasonOption = Annotated[
    str, option("--reason", metavar="TEXT", help="Why; recorded in the audit log.", callback=checked_reason)
]
StageArgument = Annotated[Stage, typer.Argument(metavar="STAGE", help="The new stage.", show_default=False)]
NewUnit = Annotated[Unit | None, option("--unit", help="What the percentage counts.")]
AllowShrink = Annotated[bool, typer.Option("--allow-shrink", help="Allow this change to remove access.")]
AllowOpen = Annotated[bool, typer.Option("--allow-open", help="Allow this change to open routes.")]
IfMatch = Annotated[
    str | None, option("--if-match", metavar="VERSION", help="Change only this version. Default: the current one.")
]
Percent = Annotated[
    float | None,
    option("--percent", metavar="N", help="0 to 100, at most 3 decimals.", callback=checked_percent),
]
Users = Annotated[
    list[str] | None, option("--user", metavar="ID", help="Add a user; repeatable.", callback=checked_ids)
]
Orgs = Annotated[list[str] | None, option("--org", metavar="ID", help="Add an org; repeatable.", callback=checked_ids)]
GoneUsers = Annotated[
    list[str] | None, option("--remove-user", metavar="ID", help="Remove a user; repeatable.", callback=checked_ids)
]
GoneOrgs = Annotated[
    list[str] | None, option("--remove-org", metavar="ID", help="Remove an org; repeatable.", callback=checked_ids)
]
OrgsOfUser = Annotated[
    list[str] | None, option("--org", metavar="ID", help="An org of the user; repeatable.", callback=checked_ids)
]
Parents = Annotated[list[str] | None, option("--requires", metavar="KEY", help="A parent flag; repeatable.")]
Description = Annotated[str | None, option("--description", metavar="TEXT", help="What the flag gates.")]
Owner = Annotated[str | None, option("--owner", metavar="TEXT", help="Who is responsible for the flag.")]
Claim = Annotated[str | None, option("--claim", metavar="NAME", help="A token claim that is true while on.")]
Salt = Annotated[str | None, option("--salt", metavar="TEXT", help="Bucketing salt. Default: a new random one.")]
AsOf = Annotated[
    str | None,
    option("--as-of", metavar="REV|TIME", help="Read the rules as of a revision or time.", callback=checked_moment),
]
KillReach = Annotated[Reach, typer.Option("--reach", help="What happens to running sessions.")]
DrainUntil = Annotated[
    str | None, option("--drain-until", metavar="TIME", help="When sessions end (RFC 3339).", callback=checked_time)
]
Attributes = Annotated[
    list[str] | None, option("--attribute", metavar="NAME=VALUE", help="An attribute of the user; repeatable.")
]
