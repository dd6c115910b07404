"""The pool of signing keys: which one signs and which ones verify. Each public key is fetched once and kept.

Key states are part of the rules (`core.keyring`), so a revocation reaches every environment like any other change.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from headgate.core.keyring import Keyring, KeyState, states
from headgate.store.port import Unavailable
from headgate.store.snapshots import Snapshots
from headgate.tokens.keys import NotP256, PublicKey, Signer

FETCH_PAUSE = 5.0
"""Seconds until a public key that KMS did not return is asked for again: anyone can send tokens that name its id."""


class PoolKey(Signer, Protocol):
    """A key that signs and returns its public key (KMS)."""

    def public_key(self) -> bytes:
        """Return the DER-encoded SubjectPublicKeyInfo."""


class KeyPool(Mapping[str, PublicKey]):
    """Public keys by key id, for a verifier. An unknown `kid` causes no call to KMS.

    `unavailable` is true if the last key that was looked up is in use, but KMS did not return it. `failed` is told of
    each failure of KMS.
    """

    def __init__(
        self, keys: tuple[PoolKey, ...], snapshots: Snapshots, *, clock: Callable[[], float] = time.time,
        failed: Callable[[Exception], object] = lambda _failure: None,
    ) -> None:  # fmt: skip
        self._keys = {key.kid: key for key in keys}
        self._pool = tuple(self._keys)
        self._snapshots = snapshots
        self._clock = clock
        self.failed = failed
        self._public: dict[str, PublicKey] = {}
        self._failed: dict[str, float] = {}
        self._read: tuple[Keyring | None, Mapping[str, KeyState]] = (None, {})
        self.unavailable = False

    @property
    def states(self) -> Mapping[str, KeyState]:
        """The keys in use, according to the rules that are held."""
        held = self._snapshots.held or self._snapshots.soft().snapshot
        ring = held.keyring
        if self._read[0] is not ring:
            self._read = (ring, states(ring, self._pool))
        return self._read[1]

    @property
    def signer(self) -> Signer:
        """The active key. Raises `Unavailable` if there is none."""
        for kid, state in self.states.items():
            if state is KeyState.ACTIVE:
                return self._keys[kid]
        raise Unavailable("NoActiveKey")

    def __getitem__(self, kid: str) -> PublicKey:
        """Return the key. Raises `KeyError` if it is not in use, or if KMS fails; `unavailable` is then true."""
        self.unavailable = False
        state = self.states[kid]
        held = self._public.get(kid) or self._fetched(kid, state)
        if held.state is not state:
            held = replace(held, state=state)
        self._public[kid] = held
        return held

    def _fetched(self, kid: str, state: KeyState) -> PublicKey:
        failed = self._failed.get(kid)
        if failed is None or not 0 <= self._clock() - failed < FETCH_PAUSE:
            try:
                return PublicKey.from_der(kid, self._keys[kid].public_key(), state)
            except (Unavailable, NotP256) as failure:
                self._failed[kid] = self._clock()
                self.failed(failure)
        self.unavailable = True
        raise KeyError(kid)

    def __iter__(self) -> Iterator[str]:
        return iter(self.states)

    def __len__(self) -> int:
        return len(self.states)
