"""What mint, authorizer and evaluate share: a credential as a subject, and decisions on a view of the rules."""

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
"""Said of a header by which no token can be our own: the only ones that a legacy issuer is asked about."""

_Legacy = Callable[[str, float], Credential]
"""The credential in an old token at a time (unix seconds), or `TokenRefused`: `edge.legacy`, where it is configured."""


class Credentials:
    """Verifies our own tokens as they come in the Authorization header, and old ones where `legacy` is given."""

    def __init__(self, settings: GateSettings, keys: KeyPool, legacy: _Legacy | None = None) -> None:
        self._settings, self._keys, self._seen, self._legacy = settings, keys, VerifiedTokens(), legacy

    def bearer(self, request: Request, now: float, *kinds: Kind) -> Credential:
        """The credential of a request. Raises `TokenRefused`."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise TokenRefused(RefusalCode.SHAPE)
        return self.token(token, request, now, *kinds)

    def token(self, token: str, request: Request, now: float, *kinds: Kind) -> Credential:
        """The credential in a token. Raises `TokenRefused`."""
        issuer = self._settings.issuer or request.origin
        verifier = Verifier(issuer, self._settings.audience, self._keys, self._seen)
        try:
            return verifier.verify(token, now, frozenset(kinds))
        except TokenRefused as refused:
            if self._legacy is None or refused.code not in NOT_OURS:
                raise
        return self._legacy(token, now)


def check_denied(snapshot: Snapshot, credential: Credential) -> None:
    """Refuse what was revoked or ended, as of a view that may be newer than the verification. Raises `TokenRefused`."""
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
    """Who is asking. A session token carries no `admin`: its record does, and only for flag decisions."""
    return Subject(
        user=credential.subject,
        orgs=credential.orgs,
        admin=credential.admin or (session is not None and session.admin),
        attributes=credential.attributes,
        acting_org=acting_org if acting_org in credential.orgs else None,
    )
