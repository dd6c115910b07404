"""The pool of signing keys: which one signs, which ones verify. Public keys are fetched once each and kept.

With no record of a rotation the first key of the pool is active and the second is next; both are published and
accepted, so that caches hold the next key before it signs.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from headgate.store.port import Unavailable
from headgate.tokens.keys import KeyState, PublicKey, Signer


class PoolKey(Signer, Protocol):
    """A key that signs and tells its public half (KMS)."""

    def public_key(self) -> bytes:
        """DER SubjectPublicKeyInfo."""


class KeyPool(Mapping[str, PublicKey]):
    """Public keys by key id, as a verifier wants them. A `kid` that is not in the pool causes no call at all."""

    def __init__(self, keys: tuple[PoolKey, ...]) -> None:
        states = (KeyState.ACTIVE, KeyState.NEXT)
        self._keys = {key.kid: (key, state) for key, state in zip(keys, states, strict=False)}
        self._public: dict[str, PublicKey] = {}
        self.unavailable = False

    @property
    def signer(self) -> Signer:
        """The active key."""
        return next(key for key, state in self._keys.values() if state is KeyState.ACTIVE)

    def __getitem__(self, kid: str) -> PublicKey:
        """The key. `KeyError` when it is unknown, or when KMS does not answer: then `unavailable` says so."""
        if kid not in self._public:
            key, state = self._keys[kid]
            try:
                self._public[kid] = PublicKey.from_der(kid, key.public_key(), state)
            except Unavailable:
                self.unavailable = True
                raise KeyError(kid) from None
        self.unavailable = False
        return self._public[kid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
