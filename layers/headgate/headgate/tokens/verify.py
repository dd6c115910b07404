"""Verify our own tokens. Decides whether a string is a credential; knows no routes, flags, or revocations.

The checks run in this order, and the first failure decides: size, shape, header, key, signature, claims. Before the
signature is checked, only the header is parsed. PyJWT is not used here: its import adds 70 ms to a cold start and its
decode 30 µs, and the other checks would be needed anyway. `cryptography` checks the signature.

ES256 is malleable: a token has a twin with another text that verifies, too. So a revocation is keyed by `jti`, `sub`,
or `iat`, never by the text. The cache of verified tokens may use the text, since it only saves a check that was made.
"""

from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass

from headgate.tokens import compact, limits
from headgate.tokens.claims import BY_TYP, Credential, Kind, KindProfile, accept
from headgate.tokens.fields import is_short_and_plain
from headgate.tokens.keys import ALGORITHM, KeySet, PublicKey
from headgate.tokens.refusals import RefusalCode, TokenRefused

_HEADER = frozenset(("alg", "kid", "typ"))


class VerifiedTokens:
    """Tokens verified before in this execution context, by exact text. The least recently used is dropped first."""

    def __init__(self, most: int = limits.VERIFIED_TOKENS) -> None:
        self._most = most
        self._entries: OrderedDict[str, tuple[Credential, PublicKey]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str) -> tuple[Credential, PublicKey] | None:
        """Return the credential and the key that verified it, or None."""
        entry = self._entries.get(token)
        if entry is not None:
            self._entries.move_to_end(token)
        return entry

    def keep(self, token: str, credential: Credential, key: PublicKey) -> None:
        """Add a token. If the cache is full, drop the least recently used one."""
        self._entries[token] = (credential, key)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies tokens of one issuer and one audience. Cheap to construct, even for each request.

    `keys` are by key id. Verifiers may share `seen`: it only returns what a verification from scratch would return at
    that moment with these keys, issuer, and audience.
    """

    issuer: str
    audience: str
    keys: KeySet
    seen: VerifiedTokens | None = None

    def verify(self, token: str, now: float, kinds: Set[Kind]) -> Credential:
        """Return the credential in `token` at `now` (Unix seconds), if one of `kinds`. Raises only `TokenRefused`."""
        try:
            return self._seen_before(token, now, kinds) or self._first_sight(token, now, kinds)
        except TokenRefused:
            raise
        except Exception:  # fail closed, with a code to alarm on
            raise TokenRefused(RefusalCode.UNEXPECTED) from None

    def _seen_before(self, token: str, now: float, kinds: Set[Kind]) -> Credential | None:
        entry = self.seen.get(token) if self.seen is not None else None
        if entry is None:
            return None
        credential, key = entry
        current = self.keys.get(credential.kid)
        if (
            (current is not key and current != key)
            or credential.issuer != self.issuer
            or credential.audience != self.audience
            or credential.kind not in kinds
        ):
            return None  # the full verification gives the reason
        check_time(credential, now)
        return credential

    def _first_sight(self, token: str, now: float, kinds: Set[Kind]) -> Credential:
        parts = compact.split(token, token_limit=limits.TOKEN_BYTES, header_limit=limits.HEADER_CHARS)
        profile, key = self._read_header(parts.header, kinds)
        if not key.is_signed(parts.signing_input, compact.decode(parts.signature)):
            raise TokenRefused(RefusalCode.SIGNATURE)
        claims = compact.read_object(compact.decode(parts.payload))
        credential = accept(claims, profile, issuer=self.issuer, audience=self.audience, kid=key.kid)
        check_time(credential, now)
        if self.seen is not None:
            self.seen.keep(token, credential, key)
        return credential

    def _read_header(self, part: str, kinds: Set[Kind]) -> tuple[KindProfile, PublicKey]:
        """Return the kind and the key that the header names. `alg` must be the key's own."""
        header = compact.read_object(compact.decode(part))
        if header.keys() != _HEADER:
            raise TokenRefused(RefusalCode.HEADER_MEMBER)
        if header["alg"] != ALGORITHM:
            raise TokenRefused(RefusalCode.ALGORITHM)
        typ = header["typ"]
        profile = BY_TYP.get(typ.lower()) if isinstance(typ, str) and typ.isascii() else None
        if profile is None:  # media types are case-insensitive (RFC 2045 §5.1); nothing else is
            raise TokenRefused(RefusalCode.TYPE)
        if profile.kind not in kinds:
            raise TokenRefused(RefusalCode.KIND)
        return profile, self._find_key(header["kid"])

    def _find_key(self, kid: object) -> PublicKey:
        if not isinstance(kid, str) or not is_short_and_plain(kid, limits.KEY_ID_CHARS):
            raise TokenRefused(RefusalCode.KEY_ID)
        key = self.keys.get(kid)
        if key is None:
            raise TokenRefused(RefusalCode.UNKNOWN_KEY)
        if not key.verifies:
            raise TokenRefused(RefusalCode.REVOKED_KEY)
        return key


def check_time(credential: Credential, now: float) -> None:
    """Refuse a credential outside its validity period. For a cached token, only this and its key are checked again."""
    if credential.exp <= now:
        raise TokenRefused(RefusalCode.EXPIRED)
    ahead = now + limits.CLOCK_LEEWAY
    if credential.iat > ahead or credential.nbf > ahead:
        raise TokenRefused(RefusalCode.NOT_YET_VALID)
