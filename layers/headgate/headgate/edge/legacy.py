"""Old tokens at the authorizer: verified, counted, and their secret read once. Loaded only where it is configured.

When the secret cannot be read, old tokens are refused and an alarm is counted; everything else goes on.
"""

import os
import time
from collections.abc import Callable, Mapping

from headgate.edge import telemetry
from headgate.edge.settings import required
from headgate.store.dynamo import client
from headgate.store.port import Unavailable
from headgate.store.secret import Secret
from headgate.tokens import limits
from headgate.tokens.claims import Credential
from headgate.tokens.legacy import LegacyVerifier
from headgate.tokens.legacy_issuer import NoSecret, parse_legacy_issuer, shared_secret
from headgate.tokens.refusals import RefusalCode, TokenRefused


class LegacyTokens:
    """Takes old tokens, and counts those that it took: at zero the issuer can be removed from the configuration."""

    def __init__(self, verifier: LegacyVerifier) -> None:
        self._verifier = verifier

    def __call__(self, token: str, now: float) -> Credential:
        """The credential in an old token at `now` (unix seconds). Raises `TokenRefused`."""
        credential = self._verifier.verify(token, now)
        telemetry.count("LegacyTokens", function="authorizer")
        return credential


class HeldSecret:
    """The shared secret, kept once it was read; after a failure it is not asked for again for a while."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._key: bytes | None = None
        self._failed_at = float("-inf")

    def __call__(self, now: float) -> bytes:
        """The key. Raises `TokenRefused`."""
        if self._key is None:
            self._key = self._fetch(now)
        return self._key

    def _fetch(self, now: float) -> bytes:
        if 0 <= now - self._failed_at < limits.SECRET_PAUSE:
            raise TokenRefused(RefusalCode.KEY_UNAVAILABLE)
        try:
            return shared_secret(self._read())
        except (Unavailable, NoSecret) as failure:
            self._failed_at = now
            telemetry.log("unavailable", function="authorizer", error=f"{type(failure).__name__}:{failure}")
            telemetry.count("LegacySecretUnavailable", function="authorizer")
            raise TokenRefused(RefusalCode.KEY_UNAVAILABLE) from None


def legacy_tokens(environment: Mapping[str, str] = os.environ) -> LegacyTokens:
    """What the environment says of the legacy issuer. Raises `Misconfigured` or `Invalid`, with every fault."""
    needed = required("HEADGATE_LEGACY_ISSUER", "HEADGATE_LEGACY_SECRET_ARN", environment=environment)
    issuer = parse_legacy_issuer(needed["HEADGATE_LEGACY_ISSUER"], time.time())
    secret = Secret(
        needed["HEADGATE_LEGACY_SECRET_ARN"], lambda: client("secretsmanager", connect_timeout=0.5, read_timeout=1.0)
    )
    return LegacyTokens(LegacyVerifier(issuer, HeldSecret(secret.read)))
