"""The signing keys: list, rotate, and revoke."""

from collections.abc import Callable
from typing import Any

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import refuse, rfc3339, unix
from headgate.core.keyring import CannotRotate, Keyring, in_use, keyring_document, revoked, rotated
from headgate.core.snapshot import read_keyring
from headgate.edge.admin.bodies import Body, ReasonBody, ReasonText, read_body
from headgate.edge.admin.call import Admin, read_document, shown
from headgate.edge.http import Request, Response
from headgate.store.items import KEYRING_KEY
from headgate.store.record import Answer, Change, Current


class KeyBody(Body):
    """The key to revoke, and the reason."""

    reason: ReasonText
    kid: str


def list_keys(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/keys: list the signing keys in use and their states."""
    snapshot = admin.current().snapshot
    return shown({"keys": shown_keys(admin, snapshot.keyring), "revision": snapshot.revision})


def shown_keys(admin: Admin, ring: Keyring) -> list[dict[str, Any]]:
    """Return the keys in use. `since` and `age_seconds` are null for a key whose state never changed."""
    now = int(admin.clock())
    return [
        {"kid": key.kid, "state": key.state.value, "since": rfc3339(key.since) if key.since else None,
         "age_seconds": now - key.since if key.since else None}
        for key in in_use(ring, admin.pool)
    ]  # fmt: skip


def rotate_keys(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/keys/rotate: rotate the signing keys, so that the next key signs from now on."""
    document = read_document(request)

    def plan(current: Current) -> Change:
        read_body(ReasonBody, document)
        return rotation(admin, current)

    return admin.commit(KEYRING_KEY, plan, request, document)


def rotation(admin: Admin, current: Current) -> Change:
    """Return the change that rotates the keys. Raises `Refusal` if no key can become active."""
    return _moved("keys.rotate", admin, current, lambda ring, now: rotated(ring, admin.pool, now))


def revoke_key(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/keys/revoke: revoke a signing key, so that its tokens are refused from now on."""
    document = read_document(request)

    def plan(current: Current) -> Change:
        body = read_body(KeyBody, document)
        if body.kid not in admin.pool:
            refuse("kid", "must be a key of the pool")
        return _moved("keys.revoke", admin, current, lambda ring, now: revoked(ring, admin.pool, body.kid, now))

    return admin.commit(KEYRING_KEY, plan, request, document)


def _moved(action: str, admin: Admin, current: Current, move: Callable[[Keyring, int], Keyring]) -> Change:
    ring = () if current.stored is None else read_keyring(current.document)
    try:
        after = move(ring, int(unix(current.stamp.at)))
    except CannotRotate as reason:
        raise Refusal(Slug.CANNOT_ROTATE, str(reason)) from None
    version = current.version + 1
    document = {"keys": keyring_document(after), "version": version, "revision": current.stamp.revision}
    answer = Answer(200, {"keys": shown_keys(admin, after), "revision": current.stamp.revision}, version)
    return Change(action, version, current.document, document, answer)
