"""The pool of signing keys: which one signs, which ones verify. Public keys are fetched once each and kept.

Their states are part of the rules (`core.keyring`), so a revoked key reaches every environment as any change does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from headgate.core.keyring import Keyring, KeyState, states
from headgate.store.port import Unavailable
from headgate.store.snapshots import Snapshots
from headgate.tokens.keys import NotP256, PublicKey, Signer


class PoolKey(Signer, Protocol):
    """A key that signs and tells its public half (KMS)."""

    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo."""


class KeyPool(Mapping[str, PublicKey]):
    """Public keys by key id, as a verifier wants them. A `kid` that is not in use causes no call at all."""

    def __init__(self, keys: tuple[PoolKey, ...], snapshots: Snapshots) -> None:
        self._keys = {key.kid: key for key in keys}
        self._pool = tuple(self._keys)
        self._snapshots = snapshots
        self._public: dict[str, PublicKey] = {}
        self._read: tuple[Keyring | None, Mapping[str, KeyState]] = (None, {})
        self.unavailable = False

    @property
    def states(self) -> Mapping[str, KeyState]:
        """The keys in use, as of the rules that are held."""
        held = self._snapshots.held or self._snapshots.soft().snapshot
        ring = held.keyring
        if self._read[0] is not ring:
            self._read = (ring, states(ring, self._pool))
        return self._read[1]

    @property
    def signer(self) -> Signer:
        """The active key. Raises `Unavailable` when there is none."""
        for kid, state in self.states.items():
            if state is KeyState.ACTIVE:
                return self._keys[kid]
        raise Unavailable("NoActiveKey")

    def __getitem__(self, kid: str) -> PublicKey:
        """The key. `KeyError` when it is not in use, or when KMS gives none: then `unavailable` says so."""
        state = self.states[kid]
        held = self._public.get(kid)
        if held is None:
            try:
                held = PublicKey.from_der(kid, self._keys[kid].public_key(), state)
            except (Unavailable, NotP256):
                self.unavailable = True
                raise KeyError(kid) from None
        if held.state is not state:
            held = replace(held, state=state)
        self._public[kid] = held
        self.unavailable = False
        return held

    def __iter__(self) -> Iterator[str]:
        return iter(self.states)

    def __len__(self) -> int:
        return len(self.states)
