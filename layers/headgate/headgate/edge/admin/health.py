"""Health: what needs an operator's attention."""

from headgate.core.audit import GENESIS
from headgate.core.documents import unix
from headgate.core.keyring import KeyState
from headgate.core.model import Stage
from headgate.core.snapshot import missing_flags
from headgate.edge.admin.call import Admin, shown
from headgate.edge.admin.keys import shown_keys
from headgate.edge.http import Request, Response
from headgate.store.items import HEAD_KEY, read_head

OLD_AFTER = 90 * 86_400
"""Seconds after which an unchanged flag at stage `ga` is stale: the code may no longer need it."""


def health(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/health: show missing, quarantined, stale, and killed flags, and key states."""
    view = admin.current()
    head = read_head(view.items.get(HEAD_KEY))
    flags = view.snapshot.rules.flags.values()
    missing, quarantined = missing_flags(view.snapshot), view.snapshot.quarantined
    old = [
        f.key for f in flags if f.stage is Stage.GA and f.updated_at and admin.clock() - unix(f.updated_at) > OLD_AFTER
    ]
    keys = shown_keys(admin, view.snapshot.keyring)
    signs = any(key["state"] == KeyState.ACTIVE for key in keys)
    return shown({
        "status": "degraded" if missing or quarantined or not signs else "ok",
        "missing_flags": list(missing),
        "quarantined_flags": list(quarantined),
        "stale_flags": sorted(old),
        "keys": keys,
        "killed_flags": dict(head.killed),
        "head": {"revision": head.revision, "digest": head.digest or GENESIS},
        "revision": view.snapshot.revision,
    })  # fmt: skip
