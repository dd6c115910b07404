"""An identity provider's keys: read from its key set, kept, and asked for again. PyJWT reads the keys (RFC 7517).

Decides when the provider is asked: when what is kept is no longer fresh, or for an unknown key id, but never more than
once a minute (once in 5 s while nothing is known). A failure leaves what was known. Knows no token.
"""

from collections.abc import Mapping
from typing import Any

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from headgate.tokens import limits
from headgate.tokens.compact import read_object
from headgate.tokens.fetch import Fetch, FetchFailed
from headgate.tokens.fields import is_short_and_plain
from headgate.tokens.issuers import IdentityIssuer, is_secure, is_url
from headgate.tokens.refusals import RefusalCode, TokenRefused

DISCOVERY = "/.well-known/openid-configuration"
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


class IdentityUnavailable(Exception):
    """The provider's keys cannot be had now: neither a yes nor a no (503). `retry_after` in seconds."""

    retry_after = limits.RETRY_PAUSE


class ProviderKey:
    """A public key bound to one algorithm."""

    __slots__ = ("_algorithm", "_key")

    def __init__(self, jwk: PyJWK) -> None:
        self._algorithm, self._key = jwk.Algorithm, jwk.Algorithm.prepare_key(jwk.key)  # checks the curve
        bits = getattr(self._key, "key_size", limits.RSA_BITS[0])
        if jwk.key_type == "RSA" and not limits.RSA_BITS[0] <= bits <= limits.RSA_BITS[1]:
            raise ValueError("an RSA key of a size that is not taken")

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature (as JOSE has it) is this key's over the message."""
        return self._algorithm.verify(message, self._key, signature)


ProviderKeys = Mapping[tuple[str, str], ProviderKey]
"""Keys by key id and algorithm: a key that a token's `alg` does not fit is as unknown as one of another id."""


def read_keys(body: bytes, algorithms: tuple[str, ...]) -> ProviderKeys:
    """The usable keys of a key set; others are skipped (RFC 7517 §5). Raises `TokenRefused` where it is no key set."""
    entries = read_object(body).get("keys")
    if not isinstance(entries, list) or len(entries) > limits.PROVIDER_KEYS:
        raise TokenRefused(RefusalCode.CLAIM_TYPE)
    keys: dict[tuple[str, str], ProviderKey] = {}
    for entry in entries:
        for algorithm in algorithms:
            key = _read_key(entry, algorithm)
            if key is not None:
                keys.setdefault((entry["kid"], algorithm), key)
    return keys


def _read_key(entry: Any, algorithm: str) -> ProviderKey | None:
    if not isinstance(entry, dict) or not is_short_and_plain(entry.get("kid")) or not _PRIVATE.isdisjoint(entry):
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    if "key_ops" in entry and (not isinstance(entry["key_ops"], list) or "verify" not in entry["key_ops"]):
        return None
    try:
        return ProviderKey(PyJWK(entry, algorithm))
    except (PyJWTError, ValueError, TypeError, KeyError, OverflowError):
        return None


class KeySource:
    """One provider's keys, for the life of an execution context. Times are unix seconds, given by the caller."""

    def __init__(self, issuer: IdentityIssuer, fetch: Fetch) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._uri = issuer.jwks_uri
        self._keys: ProviderKeys = {}
        self._fresh_until = self._kept_until = 0.0
        self._asked_at: float | None = None
        self._failed = False

    def find(self, kid: str, algorithm: str, now: float) -> ProviderKey:
        """The key. Raises `TokenRefused` if the provider has none, `IdentityUnavailable` if it does not answer."""
        if now >= self._fresh_until:
            self._ask(now)
        if now >= self._kept_until:
            self._keys = {}
        key = self._keys.get((kid, algorithm))
        if key is None and self._ask(now):
            key = self._keys.get((kid, algorithm))
        if key is not None:
            return key
        if self._failed or not self._keys:
            raise IdentityUnavailable("the identity provider's keys cannot be fetched")
        raise TokenRefused(RefusalCode.UNKNOWN_KEY)

    def _ask(self, now: float) -> bool:
        """Fetch the keys unless that was tried just now; whether it was tried and went well."""
        pause = limits.REFRESH_PAUSE if self._keys else limits.RETRY_PAUSE
        if self._asked_at is not None and 0 <= now - self._asked_at < pause:
            return False
        self._asked_at, self._failed = now, True
        try:
            document = self._fetch(self._uri or self._discover())
            keys = read_keys(document.body, self._issuer.algorithms)
        except (FetchFailed, TokenRefused):
            self._uri = self._issuer.jwks_uri  # it may have moved: discover anew next time
            return False
        if not keys:
            return False
        age = limits.KEYS_FRESH_DEFAULT if document.max_age is None else document.max_age
        fresh = min(max(age, limits.KEYS_FRESH_LEAST), limits.KEYS_FRESH_MOST)
        self._keys, self._failed = keys, False
        self._fresh_until, self._kept_until = now + fresh, now + fresh + limits.KEYS_KEPT
        return True

    def _discover(self) -> str:
        """OpenID Connect Discovery 1.0 §4: the document must name the very issuer that was asked."""
        issuer = self._issuer.issuer
        document = read_object(self._fetch(issuer.rstrip("/") + DISCOVERY).body)
        uri = document.get("jwks_uri")
        if document.get("issuer") != issuer or not isinstance(uri, str) or not is_url(uri):
            raise FetchFailed("the discovery document is not the issuer's")
        if is_secure(issuer) and not is_secure(uri):
            raise FetchFailed("the keys of an https issuer must come by https")
        self._uri = uri
        return uri
