"""An identity provider's keys: fetched from its key set, cached, and refreshed. PyJWT parses the keys (RFC 7517).

The provider is asked when the cached set is no longer fresh, or for an unknown key, but at most once a minute (once in
5 s while no set is known). A failed fetch keeps the known keys. Knows no token. Of a key, `kid`, `alg`, and `use` are
optional (RFC 7517 §4), and so is a token's `kid` (RFC 7515 §4.1.4).
"""

from collections.abc import Mapping, Sequence
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
    """The provider's keys cannot be fetched, so the token is neither accepted nor refused. `retry_after` in seconds."""

    retry_after = limits.RETRY_PAUSE


class ProviderKey:
    """A public key bound to one algorithm."""

    __slots__ = ("_algorithm", "_key")

    def __init__(self, jwk: PyJWK) -> None:
        self._algorithm, self._key = jwk.Algorithm, jwk.Algorithm.prepare_key(jwk.key)  # checks the curve
        bits = getattr(self._key, "key_size", limits.RSA_BITS[0])
        if jwk.key_type == "RSA" and not limits.RSA_BITS[0] <= bits <= limits.RSA_BITS[1]:
            raise ValueError("the RSA key is too short or too long")

    def is_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature (in JOSE form) is this key's signature of the message."""
        return self._algorithm.verify(message, self._key, signature)


ProviderKeys = Mapping[tuple[str | None, str], Sequence[ProviderKey]]
"""Keys by key id and algorithm: under "" those without an id, under None all. A key of another `alg` is unknown."""


def read_keys(body: bytes, algorithms: tuple[str, ...]) -> ProviderKeys:
    """Return the usable keys of a key set, skipping others (RFC 7517 §5). Raises `TokenRefused` if it is no key set."""
    entries = read_object(body).get("keys")
    if not isinstance(entries, list) or len(entries) > limits.PROVIDER_KEYS:
        raise TokenRefused(RefusalCode.CLAIM_TYPE)
    keys: dict[tuple[str | None, str], list[ProviderKey]] = {}
    for entry in entries:
        members = {name: value for name, value in entry.items() if value is not None} if isinstance(entry, dict) else {}
        for algorithm in algorithms:
            key = _read_key(members, algorithm)
            if key is not None:
                for kid in (None, members.get("kid", "")):
                    keys.setdefault((kid, algorithm), []).append(key)
    return keys


def _read_key(entry: Mapping[str, Any], algorithm: str) -> ProviderKey | None:
    if ("kid" in entry and not is_short_and_plain(entry["kid"])) or not _PRIVATE.isdisjoint(entry):
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    if "key_ops" in entry and (not isinstance(entry["key_ops"], list) or "verify" not in entry["key_ops"]):
        return None
    try:
        return ProviderKey(PyJWK(dict(entry), algorithm))
    except (PyJWTError, ValueError, TypeError, KeyError, OverflowError):
        return None


def key_set_url(issuer: IdentityIssuer, load: Fetch) -> str:
    """Return the key set's URL: the configured one, or the one in the provider's discovery document.

    The document must name exactly this issuer (OpenID Connect Discovery 1.0 §4). Raises `FetchFailed`, `TokenRefused`.
    """
    if issuer.jwks_uri is not None:
        return issuer.jwks_uri
    document = read_object(load(issuer.issuer.rstrip("/") + DISCOVERY).body)
    uri = document.get("jwks_uri")
    if document.get("issuer") != issuer.issuer or not isinstance(uri, str) or not is_url(uri):
        raise FetchFailed("the discovery document names another issuer or no valid jwks_uri")
    if is_secure(issuer.issuer) and not is_secure(uri):
        raise FetchFailed("the jwks_uri of an https issuer must be https")
    return uri


class KeySource:
    """One provider's keys, for the life of an execution context. Times are Unix seconds, passed by the caller."""

    def __init__(self, issuer: IdentityIssuer, fetch: Fetch) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._uri: str | None = None
        self._keys: ProviderKeys = {}
        self._fresh_until = self._kept_until = 0.0
        self._asked_at: float | None = None
        self._failed = False

    def check_signature(self, kid: str | None, algorithm: str, message: bytes, signature: bytes, now: float) -> None:
        """Check a signature (in JOSE form) by the key with this id; without an id, by each key of the algorithm.

        Raises `TokenRefused`, or `IdentityUnavailable` if the key is unknown and the provider does not answer.
        """
        if now >= self._fresh_until:
            self._ask(now)
        if now >= self._kept_until:
            self._keys = {}
        known = self._named(kid, algorithm)
        if any(key.is_signed(message, signature) for key in known):
            return
        # A new key shows as an unknown id, or without ids as a signature that no key made.
        if (kid is None or (kid, algorithm) not in self._keys) and self._ask(now):
            known = self._named(kid, algorithm)
            if any(key.is_signed(message, signature) for key in known):
                return
        if not known and (self._failed or not self._keys):
            raise IdentityUnavailable("the identity provider's keys cannot be fetched")
        raise TokenRefused(RefusalCode.SIGNATURE if known else RefusalCode.UNKNOWN_KEY)

    def _named(self, kid: str | None, algorithm: str) -> Sequence[ProviderKey]:
        """The keys that a token may mean: those with its key id and those without one; all if it names none."""
        keys = [*self._keys.get((kid, algorithm), ())]
        if kid is not None:
            keys += self._keys.get(("", algorithm), ())
        if len(keys) > limits.KEYS_TRIED:
            raise TokenRefused(RefusalCode.KEY_ID)
        return keys

    def _ask(self, now: float) -> bool:
        """Fetch the keys unless that was tried recently. Return whether it was tried and succeeded."""
        pause = limits.REFRESH_PAUSE if self._keys else limits.RETRY_PAUSE
        if self._asked_at is not None and 0 <= now - self._asked_at < pause:
            return False
        self._asked_at, self._failed = now, True
        try:
            self._uri = self._uri or key_set_url(self._issuer, self._fetch)
            document = self._fetch(self._uri)
            keys = read_keys(document.body, self._issuer.algorithms)
        except (FetchFailed, TokenRefused):
            self._uri = None  # it may have moved: discover it again next time
            return False
        if not keys:
            return False
        age = limits.KEYS_FRESH_DEFAULT if document.max_age is None else document.max_age
        fresh = min(max(age, limits.KEYS_FRESH_LEAST), limits.KEYS_FRESH_MOST)
        self._keys, self._failed = keys, False
        self._fresh_until, self._kept_until = now + fresh, now + fresh + limits.KEYS_KEPT
        return True
