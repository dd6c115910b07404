"""Which signing key stands where: the states of the pool's keys, and how a rotation moves them. Knows no key itself.

KMS does not rotate asymmetric keys, so the template declares a small pool and an operator moves it on:
next -> active -> previous, and the oldest previous, or a key not used yet, becomes the new next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from headgate.core.faults import Reader
from headgate.core.model import Json

TOKEN_LIFE = 3_660
"""Seconds after which the last token that a key signed is dead: the longest life of any token, and the leeway."""


class KeyState(StrEnum):
    """Where a key stands in rotation. All but `revoked` verify; only `active` signs."""

    NEXT = "next"
    ACTIVE = "active"
    PREVIOUS = "previous"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key's state, and since when (Unix seconds; 0 for a pool that was never rotated)."""

    kid: str
    state: KeyState
    since: int = 0


Keyring = tuple[KeyRecord, ...]


LOST: Keyring = (KeyRecord("", KeyState.REVOKED),)
"""What an unreadable record counts as: no key at all. Taking it for none on record could bring back a revoked key."""


class CannotRotate(ValueError):
    """No key can take the place. The text says why."""


def initial(pool: Sequence[str]) -> Keyring:
    """The states while nothing is on record: the first key is active, the second next, the rest not in use."""
    states = (KeyState.ACTIVE, KeyState.NEXT)
    return tuple(KeyRecord(kid, state) for kid, state in zip(pool, states, strict=False))


def states(ring: Keyring, pool: Sequence[str]) -> Mapping[str, KeyState]:
    """State by key id; a key that is not in the pool cannot be used whatever the record says."""
    return {key.kid: key.state for key in ring or initial(pool) if key.kid in pool}


def rotated(ring: Keyring, pool: Sequence[str], now: int) -> Keyring:
    """Next becomes active, active becomes previous, and another key becomes next. Raises `CannotRotate`."""
    moved = _promoted(ring or initial(pool), KeyState.PREVIOUS, now)
    return _with_next(moved, pool, now)


def revoked(ring: Keyring, pool: Sequence[str], kid: str, now: int) -> Keyring:
    """The key is never used again; if it was active, the next one signs from now on. Raises `CannotRotate`."""
    held = ring or initial(pool)
    known = {key.kid: key for key in held}
    if kid not in pool:
        raise CannotRotate("there is no such key in the pool")
    if kid in known and known[kid].state is KeyState.ACTIVE:
        held = _promoted(held, KeyState.REVOKED, now)
    others = tuple(key for key in held if key.kid != kid)
    ring = (*others, KeyRecord(kid, KeyState.REVOKED, now))
    try:
        return _with_next(ring, pool, now)
    except CannotRotate:
        return ring  # without a next key; a later rotation finds one


def _promoted(ring: Keyring, former: KeyState, now: int) -> Keyring:
    if not any(key.state is KeyState.NEXT for key in ring):
        raise CannotRotate("no key stands next: the tokens of the previous ones still live")
    moves = {KeyState.NEXT: KeyState.ACTIVE, KeyState.ACTIVE: former}
    return tuple(replace(key, state=moves[key.state], since=now) if key.state in moves else key for key in ring)


def _with_next(ring: Keyring, pool: Sequence[str], now: int) -> Keyring:
    if any(key.state is KeyState.NEXT for key in ring):
        return ring
    used = {key.kid for key in ring}
    spare = next((kid for kid in pool if kid not in used), None)
    if spare is not None:
        return (*ring, KeyRecord(spare, KeyState.NEXT, now))
    dead = [key for key in ring if key.state is KeyState.PREVIOUS and key.since + TOKEN_LIFE <= now and key.kid in pool]
    if not dead:
        raise CannotRotate("the tokens of the previous keys still live")
    oldest = min(dead, key=lambda key: key.since)
    return tuple(KeyRecord(key.kid, KeyState.NEXT, now) if key is oldest else key for key in ring)


def parse_keyring(document: Json) -> Keyring:
    """Read a stored keyring. Raises `Invalid`."""
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
    read.check()
    return tuple(ring)


def keyring_document(ring: Keyring) -> list[dict[str, Json]]:
    """The keys as stored and shown."""
    return [{"kid": key.kid, "state": key.state.value, "since": key.since} for key in ring]
