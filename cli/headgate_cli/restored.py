"""What a table that was restored to a point in time has lost, according to a log that was exported later."""

from collections.abc import Iterable, Mapping
from typing import Any

from headgate.core.audit import Entry
from headgate_cli import failures

LOST = {"flag": "kill-lost", "keys": "key-lost", "deny": "revocation-lost"}


def lost(entries: Iterable[Entry], head: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
    """Return the refusals in a log that a table does not contain because it was restored to `head`, an earlier one.

    These are kills that were not lifted later, revoked keys, and revocations and ended sessions whose tokens may still
    live at `now` (Unix seconds). Raises `Failure` if the log has another entry at the head's revision.
    """
    found: dict[str, dict[str, Any]] = {}
    revision = int(head.get("revision") or 0)
    for entry in entries:
        if int(entry.get("revision", 0)) <= revision:
            if entry.get("revision") == revision and entry.get("digest") != head.get("digest"):
                raise failures.chain_broken(
                    revision, "the log and the table have different entries: not the same table"
                )
            continue
        action, after = str(entry.get("action")), entry.get("after")
        record = str(entry.get("flag") or action.partition(".")[0])
        if action.startswith("deny.") and isinstance(after, dict) and int(after.get("expires", 0)) > now:
            record = f"{after.get('kind')} {after.get('value')}"
        elif action not in ("flag.kill", "keys.revoke"):
            if action in ("flag.restore", "flag.delete"):
                found.pop(record, None)
            continue
        found[record] = {"what": LOST[action.partition(".")[0]], "record": record, "revision": entry["revision"]}
    return list(found.values())
