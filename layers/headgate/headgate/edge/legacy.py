"""Legacy tokens at the authorizer: verify and count them. Loaded only if a legacy issuer is configured.

The shared secret is read once. If it cannot be read, legacy tokens are refused and an alarm metric is counted;
everything else works.
"""

import os
import time
from collections.abc import Callable, Mapping

from headgate.edge import telemetry
from headgate.edge.settings import IDENTITY_ISSUERS, LEGACY_ISSUER, required
from headgate.store.dynamo import client
from headgate.store.port import Unavailable
from headgate.store.secret import Secret
from headgate.tokens import limits
from headgate.tokens.claims import Credential
from headgate.tokens.issuers import parse_issuers
from headgate.tokens.legacy import LegacyVerifier
from headgate.tokens.legacy_issuer import NoSecret, parse_legacy_issuer, prefix_of, shared_secret
from headgate.tokens.refusals import RefusalCode, TokenRefused


class LegacyTokens:
    """Accepts and counts legacy tokens. When the count stays at zero, remove the issuer from the configuration."""

    def __init__(self, verifier: LegacyVerifier) -> None:
        self._verifier = verifier

    def __call__(self, token: str, now: float) -> Credential:
        """Return the credential in a legacy token at `now` (Unix seconds). Raises `TokenRefused`."""
        credential = self._verifier.verify(token, now)
        telemetry.count("LegacyTokens", function="authorizer")
        return credential


class HeldSecret:
    """The shared secret, read once and kept. After a failure, it waits `limits.SECRET_PAUSE` seconds to read again."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._key: bytes | None = None
        self._failed_at = float("-inf")

    def __call__(self, now: float) -> bytes:
        """Return the key. Raises `TokenRefused`."""
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
            telemetry.log("unavailable", {"LegacySecretUnavailable": 1}, function="authorizer",
                          error=f"{type(failure).__name__}:{failure}")  # fmt: skip
            raise TokenRefused(RefusalCode.KEY_UNAVAILABLE) from None


def legacy_tokens(environment: Mapping[str, str] = os.environ) -> LegacyTokens:
    """Build the verifier from the environment. Raises `Misconfigured` or `Invalid`, which list every fault."""
    needed = required(LEGACY_ISSUER, "HEADGATE_LEGACY_SECRET_ARN", IDENTITY_ISSUERS, environment=environment)
    issuer = parse_legacy_issuer(needed[LEGACY_ISSUER], time.time())
    prefix = prefix_of(issuer, parse_issuers(needed[IDENTITY_ISSUERS]))
    secret = Secret(
        needed["HEADGATE_LEGACY_SECRET_ARN"], lambda: client("secretsmanager", connect_timeout=0.5, read_timeout=1.0)
    )
    return LegacyTokens(LegacyVerifier(issuer, HeldSecret(secret.read), prefix))
