"""The options that several commands share, and their checks: what is wrong is said before anything is sent."""

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

COMMON = "Every command also takes --json, --api URL, --profile NAME and --region NAME; see headgate --help."

option = partial(typer.Option, show_default=False)


def checked_key(key: str) -> str:
    """A flag key. Raises a usage error for what can be none: it would be another path on the wire."""
    if not KEY.fullmatch(key):
        raise typer.BadParameter("a flag key is 1 to 64 of a-z 0-9 . _ - and starts with a letter or digit")
    return key


def checked_percent(value: float | None) -> float | None:
    """A percent from 0 to 100 with at most 3 decimals, whole numbers as such."""
    if value is None:
        return None
    if not math.isfinite(value) or not 0 <= value <= 100 or round(value, 3) != value:
        raise typer.BadParameter("a percent is 0 to 100 with at most 3 decimals")
    return int(value) if value == int(value) else value


def checked_reason(text: str) -> str:
    """A reason that says something, on one line."""
    if not text.strip() or not is_plain(text):
        raise typer.BadParameter("a reason is one line of text, not blank")
    return text


def checked_time(text: str | None) -> str | None:
    """An RFC 3339 time with its offset, as UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a time looks like 2030-01-31T18:00:00Z") from None
    if moment.tzinfo is None:
        raise typer.BadParameter("a time needs its offset, as in 2030-01-31T18:00:00Z")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def checked_moment(text: str | None) -> str | None:
    """A revision, or a time as UTC."""
    return text if text is None or re.fullmatch(r"[0-9]{1,12}", text) else checked_time(text)


def pairs(given: Sequence[str]) -> dict[str, Any]:
    """`name=value` options as attributes; a value that reads as a number or boolean is one, the rest is text."""
    found: dict[str, Any] = {}
    for item in given:
        name, sign, text = item.partition("=")
        if not sign or not name:
            raise failures.usage(f"--attribute takes name=value, not {item}")
        found[name] = _scalar(text)
    return found


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", text) else text


def flag_path(key: str) -> str:
    """Where a flag lives; the key was checked, so it needs no escaping."""
    return f"/admin/v1/flags/{key}"


FlagKeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="The flag's key.", callback=checked_key, show_default=False)
]
ReasonOption = Annotated[
    str, option("--reason", metavar="TEXT", help="Why; kept in the audit log.", callback=checked_reason)
]
StageArgument = Annotated[
    Stage, typer.Argument(metavar="STAGE", help="admin_only, allowlist, percentage or ga.", show_default=False)
]
NewUnit = Annotated[Unit | None, option("--unit", help="Whose id is put into the bucket.")]
AllowShrink = Annotated[bool, typer.Option("--allow-shrink", help="Yes, take access away from some.")]
IfMatch = Annotated[
    str | None, option("--if-match", metavar="VERSION", help="Change only this version; else the newest is read first.")
]
Percent = Annotated[
    float | None,
    option("--percent", metavar="N", help="0 to 100, at most 3 decimals.", callback=checked_percent),
]
Users = Annotated[list[str] | None, option("--user", metavar="ID", help="List a user; may repeat.")]
Orgs = Annotated[list[str] | None, option("--org", metavar="ID", help="List an org; may repeat.")]
GoneUsers = Annotated[list[str] | None, option("--remove-user", metavar="ID", help="Take a user off; may repeat.")]
GoneOrgs = Annotated[list[str] | None, option("--remove-org", metavar="ID", help="Take an org off; may repeat.")]
Parents = Annotated[list[str] | None, option("--requires", metavar="KEY", help="A parent flag; may repeat.")]
Description = Annotated[str | None, option("--description", metavar="TEXT", help="What it gates.")]
Owner = Annotated[str | None, option("--owner", metavar="TEXT", help="Who answers for it.")]
Claim = Annotated[str | None, option("--claim", metavar="NAME", help="A claim that its holders' tokens bear.")]
Salt = Annotated[str | None, option("--salt", metavar="TEXT", help="Its bucketing salt; made by the server if absent.")]
AsOf = Annotated[
    str | None,
    option("--as-of", metavar="REV|TIME", help="As it was at a revision, or a time.", callback=checked_moment),
]
KillReach = Annotated[
    Reach, typer.Option("--reach", help="gate: no new access. drain: sessions end at a time. sever: at once.")
]
DrainUntil = Annotated[
    str | None, option("--drain-until", metavar="TIME", help="When sessions end, RFC 3339.", callback=checked_time)
]
Attributes = Annotated[list[str] | None, option("--attribute", metavar="NAME=VALUE", help="An attribute; may repeat.")]
