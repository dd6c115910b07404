"""What mint, authorizer, and evaluate share: verify a token, check it against the deny set, and read its subject."""

from collections.abc import Callable

from headgate.core.keyring import is_revoked
from headgate.core.model import Subject
from headgate.core.session import Session, record_id
from headgate.core.snapshot import Snapshot
from headgate.edge.http import Request
from headgate.edge.key_pool import KeyPool
from headgate.edge.settings import GateSettings
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.refusals import RefusalCode, TokenRefused
from headgate.tokens.verify import VerifiedTokens, Verifier

NOT_OURS = frozenset((RefusalCode.ALGORITHM, RefusalCode.HEADER_MEMBER))
"""Refusals of a header that no Headgate token can have. Only these tokens are tried with the legacy issuer."""

_Legacy = Callable[[str, float], Credential]
"""Verify a legacy token at a time (Unix seconds). Raises `TokenRefused`. Implemented by `edge.legacy`."""


class Credentials:
    """Verifies Headgate's tokens from the Authorization header, and legacy tokens if `legacy` is set."""

    def __init__(self, settings: GateSettings, keys: KeyPool, legacy: _Legacy | None = None) -> None:
        self._settings, self._keys, self._seen, self._legacy = settings, keys, VerifiedTokens(), legacy

    def bearer(self, request: Request, now: float, *kinds: Kind) -> Credential:
        """Return the credential of a request. Raises `TokenRefused`."""
        if not request.came_through_front(self._settings.origins):
            raise TokenRefused(RefusalCode.ORIGIN)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenRefused(RefusalCode.SHAPE)
        return self.token(token, request, now, *kinds)

    def token(self, token: str, request: Request, now: float, *kinds: Kind) -> Credential:
        """Return the credential in a token. Raises `TokenRefused`."""
        issuer = self._settings.issuer or request.origin
        verifier = Verifier(issuer, self._settings.audience, self._keys, self._seen)
        try:
            return verifier.verify(token, now, frozenset(kinds))
        except TokenRefused as refused:
            if self._legacy is None or refused.code not in NOT_OURS:
                raise
        return self._legacy(token, now)


def check_denied(snapshot: Snapshot, credential: Credential) -> None:
    """Refuse a revoked token or ended session; the view may be newer than the verification. Raises `TokenRefused`."""
    if is_revoked(snapshot.keyring, credential.kid):
        raise TokenRefused(RefusalCode.REVOKED_KEY)
    if not snapshot.denied.held:
        return
    session = None if credential.sid is None else record_id(credential.subject, credential.sid)
    if snapshot.denied.refuses(
        subject=credential.subject, jti=credential.jti, issued_at=credential.iat, session=session
    ):
        raise TokenRefused(RefusalCode.REVOKED)


def subject_of(credential: Credential, session: Session | None = None, acting_org: str | None = None) -> Subject:
    """Return who is asking. A session token has no `admin`: the session's record does, for flag decisions only.

    `acting_org` must be one of the credential's orgs.
    """
    return Subject(
        user=credential.subject,
        orgs=credential.orgs,
        admin=credential.admin or (session is not None and session.admin),
        attributes=credential.attributes,
        acting_org=acting_org,
        orgs_cut=credential.orgs_cut,
    )
