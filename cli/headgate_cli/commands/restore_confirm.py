"""`headgate restore confirm`: open a restored table, with the refusals that it lost in force again."""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.core.audit import Entry
from headgate_cli import checkpoints, failures, render
from headgate_cli.audit_file import entries_in, verified_file
from headgate_cli.audit_stream import stream_head
from headgate_cli.options import ReasonOption, flag_path, option
from headgate_cli.restored import as_findings, last_common, lost_refusals
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.client import Client

PATH = "/admin/v1/restored"


def restore_confirm(
    ctx: typer.Context,
    reason: ReasonOption,
    log: Annotated[
        Path | None, option("--log", metavar="FILE", help="The log that headgate audit export wrote last.")
    ] = None,
    checkpoint: Annotated[
        Path | None, option("--checkpoint", metavar="FILE", help="Checkpoints, which may be newer than the log.")
    ] = None,
    highest: Annotated[
        int | None, option("--highest", metavar="REV", min=0, help="The highest revision ever seen, if neither has it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Open a restored table: until then, its stack admits only admins.

    Lists the kills, revocations, and ended sessions that the log has and the table has lost. Kills and revoked keys are
    made again first. Then every token issued so far, also by identity providers, is revoked, so users must sign in
    again, and revisions go on above the highest one ever seen. If interrupted, run it again.

    Example: headgate restore confirm --log audit.jsonl --reason "restored to 14:02"
    """
    if log is None and checkpoint is None and highest is None:
        hint = "without a log, lost kills and revoked keys are not made again: make them first, then pass --highest"
        raise failures.usage("pass --log FILE, --checkpoint FILE, or --highest REV", hint)
    client = client_of(ctx)
    found = _found(client, log)
    known = max(found.last, _checkpointed(checkpoint), highest or 0)
    as_json = settings_of(ctx).as_json
    if not as_json:
        _tell(found, known)
    _ask(yes)
    body = {"reason": reason, "highest": known}
    killed = [entry for entry in found.lost.values() if entry["action"] == "flag.kill"]
    kids = _unrevoked(client, found.lost.get("keys"))
    if killed or kids:  # above the highest revision, too, and before the table opens
        client.change("POST", PATH, {**body, "confirm": False}).required()
    again = [str(entry["flag"]) for entry in killed if _kill(client, entry, reason)]
    for kid in kids:
        client.change("POST", "/admin/v1/keys/revoke", {"kid": kid, "reason": reason}).required()
    answer = client.change("POST", PATH, {**body, "confirm": True}).required().document
    if as_json:
        restored = {"restored_revision": found.restored}
        render.show_json({**answer, **restored, "lost": as_findings(found.lost), "killed": again, "revoked_keys": kids})
        return
    render.show_lines([
        *(f"killed again: {key}" for key in again),
        *(f"key revoked again: {kid}" for kid in kids),
        f"confirmed at revision {answer.get('revision')}: tokens issued up to {answer.get('at')} are refused",
    ])  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    """The restored revision, the log's last one (0 without a log), and what the table has lost.

    `changes` counts all entries that it lost, and `lost` has those that refuse something, by what they refuse.
    """

    restored: int
    last: int
    changes: int
    lost: Mapping[str, Entry]


def _found(client: "Client", log: Path | None) -> _Found:
    if log is None:
        return _Found(int(stream_head(client)["revision"]), 0, 0, {})
    digests = verified_file(log)
    common = last_common(client, digests)
    with log.open("rb") as file:
        lost = lost_refusals(entries_in(file), common, time.time())
    restored = int(common["revision"])
    return _Found(restored, max(digests, default=0), sum(revision > restored for revision in digests), lost)


def _checkpointed(path: Path | None) -> int:
    """The highest revision that the audit key signed. Raises `Failure` if the key of the file did not sign them all."""
    if path is None:
        return 0
    key = checkpoints.read_key(checkpoints.key_beside(path))
    return max((one.revision for one in checkpoints.read_checkpoints(path, key)), default=0)


def _tell(found: _Found, known: int) -> None:
    rows = [(one["what"], one["record"], one["revision"]) for one in as_findings(found.lost)]
    render.show_table(("lost", "record", "revision"), rows, empty="the log has no refusal that the table has lost")
    if found.changes > len(rows):
        render.show_lines([f"the table lost {found.changes} changes; read them in the log, after {found.restored}"])
    seen = max(found.last, found.restored)
    if known > seen:
        render.show_lines([f"revisions {seen + 1} to {known} are in no log: what they refused is unknown"])


def _ask(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise failures.usage("not a terminal: pass --yes to revoke every token and open the table")
    typer.confirm("Revoke every token issued so far, and open the table to everyone?", abort=True, err=True)


def _kill(client: "Client", entry: Entry, reason: str) -> bool:
    """Kill a flag as the log says. False if the table does not have it: then only admins pass until it is created."""
    order = entry["after"]["killed"]
    body = {"reason": reason, "reach": order["reach"]}
    if order["reach"] == "drain":
        until = str(order["drain_until"])
        over = datetime.fromisoformat(until).timestamp() <= time.time() + 60
        body |= {"reach": "sever"} if over else {"drain_until": until}
    for sent in (body, {"reason": reason, "reach": "gate"}):  # the restored access flag may be another one
        answer = client.send("POST", f"{flag_path(str(entry['flag']))}/kill", sent)
        if answer.status == 404:
            return False
        if answer.status != 400:
            break
    answer.required()
    return True


def _unrevoked(client: "Client", entry: Entry | None) -> list[str]:
    """The keys that the log says are revoked, and that the stack has and uses."""
    if entry is None:
        return []
    gone = set(_kids(entry["after"].get("keys", [])))
    held = client.get("/admin/v1/keys").document.get("keys", [])
    return [str(key["kid"]) for key in held if key["kid"] in gone and key["state"] != "revoked"]


def _kids(keys: list[Any]) -> Iterator[str]:
    yield from (key["kid"] for key in keys if key["state"] == "revoked")
