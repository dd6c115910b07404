"""Health: what needs an operator's attention, when asked and by the clock."""

from headgate.core.audit import GENESIS
from headgate.core.changes.refusal import Refusal
from headgate.core.documents import unix
from headgate.core.keyring import Keyring, KeyState, in_use
from headgate.core.model import Stage
from headgate.core.snapshot import missing_flags
from headgate.edge import telemetry
from headgate.edge.admin.call import Admin, shown
from headgate.edge.admin.keys import shown_keys
from headgate.edge.http import Request, Response
from headgate.store.items import AUDIT, HEAD_KEY, read_entry, read_head
from headgate.store.port import Throttled, Unavailable

OLD_AFTER = 90 * 86_400
"""Seconds after which an unchanged flag at stage `ga` is stale: the code may no longer need it."""


def health(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/health: show missing, quarantined, stale, and killed flags, and key states.

    A restored table is not `confirmed` at first: until it is, only admins are let in.
    """
    view = admin.current()
    head = read_head(view.items.get(HEAD_KEY))
    flags = view.snapshot.rules.flags.values()
    missing, quarantined = missing_flags(view.snapshot), view.snapshot.quarantined
    old = [
        f.key for f in flags if f.stage is Stage.GA and f.updated_at and admin.clock() - unix(f.updated_at) > OLD_AFTER
    ]
    keys = shown_keys(admin, view.snapshot.keyring)
    confirmed = head.is_at(admin.table.home)
    signs = any(key["state"] == KeyState.ACTIVE for key in keys)
    return shown({
        "status": "degraded" if missing or quarantined or not signs or not confirmed else "ok",
        "confirmed": confirmed,
        "missing_flags": list(missing),
        "quarantined_flags": list(quarantined),
        "stale_flags": sorted(old),
        "keys": keys,
        "killed_flags": dict(head.killed),
        "head": {"revision": head.revision, "digest": head.digest or GENESIS},
        "revision": view.snapshot.revision,
    })  # fmt: skip


def measure_health(admin: Admin, _event: object = None) -> None:
    """Count the flags that are killed or quarantined, and the active key's age, for alarms on what lasts.

    The template's schedule calls this every 5 minutes. If the table does not answer, only that is counted.
    """
    try:
        view = admin.current()
        age = key_age(admin, view.snapshot.keyring)
    except Refusal:  # counted when the read failed
        return
    except (Unavailable, Throttled) as failure:
        telemetry.log("unavailable", {"StoreUnavailable": 1}, function=admin.function, error=str(failure))
        return
    killed = len(read_head(view.items.get(HEAD_KEY)).killed)
    gauges = {"KilledFlags": killed, "QuarantinedFlags": len(view.snapshot.quarantined)}
    telemetry.log("measured", gauges | ({} if age is None else {"KeyAge": age}), function=admin.function,
                  revision=view.revision)  # fmt: skip


def key_age(admin: Admin, ring: Keyring) -> float | None:
    """Return how long the active key has signed, in seconds; None if no key is active.

    A key that was active from the start has no record, so its age is that of the first audit entry.
    """
    active = next((key for key in in_use(ring, admin.pool) if key.state is KeyState.ACTIVE), None)
    if active is None:
        return None
    if active.since:
        return admin.clock() - active.since
    try:
        first = [unix(read_entry(item)["at"]) for item in admin.table.query(AUDIT, limit=1).items]
    except (ValueError, KeyError, RecursionError):  # an edited entry
        return None
    return admin.clock() - first[0] if first else 0
