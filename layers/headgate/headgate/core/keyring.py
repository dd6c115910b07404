"""The state of each signing key, and how a rotation changes it. Contains no key.

KMS does not rotate asymmetric keys, so the template declares a small pool and an operator rotates it: next -> active ->
previous. The oldest previous key becomes next again once its last token has expired. A key of the pool without a record
is next: verifiers know it long before it signs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from headgate.core.documents import Reader
from headgate.core.model import Json

LONGEST_TOKEN_LIFE = 3_660
"""Seconds after which every token that a key signed has expired: the longest life of any token, plus leeway."""


class KeyState(StrEnum):
    """A key's state in the rotation. All but `revoked` verify; only `active` signs."""

    NEXT = "next"
    ACTIVE = "active"
    PREVIOUS = "previous"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key's state, and since when (Unix seconds; 0 for a key whose state never changed)."""

    kid: str
    state: KeyState
    since: int = 0


Keyring = tuple[KeyRecord, ...]


LOST_KEYRING: Keyring = (KeyRecord("", KeyState.REVOKED),)
"""Stands for an unreadable record: no key at all. Treating it as an empty record could bring back a revoked key."""


class CannotRotate(ValueError):
    """No key can become active. The text says why."""


def in_use(ring: Keyring, pool: Sequence[str]) -> Keyring:
    """Return the recorded keys, and the pool's other keys as next. Without a record, the pool's first key is active.

    A key that left the pool cannot be used, whatever its record says. That it was revoked is kept.
    """
    if ring == LOST_KEYRING:
        return ()
    held = tuple(key for key in ring if key.kid in pool or key.state is KeyState.REVOKED)
    named = {key.kid for key in ring}
    others = [KeyRecord(kid, KeyState.NEXT) for kid in pool if kid not in named]
    if not ring and others:
        others[0] = replace(others[0], state=KeyState.ACTIVE)
    return (*held, *others)


def states(ring: Keyring, pool: Sequence[str]) -> Mapping[str, KeyState]:
    """State by key id, of the pool's keys only."""
    return {key.kid: key.state for key in in_use(ring, pool) if key.kid in pool}


def is_revoked(ring: Keyring, kid: str) -> bool:
    """Whether every token of this key is refused."""
    return ring == LOST_KEYRING or any(key.kid == kid and key.state is KeyState.REVOKED for key in ring)


def rotated(ring: Keyring, pool: Sequence[str], now: int) -> Keyring:
    """Rotate the keys: next becomes active, active becomes previous.

    If no next key is left, the oldest previous key whose tokens have expired becomes next. Raises `CannotRotate` if no
    key can become active.
    """
    held = _with_next(_readable(ring, pool), now)
    if not _has(held, KeyState.NEXT):
        raise CannotRotate("tokens of the previous keys are still valid; retry after they expire")
    return _with_next(_promoted(held, KeyState.PREVIOUS, now), now)


def revoked(ring: Keyring, pool: Sequence[str], kid: str, now: int) -> Keyring:
    """Revoke a key for good. If it was active, another key becomes active. Raises `CannotRotate`."""
    held = _readable(ring, pool)
    if kid not in pool:
        raise CannotRotate("no such key in the pool")
    state = states(held, pool)[kid]
    if state is KeyState.REVOKED:
        return held
    if state is KeyState.ACTIVE:
        return _with_next(_promoted(_with_heir(held, now), KeyState.REVOKED, now), now)
    marked = tuple(KeyRecord(kid, KeyState.REVOKED, now) if key.kid == kid else key for key in held)
    return _with_next(marked, now)


def _readable(ring: Keyring, pool: Sequence[str]) -> Keyring:
    if ring == LOST_KEYRING:
        raise CannotRotate("the record of the keys cannot be read; restore it first")
    return in_use(ring, pool)


def _has(ring: Keyring, state: KeyState) -> bool:
    return any(key.state is state for key in ring)


def _promoted(ring: Keyring, former: KeyState, now: int) -> Keyring:
    heir = next(key for key in ring if key.state is KeyState.NEXT)
    moved = {key.kid: former for key in ring if key.state is KeyState.ACTIVE} | {heir.kid: KeyState.ACTIVE}
    return tuple(KeyRecord(key.kid, moved[key.kid], now) if key.kid in moved else key for key in ring)


def _with_next(ring: Keyring, now: int) -> Keyring:
    """Add a next key if there is none: the oldest previous key whose tokens have expired."""
    dead = [key for key in ring if key.state is KeyState.PREVIOUS and key.since + LONGEST_TOKEN_LIFE <= now]
    if _has(ring, KeyState.NEXT) or not dead:
        return ring
    oldest = min(dead, key=lambda key: key.since)
    return _as_next(ring, oldest, now)


def _with_heir(ring: Keyring, now: int) -> Keyring:
    """Ensure a next key, in an emergency even a previous key whose tokens are still valid: it was not revoked.

    Raises `CannotRotate`.
    """
    ring = _with_next(ring, now)
    previous = [key for key in ring if key.state is KeyState.PREVIOUS]
    if _has(ring, KeyState.NEXT):
        return ring
    if not previous:
        raise CannotRotate("this is the last key; add another to the pool first")
    return _as_next(ring, max(previous, key=lambda key: key.since), now)


def _as_next(ring: Keyring, chosen: KeyRecord, now: int) -> Keyring:
    return tuple(KeyRecord(key.kid, KeyState.NEXT, now) if key is chosen else key for key in ring)


def parse_keyring(document: Json) -> Keyring:
    """Read a stored keyring: no key twice, and at most one active key. Raises `Invalid`."""
    read = Reader(document, known=("keys", "version", "revision"))
    ring = []
    for index, item in enumerate(read.objects("keys", 100)):
        inner = Reader(item, f"keys.{index}", known=("kid", "state", "since"))
        ring.append(
            KeyRecord(
                inner.text("kid", blank=False), inner.choice("state", KeyState), inner.whole("since", 0, 0, 2**40)
            )
        )
        read.absorb(inner)
    if len({key.kid for key in ring}) != len(ring) or sum(key.state is KeyState.ACTIVE for key in ring) > 1:
        read.fault("keys", "must not list a key twice or have two active keys")
    read.check()
    return tuple(ring)


def keyring_document(ring: Keyring) -> list[dict[str, Json]]:
    """The keys as stored and shown."""
    return [{"kid": key.kid, "state": key.state.value, "since": key.since} for key in ring]
