"""The token function: a verified identity in, a signed token out (RFC 8693 token exchange).

    access       verify identity -> decide the access flag, live -> sign
    evaluate     verify identity -> sign, unless revoked; every verified subject gets one
    service      API Gateway verified the SigV4 signature -> sign
    session      see `admission`

An error never allows: without rules, non-admins get 503; without keys, everyone does.

A token's `iat` is when the read of its rules began. So a revocation that those rules lack is later, and refuses it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headgate.core.decision import decide, decide_all
from headgate.core.model import Json, Profile, Subject
from headgate.core.profile import ADMIN_CLAIM, USER_CLAIM
from headgate.core.snapshot import Snapshot, gate_flags, named_attributes
from headgate.edge import telemetry, tracing
from headgate.edge.admission import Admission, Applicant
from headgate.edge.credentials import Credentials, check_denied, subject_of
from headgate.edge.http import Event, Request, Response, read_request, respond
from headgate.edge.kept_orgs import room_for_orgs, with_kept_orgs
from headgate.edge.key_pool import KeyPool
from headgate.edge.oauth import (
    ACCESS_TOKEN,
    GRANT,
    ID_TOKEN,
    SESSION_TOKEN,
    Exchange,
    OAuthError,
    access_denied,
    invalid_request,
    read_exchange,
    temporarily_unavailable,
    too_many,
)  # fmt: skip
from headgate.edge.rate_limit import RateLimit
from headgate.edge.settings import GateSettings
from headgate.store.memberships import ids_looked_up
from headgate.store.port import Unavailable
from headgate.store.sessions import session_key
from headgate.store.snapshots import Snapshots, Standing, View
from headgate.tokens import limits
from headgate.tokens.claims import Kind
from headgate.tokens.identity import IdentityUnavailable, IdentityVerifier
from headgate.tokens.issue import Grant, InvalidGrant, TokenTooLarge, issue, measure
from headgate.tokens.keys import NotP256, jwks
from headgate.tokens.refusals import RefusalCode, TokenRefused

SERVICE = "POST /v1/service-token"
SHORT_LIFE = 300
"""Lifetime of evaluation and service tokens, in seconds."""
JWKS_LIFE = 300
"""Seconds that clients may cache the public keys. The next key is published long before it signs."""


@dataclass(frozen=True, slots=True)
class TokenFunction:
    """Answers all routes of the token function."""

    settings: GateSettings
    keys: KeyPool
    credentials: Credentials
    identities: IdentityVerifier
    snapshots: Snapshots
    admission: Admission
    clock: Callable[[], float] = field(default=time.time)
    limit: RateLimit = field(default_factory=RateLimit)

    def __call__(self, event: Event) -> Response:
        """Answer one request."""
        request = read_request(event)
        routes: Mapping[str, Callable[[Request], Response]] = {
            "POST /v1/token": self._exchange,
            SERVICE: self._service,
            "GET /.well-known/jwks.json": self._jwks,
            "GET /.well-known/oauth-authorization-server": self._metadata,
        }
        try:
            # backends sign for the API's own host name, and so do not come through the front
            if request.route_key != SERVICE and not request.came_through_front(self.settings.origins):
                raise access_denied(None)
            return routes[request.route_key](request)
        except OAuthError as error:
            telemetry.log("refused", function="token", route=request.route_key, code=error.error,
                          status=error.status, request_id=request.request_id)  # fmt: skip
            return error.response()

    def _exchange(self, request: Request) -> Response:
        exchange = read_exchange(request, self.settings.audience)
        try:
            applicant = self._applicant(exchange, request)
            if not self.limit.allows(applicant.user, self.clock()):
                raise too_many()
            sid = exchange.session_id
            view = self.snapshots.live(*(() if sid is None else (session_key(applicant.user, sid),)))
            _check_denied(view.snapshot, applicant)
            if sid is not None:
                return self._mint(
                    request, view, applicant.issued_at, **self.admission.admit(applicant, sid, view, request)
                )
        except IdentityUnavailable:
            raise temporarily_unavailable("the identity provider is not available") from None
        except TokenRefused as refused:
            claim = refused.claim or None
            telemetry.denied("token", str(refused), claim=claim, request_id=request.request_id)
            if refused.code is RefusalCode.UNKNOWN_KEY and self.keys.unavailable:
                raise temporarily_unavailable("the signing keys are not available") from None
            raise invalid_request("subject_token rejected") from None
        if exchange.scope == "evaluate":
            applicant = self._with_kept_orgs(request, applicant, view, Kind.EVALUATE, ())
            return self._mint(
                request,
                view,
                applicant.issued_at,
                kind=Kind.EVALUATE,
                lifetime=SHORT_LIFE,
                **_claims(applicant, view.snapshot),
            )
        if view.standing is Standing.EXPIRED and not applicant.subject.admin:
            raise temporarily_unavailable("the rules are not available")
        return self._access(request, applicant, view)

    def _mint(
        self, request: Request, view: View, presented: int, reason: str | None = None, /, *, lifetime: int, **grant: Any
    ) -> Response:
        """Sign a grant with the active key, and answer. `lifetime` in seconds from now. Raises `OAuthError`.

        `presented` is the `iat` of what was exchanged: without rules, a denial that refuses that refuses the new token.
        `reason` is why the access flag let the subject in, for the log.
        """
        now = int(self.clock())
        issued_at = min(now, presented if view.standing is Standing.EXPIRED else int(view.as_of))
        issued_at = max(issued_at, now - limits.LIFETIME + SHORT_LIFE)
        if now - issued_at == 1:  # the read crossed into the next second: the token's life counts from before
            now = issued_at
        life = min(now + lifetime, issued_at + limits.LIFETIME) - issued_at
        filled = Grant(
            issuer=self.settings.issuer or request.origin, audience=self.settings.audience, lifetime=life,
            rev=view.snapshot.revision, **grant,
        )  # fmt: skip
        try:
            token, credential = issue(self.keys.signer, filled, issued_at)
        except (Unavailable, NotP256) as failure:
            self.keys.failed(failure)
            raise temporarily_unavailable("the signing key is not available") from None
        except (TokenTooLarge, InvalidGrant):
            raise invalid_request("the subject's claims do not fit in a token") from None
        telemetry.log("minted", {"TokensMinted": 1}, function="token", kind=filled.kind.value, code=reason,
                      revision=filled.rev, standing=view.standing, request_id=request.request_id)  # fmt: skip
        issued = SESSION_TOKEN if filled.kind is Kind.SESSION else ACCESS_TOKEN
        body = {"access_token": token, "issued_token_type": issued, "token_type": "Bearer",
                "expires_in": credential.exp - now, "scope": filled.kind.value}  # fmt: skip
        return respond(200, body, {"pragma": "no-cache", "x-headgate-revision": str(filled.rev)})

    def _applicant(self, exchange: Exchange, request: Request) -> Applicant:
        if exchange.subject_type == ID_TOKEN:
            one = self.identities.verify(exchange.subject_token, self.clock())
            if one.unread:
                telemetry.log("unread", function="token", claim=",".join(one.unread), request_id=request.request_id)
            subject = Subject(one.user, one.orgs, one.admin, one.attributes, orgs_cut=one.orgs_cut)
            return Applicant(one.user, subject, one.client_id, one.iat)
        own = self.credentials.token(exchange.subject_token, request, self.clock(), Kind.ACCESS, Kind.SESSION)
        return Applicant(own.subject, subject_of(own), own.client_id, own.iat, own)

    def _access(self, request: Request, applicant: Applicant, view: View) -> Response:
        snapshot = view.snapshot
        keys = tuple(sorted(gate_flags(snapshot)))
        applicant = self._with_kept_orgs(request, applicant, view, Kind.ACCESS, keys)
        subject = applicant.subject
        listing = self.snapshots.with_lists(view, subject, keys)
        if listing.unread and listing.unsure(snapshot.rules, keys):
            raise temporarily_unavailable("an allowlist is not available")
        subject = listing.subject
        decision = decide(snapshot.rules, snapshot.profile.access or "", subject, gate=True)
        if tracing.ON:
            tracing.evaluated({snapshot.profile.access or "": decision}, snapshot.revision)
        if not decision.value:
            telemetry.denied("token", decision.reason, revision=snapshot.revision, standing=view.standing,
                             request_id=request.request_id)  # fmt: skip
            raise access_denied(snapshot.revision)
        entitled = entitlements(snapshot, keys, subject)
        return self._mint(
            request, view, applicant.issued_at, decision.reason, kind=Kind.ACCESS,
            lifetime=snapshot.profile.lifetime, entitlements=entitled,
            extra=added_claims(snapshot, entitled, subject), **_claims(applicant, snapshot),
        )  # fmt: skip

    def _with_kept_orgs(
        self, request: Request, applicant: Applicant, view: View, kind: Kind, keys: tuple[str, ...]
    ) -> Applicant:
        """The applicant with the orgs that fit into its token, whichever of the flags are on. Raises `OAuthError`."""
        snapshot, subject = view.snapshot, applicant.subject
        if not subject.orgs:
            return applicant

        def on_long_list(orgs: Sequence[str]) -> frozenset[str]:
            few = [] if subject.admin else orgs[: ids_looked_up(snapshot.rules)]
            acting = [Subject(orgs=(org,), acting_org=org) for org in few]
            listings = self.snapshots.with_lists_of_each(view, acting, snapshot.rules.long)
            return frozenset(org for org, one in zip(orgs, listings, strict=False) if one.subject.listed)

        extra = added_claims(snapshot, keys, subject) if kind is Kind.ACCESS else {}
        try:
            largest = Grant(kind=kind, issuer=self.settings.issuer or request.origin,
                            audience=self.settings.audience, lifetime=SHORT_LIFE, entitlements=keys, extra=extra,
                            rev=snapshot.revision,
                            **_claims(applicant, snapshot))  # type: ignore[arg-type]  # fmt: skip
            kid = self.keys.signer.kid
            measure(replace(largest, orgs=(), entitlements=(), extra={}), kid)
            room = room_for_orgs(largest, kid)
        except Unavailable:
            raise temporarily_unavailable("the signing key is not available") from None
        except (TokenTooLarge, InvalidGrant):
            raise invalid_request("the subject's claims do not fit in a token") from None
        kept = with_kept_orgs(subject, snapshot, room, on_long_list)
        if len(kept.orgs) < len(subject.orgs):
            telemetry.count("OrgsCut", function="token")
        return replace(applicant, subject=kept)

    def _service(self, request: Request) -> Response:
        arn = request.arn
        if not arn:
            raise invalid_request("a signed request is required")
        view = self.snapshots.soft()
        return self._mint(
            request, view, int(self.clock()), kind=Kind.SERVICE, lifetime=SHORT_LIFE, subject=arn, client_id=arn
        )

    def _jwks(self, _request: Request) -> Response:
        self.snapshots.soft()  # learn of rotations even if this environment serves no other route
        if self.snapshots.held is None:  # revoked keys are unknown
            raise temporarily_unavailable("the rules are not available")
        try:
            published = jwks(self.keys)
        except KeyError:
            raise temporarily_unavailable("the signing keys are not available") from None
        return respond(200, published, {"cache-control": f"public, max-age={JWKS_LIFE}"})

    def _metadata(self, request: Request) -> Response:
        """RFC 8414 §2."""
        issuer = self.settings.issuer or request.origin
        document = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/v1/token",
            "jwks_uri": f"{issuer}/.well-known/jwks.json",
            "grant_types_supported": [GRANT],
            "response_types_supported": [],
            "scopes_supported": ["access", "evaluate", "session"],
            "token_endpoint_auth_methods_supported": ["none"],
        }
        return respond(200, document, {"cache-control": f"public, max-age={JWKS_LIFE}"})


def _check_denied(snapshot: Snapshot, applicant: Applicant) -> None:
    """Refuse a token from before a revocation, whoever issued it. Raises `TokenRefused`."""
    if applicant.own is not None:
        check_denied(snapshot, applicant.own)
    elif snapshot.denied.held and snapshot.denied.refuses(
        subject=applicant.user, jti="", issued_at=applicant.issued_at, session=None
    ):
        raise TokenRefused(RefusalCode.REVOKED)


def _claims(applicant: Applicant, snapshot: Snapshot) -> dict[str, object]:
    subject = applicant.subject
    named = named_attributes(snapshot)
    return {
        "subject": applicant.user,
        "client_id": applicant.client_id,
        "orgs": subject.orgs,
        "orgs_cut": subject.orgs_cut,
        "admin": subject.admin,
        "attributes": {name: value for name, value in subject.attributes.items() if name in named},
    }


def entitlements(snapshot: Snapshot, keys: tuple[str, ...], subject: Subject) -> tuple[str, ...]:
    """Return those of the flags that are on."""
    decided = decide_all(snapshot.rules, keys, subject)
    return tuple(key for key, decision in decided.items() if decision.value)


def added_claims(snapshot: Snapshot, entitled: tuple[str, ...], subject: Subject) -> dict[str, Json]:
    """Return the token profile's claims, and each flag's own claim: true if the flag is on, otherwise absent."""
    claims = {name: value for name, value in _filled(snapshot.profile, subject).items() if value is not None}
    flags = snapshot.rules.flags
    return claims | {claim: True for key in entitled if key in flags and (claim := flags[key].claim)}


def _filled(profile: Profile, subject: Subject) -> dict[str, Json]:
    filled: Mapping[Json, Json] = {USER_CLAIM: subject.user, ADMIN_CLAIM: True if subject.admin else None}
    return {n: filled[v] if isinstance(v, str) and v in filled else v for n, v in profile.claims.items()}
