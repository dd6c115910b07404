"""`headgate preview`: show who would gain and who would lose access by a change, without making it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.core.model import Stage
from headgate_cli import failures, render, wording
from headgate_cli.options import FlagKeyArgument, GoneOrgs, GoneUsers, NewUnit, Orgs, Percent, Users, option
from headgate_cli.settings import client_of, settings_of

NewStage = Annotated[Stage | None, option("--stage", metavar="STAGE", help="Preview this stage.")]
_Kill = Annotated[bool, typer.Option("--kill", help="Preview a kill.")]
Restore = Annotated[bool, typer.Option("--restore", help="Preview a restore.")]
Delete = Annotated[bool, typer.Option("--delete", help="Preview a deletion.")]
_Put = Annotated[Path | None, option("--put", metavar="FILE", help="Preview a whole flag (YAML or JSON).")]
Subjects = Annotated[
    Path | None, option("--subjects", metavar="FILE", help="Also check these subjects (YAML or JSON).")
]

_HEADERS = ("", "subject", "source", "before", "after")


def preview(
    ctx: typer.Context,
    key: FlagKeyArgument,
    stage: NewStage = None,
    percent: Percent = None,
    unit: NewUnit = None,
    user: Users = None,
    org: Orgs = None,
    remove_user: GoneUsers = None,
    remove_org: GoneOrgs = None,
    kill: _Kill = False,
    restore: Restore = False,
    delete: Delete = False,
    put: _Put = None,
    subjects: Subjects = None,
) -> None:
    """Show who would gain and lose access by a change.

    It checks every known subject: on a list, or with a live session.

    Example: headgate preview access --stage percentage --percent 50
    """
    change = _stage(stage, percent, unit) | _members(user, org, remove_user, remove_org)
    change |= {name: True for name, given in (("kill", kill), ("restore", restore), ("delete", delete)) if given}
    if put is not None:
        change["put"] = _read(put)
    if not change:
        raise failures.usage("no change: pass --stage, --user, --remove-user, --kill, --restore, --delete, or --put")
    body: dict[str, Any] = {"flag": key, "change": change}
    if subjects is not None:
        body["subjects"] = _subjects(subjects)
    found = client_of(ctx).ask("/admin/v1/preview", body).document
    if settings_of(ctx).as_json:
        render.show_json(found)
        return
    _show(found)


def _stage(stage: Stage | None, percent: float | None, unit: Any) -> dict[str, Any]:
    given = {"stage": stage and stage.value, "percent": percent, "unit": unit and unit.value}
    return {name: value for name, value in given.items() if value is not None}


def _members(user: Any, org: Any, remove_user: Any, remove_org: Any) -> dict[str, Any]:
    add, remove = {"users": user or [], "orgs": org or []}, {"users": remove_user or [], "orgs": remove_org or []}
    return {name: ids for name, ids in (("add", add), ("remove", remove)) if any(ids.values())}


def _read(path: Path) -> dict[str, Any]:
    from headgate_cli.manifest_file import read_mapping

    return read_mapping(path)


def _subjects(path: Path) -> list[Any]:
    """Read a list of subjects. A bare id is a user without orgs or attributes."""
    given = _read(path).get("subjects")
    if not isinstance(given, list):
        raise failures.usage(f"{path} must contain a list subjects: of ids, or of user, orgs, admin, attributes")
    return [{"user": one} if isinstance(one, str) else one for one in given]


def _show(found: dict[str, Any]) -> None:
    render.show_lines([_counts(found), f"everyone else, {wording.share_text(found.get('share') or {})}"])
    rows = _rows(found.get("samples") or {})
    if rows:
        render.show_lines([""])
        render.show_table(_HEADERS, rows)
    for line in (wording.affected_text(found.get("affects") or []), _warning(found)):
        if line:
            render.show_lines(["", line])


def _counts(found: dict[str, Any]) -> str:
    return f"{wording.moved_text(found)}, of {wording.known(found.get('known') or {})}"


def _rows(samples: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(name, *_row(one)) for name in ("gains", "loses") for one in samples.get(name) or []]


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    verdicts = (_verdict(one.get(when) or {}) for when in ("before", "after"))
    return wording.subject(one.get("subject") or {}), one.get("source"), *verdicts


def _verdict(verdict: dict[str, Any]) -> str:
    return f"{'on' if verdict.get('value') is True else 'off'} {verdict.get('reason')}"


def _warning(found: dict[str, Any]) -> str:
    return "This removes access: the change needs --allow-shrink." if found.get("shrinks") else ""
