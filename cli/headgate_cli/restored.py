"""What a table that was restored to a point in time has lost, according to a log that was exported later."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headgate.core.audit import GENESIS, RESTORES, Entry
from headgate_cli import failures

if TYPE_CHECKING:
    from headgate_cli.client import Client

LOST = {"flag": "kill-lost", "keys": "key-lost", "deny": "revocation-lost", "restore": "revocation-lost"}
OTHER_TABLE = "the log and the table have different entries: not the same table"


def last_common(client: "Client", digests: Mapping[int, str]) -> Mapping[str, Any]:
    """Return the newest entry that the table has in common with a log, given the log's digests by revision.

    What was changed in the table since its restore is skipped. Raises `Failure` if they have nothing in common.
    """
    entry: Mapping[str, Any] | None = None
    for page in client.pages("/admin/v1/audit", {"before": max(digests, default=0) + 1}):
        for entry in page.get("entries", []):
            if digests.get(entry["revision"], "") == entry.get("digest"):
                return entry
    if entry is not None:
        raise failures.chain_broken(int(entry["revision"]), OTHER_TABLE)
    return {"revision": 0, "digest": GENESIS}


def lost_refusals(entries: Iterable[Entry], head: Mapping[str, Any], now: float) -> dict[str, Entry]:
    """Return the refusals in a log that a table does not contain because it was restored to `head`, an earlier one.

    These are kills that were not lifted later, revoked keys, and revocations and ended sessions whose tokens may still
    live at `now` (Unix seconds), by what they refuse. Raises `Failure` if the log has another entry at the head's
    revision.
    """
    found: dict[str, Entry] = {}
    revision = int(head.get("revision") or 0)
    for entry in entries:
        if int(entry.get("revision", 0)) <= revision:
            if entry.get("revision") == revision and entry.get("digest") != head.get("digest"):
                raise failures.chain_broken(revision, OTHER_TABLE)
            continue
        action, after = str(entry.get("action")), entry.get("after")
        record = str(entry.get("flag") or action.partition(".")[0])
        denies = action.startswith("deny.") or action in RESTORES
        if denies and isinstance(after, dict) and int(after.get("expires", 0)) > now:
            record = f"{after.get('kind')} {after.get('value')}"
        elif action not in ("flag.kill", "keys.revoke"):
            if action in ("flag.restore", "flag.delete"):
                found.pop(record, None)
            continue
        found[record] = entry
    return found


def as_findings(refusals: Mapping[str, Entry]) -> list[dict[str, Any]]:
    """Return lost refusals as `headgate audit reconcile` shows them."""
    kinds = {record: LOST[str(entry["action"]).partition(".")[0]] for record, entry in refusals.items()}
    return [{"what": kinds[r], "record": r, "revision": entry["revision"]} for r, entry in refusals.items()]
