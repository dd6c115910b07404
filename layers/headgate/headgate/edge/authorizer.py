"""The gate in front of the worker: decide whether a request may reach its route.

    credential -> policies of the route (one per procedure of a batch) -> class -> flags and asks, live -> context

Flags and asks are decided on the head as of this request, for every class that names them. Everything else does no I/O
except to refresh the rules every 4 to 5 s. Every failure is a denial. The answer is API Gateway's simple response, so
a denial is a 403 and its reason is only in the log.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from headgate.core.decision import decide, decide_all
from headgate.core.listing import Listing
from headgate.core.model import Decision, RouteClass, RoutePolicy, Subject
from headgate.core.routes import PASSES, Pass, live_flags, policies_for
from headgate.core.session import Session
from headgate.core.snapshot import Snapshot
from headgate.edge import telemetry, tracing
from headgate.edge.credentials import Credentials, check_denied, subject_of
from headgate.edge.http import Event, Request, read_request
from headgate.store.sessions import session_in, session_key
from headgate.store.snapshots import Snapshots, Standing, View
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.refusals import RefusalCode, TokenRefused

NOTHING_DECIDED = "NONE"
"""The reason in the context when the class alone admitted the request."""


class Denied(Exception):
    """The request is denied. Holds the code for the log."""


class Authorizer:
    """Answers API Gateway's question about one request."""

    def __init__(
        self, credentials: Credentials, snapshots: Snapshots, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._credentials, self._snapshots, self._clock = credentials, snapshots, clock

    def __call__(self, event: Event) -> dict[str, Any]:
        """Return a simple response: `isAuthorized` and the context for the worker."""
        request = read_request(event)
        try:
            context = self.admit(request)
        except (Denied, TokenRefused) as denial:
            held = self._snapshots.held
            telemetry.denied("authorizer", str(denial), route=request.route_key, request_id=request.request_id,
                             revision=None if held is None else held.revision)  # fmt: skip
            return {"isAuthorized": False, "context": {}}
        return {"isAuthorized": True, "context": context}

    def admit(self, request: Request) -> dict[str, Any]:
        """Return the context of an admitted request. Raises `TokenRefused` or `Denied`."""
        credential = self._credentials.bearer(request, self._clock(), Kind.ACCESS, Kind.SESSION)
        view = self._view(request, credential)
        snapshot = view.snapshot
        policies = policies_for(snapshot.routes, request.route_key, request.path)
        if not policies:
            raise Denied("batch")
        check_denied(snapshot, credential)
        self._check_class(policies, credential)
        self._check_reach(snapshot, credential)
        session, acting_org = _session(view, credential), _acting_org(policies, request, credential)
        if session is not None and session.ended:  # its end may be newer than the rules of this view
            raise TokenRefused(RefusalCode.REVOKED)
        subject = subject_of(credential, session, acting_org)
        needed = dict.fromkeys(key for policy in policies for key in live_flags(policy, snapshot.profile.access))
        asked = {key for policy in policies for key in policy.asks}
        keys = needed.keys() | asked
        others = () if acting_org or not keys else credential.orgs
        acting = [subject_of(credential, session, org) for org in others]
        listing, *each = self._snapshots.with_lists_of_each(view, (subject, *acting), keys)
        decided = decide_all(snapshot.rules, keys, listing.subject) if keys else {}
        if tracing.ON:
            tracing.evaluated(decided, view.revision)
        reason = self._check_flags(needed, decided, view, listing)
        by_org = _by_org(view, keys, credential.orgs, [one.subject for one in (each or [listing])])
        return {
            "subject": credential.subject,
            "orgs": json.dumps(credential.orgs),
            "admin": credential.admin,
            "entitlements": json.dumps(credential.entitlements),
            "asks": json.dumps({key: decided[key].value and _is_current(view, subject) for key in asked}),
            "reason": reason,
            "revision": view.revision,
            "session": credential.sid or "",
            "class": policies[0].route_class.value,
            "credential": credential.kind.value,
            "stale": view.standing is not Standing.FRESH,
            **({"org_flags": json.dumps(by_org)} if keys and credential.orgs else {}),
            **({"orgs_cut": True} if credential.orgs_cut else {}),
        }

    def _view(self, request: Request, credential: Credential) -> View:
        """One consistent read if the route needs a live decision, otherwise at most a due refresh."""
        held = self._snapshots.held
        if held is not None and _is_live(held, request):
            return self._live(credential)
        view = self._snapshots.soft()
        return self._live(credential) if _is_live(view.snapshot, request) else view

    def _live(self, credential: Credential) -> View:
        if credential.kind is Kind.SESSION and credential.sid is not None:
            return self._snapshots.live(session_key(credential.subject, credential.sid))
        return self._snapshots.live()

    def _check_class(self, policies: tuple[RoutePolicy, ...], credential: Credential) -> None:
        held = Pass.SESSION if credential.kind is Kind.SESSION else Pass.ADMIN if credential.admin else Pass.ACCESS
        for policy in policies:
            if held not in PASSES[policy.route_class]:
                raise Denied(f"class:{policy.route_class}")

    def _check_reach(self, snapshot: Snapshot, credential: Credential) -> None:
        """A kill with reach `drain` or `sever` refuses session tokens on every route."""
        if credential.kind is not Kind.SESSION:
            return
        cut = snapshot.sessions_end
        if cut is not None and self._clock() >= cut:
            raise Denied("killed:session")

    def _check_flags(self, keys: Iterable[str], decided: Mapping[str, Decision], view: View, listing: Listing) -> str:
        reason = NOTHING_DECIDED
        for key in keys:
            decision = decided[key]
            if not decision.value:
                unread = listing.unsure(view.snapshot.rules, (key,))
                raise Denied(f"list-unavailable:{key}" if unread else f"{decision.reason}:{key}")
            if not _is_current(view, listing.subject):
                raise Denied("unavailable")
            reason = reason if reason != NOTHING_DECIDED else decision.reason.value
        return reason


def _is_live(snapshot: Snapshot, request: Request) -> bool:
    policies = policies_for(snapshot.routes, request.route_key, request.path)
    return any(policy.asks or live_flags(policy, snapshot.profile.access) for policy in policies)


def _is_current(view: View, subject: Subject) -> bool:
    """Expired rules admit nobody except admins, who pass under any rules."""
    return view.standing is not Standing.EXPIRED or subject.admin


def _acting_org(policies: Iterable[RoutePolicy], request: Request, credential: Credential) -> str | None:
    """The org that the path names. Raises `Denied` unless it is one of the caller's, byte for byte.

    On a route for admins, it is what they administer.
    """
    org = request.path.get("org")
    if org is None or all(policy.route_class is RouteClass.ADMIN for policy in policies):
        return None
    if org not in credential.orgs:
        raise Denied("org")
    return org


def _by_org(view: View, keys: Iterable[str], orgs: Sequence[str], acting: Iterable[Subject]) -> dict[str, str]:
    """For each flag one digit per org: 1 if it is on for the caller acting for that org alone.

    The worker needs it where the body names the org, which the gate does not see.
    """
    subjects = {subject.acting_org: subject for subject in acting}
    rules = view.snapshot.rules

    def is_on(key: str, org: str) -> bool:
        subject = subjects.get(org)
        return subject is not None and _is_current(view, subject) and decide(rules, key, subject, gate=True).value

    return {key: "".join("01"[is_on(key, org)] for org in orgs) for key in keys}


def _session(view: View, credential: Credential) -> Session | None:
    if credential.sid is None:
        return None
    return session_in(view.items, session_key(credential.subject, credential.sid))
