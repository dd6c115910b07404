"""Which signing key stands where: the states of the pool's keys, and how a rotation moves them. Knows no key itself.

KMS does not rotate asymmetric keys, so the template declares a small pool and an operator moves it on: next -> active
-> previous, and the oldest previous becomes next again once its last token is dead. A key of the pool that is not on
record stands next: verifiers know it long before it signs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from headgate.core.documents import Reader
from headgate.core.model import Json

LONGEST_TOKEN_LIFE = 3_660
"""Seconds after which the last token that a key signed is dead: the longest life of any token, and the leeway."""


class KeyState(StrEnum):
    """Where a key stands in rotation. All but `revoked` verify; only `active` signs."""

    NEXT = "next"
    ACTIVE = "active"
    PREVIOUS = "previous"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key's state, and since when (Unix seconds; 0 for a key that was never moved)."""

    kid: str
    state: KeyState
    since: int = 0


Keyring = tuple[KeyRecord, ...]


LOST_KEYRING: Keyring = (KeyRecord("", KeyState.REVOKED),)
"""What an unreadable record counts as: no key at all. Taking it for none on record could bring back a revoked key."""


class CannotRotate(ValueError):
    """No key can take the place. The text says why."""


def in_use(ring: Keyring, pool: Sequence[str]) -> Keyring:
    """The keys on record and the pool's others, which stand next; with nothing on record, the pool's first is active.

    A key that left the pool cannot be used whatever the record says; that it was revoked is kept.
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
    """Whether no token of this key is taken."""
    return ring == LOST_KEYRING or any(key.kid == kid and key.state is KeyState.REVOKED for key in ring)


def rotated(ring: Keyring, pool: Sequence[str], now: int) -> Keyring:
    """Next becomes active, active becomes previous; where none is left, the oldest previous whose tokens are dead
    becomes next. Raises `CannotRotate` when nothing can become active."""
    held = _with_next(_readable(ring, pool), now)
    if not _has(held, KeyState.NEXT):
        raise CannotRotate("the tokens of the previous keys still live")
    return _with_next(_promoted(held, KeyState.PREVIOUS, now), now)


def revoked(ring: Keyring, pool: Sequence[str], kid: str, now: int) -> Keyring:
    """The key is never used again; if it was active, another signs from now on. Raises `CannotRotate`."""
    held = _readable(ring, pool)
    if kid not in pool:
        raise CannotRotate("there is no such key in the pool")
    state = states(held, pool)[kid]
    if state is KeyState.REVOKED:
        return held
    if state is KeyState.ACTIVE:
        return _with_next(_promoted(_with_heir(held, now), KeyState.REVOKED, now), now)
    marked = tuple(KeyRecord(kid, KeyState.REVOKED, now) if key.kid == kid else key for key in held)
    return _with_next(marked, now)


def _readable(ring: Keyring, pool: Sequence[str]) -> Keyring:
    if ring == LOST_KEYRING:
        raise CannotRotate("the keys on record cannot be read; put the record back first")
    return in_use(ring, pool)


def _has(ring: Keyring, state: KeyState) -> bool:
    return any(key.state is state for key in ring)


def _promoted(ring: Keyring, former: KeyState, now: int) -> Keyring:
    heir = next(key for key in ring if key.state is KeyState.NEXT)
    moved = {key.kid: former for key in ring if key.state is KeyState.ACTIVE} | {heir.kid: KeyState.ACTIVE}
    return tuple(KeyRecord(key.kid, moved[key.kid], now) if key.kid in moved else key for key in ring)


def _with_next(ring: Keyring, now: int) -> Keyring:
    """With the oldest previous key as next, where there is no next and its tokens are dead."""
    dead = [key for key in ring if key.state is KeyState.PREVIOUS and key.since + LONGEST_TOKEN_LIFE <= now]
    if _has(ring, KeyState.NEXT) or not dead:
        return ring
    oldest = min(dead, key=lambda key: key.since)
    return _as_next(ring, oldest, now)


def _with_heir(ring: Keyring, now: int) -> Keyring:
    """In an emergency a previous key signs again though its tokens live: it is as good as it was. Raises
    `CannotRotate`."""
    ring = _with_next(ring, now)
    previous = [key for key in ring if key.state is KeyState.PREVIOUS]
    if _has(ring, KeyState.NEXT):
        return ring
    if not previous:
        raise CannotRotate("it is the last key that is left; bring another into the pool first")
    return _as_next(ring, max(previous, key=lambda key: key.since), now)


def _as_next(ring: Keyring, chosen: KeyRecord, now: int) -> Keyring:
    return tuple(KeyRecord(key.kid, KeyState.NEXT, now) if key is chosen else key for key in ring)


def parse_keyring(document: Json) -> Keyring:
    """Read a stored keyring: no key twice, and at most one that signs. Raises `Invalid`."""
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
        read.fault("keys", "must not repeat a key, nor have two active ones")
    read.check()
    return tuple(ring)


def keyring_document(ring: Keyring) -> list[dict[str, Json]]:
    """The keys as stored and shown."""
    return [{"kid": key.kid, "state": key.state.value, "since": key.since} for key in ring]
