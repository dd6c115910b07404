"""Flags for a subject, over OFREP 0.3.0 (OpenFeature Remote Evaluation Protocol).

A user's token sees its own flags only: of the body's context only `targetingKey` is read, and it must be the token's
subject. A service token may name the subject and its attributes. No answer holds lists, salts or other subjects.
"""

import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from headgate.core.audit import canonical
from headgate.core.decision import decide
from headgate.core.model import Decision, Flag, Json, Reason, Subject
from headgate.core.parse import is_key
from headgate.edge import telemetry
from headgate.edge.gate import Credentials, subject_of
from headgate.edge.http import Event, Request, Response, read_request, respond
from headgate.edge.problems import RETRY_AFTER
from headgate.edge.signing import KeyPool
from headgate.edge.strict_json import Malformed, TooLarge, read_json
from headgate.store.snapshots import Snapshots, Standing, View
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.refusals import Refused

SINGLE, BULK = "POST /ofrep/v1/evaluate/flags/{key}", "POST /ofrep/v1/evaluate/flags"
MAX_BODY = 32_768
MAX_CONTEXT_ORGS = 1_000
OPENFEATURE: Mapping[Reason, str] = {
    Reason.ADMIN: "TARGETING_MATCH",
    Reason.ALLOWLIST: "TARGETING_MATCH",
    Reason.SPLIT: "SPLIT",
    Reason.GA: "STATIC",
    Reason.KILLED: "DISABLED",
}
"""Headgate's reasons as OpenFeature's; the rest are DEFAULT."""


class Failed(Exception):
    """The request is answered with a failure. OFREP has bodies of its own: `errorCode` and `errorDetails`."""

    def __init__(self, status: int, details: str, code: str | None = None) -> None:
        super().__init__(details)
        self.status, self.details, self.code = status, details, code


class Evaluate:
    """The evaluate function."""

    def __init__(
        self, credentials: Credentials, keys: KeyPool, snapshots: Snapshots, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._credentials, self._keys, self._snapshots, self._clock = credentials, keys, snapshots, clock

    def __call__(self, event: Event) -> Response:
        """Answer one request."""
        request = read_request(event)
        try:
            return self._answer(request)
        except Failed as failure:
            telemetry.log("refused", function="evaluate", route=request.route_key, status=failure.status,
                          code=failure.code, request_id=request.request_id)  # fmt: skip
            return _failure(failure, request)

    def _answer(self, request: Request) -> Response:
        credential = self._credential(request)
        key = self._key(request)
        subject = _subject(credential, _context(request))
        view = self._snapshots.soft()
        if view.standing is Standing.EXPIRED:
            raise Failed(503, "the rules are not available")
        if key is not None:
            return _single(view, key, subject)
        return _bulk(view, subject, request.headers.get("if-none-match", ""))

    def _credential(self, request: Request) -> Credential:
        kinds = (Kind.ACCESS, Kind.EVALUATE, Kind.SERVICE)
        try:
            return self._credentials.bearer(request, self._clock(), *kinds)
        except Refused as refused:
            telemetry.log("denied", function="evaluate", code=str(refused), request_id=request.request_id)
            if self._keys.unavailable:
                raise Failed(503, "the signing keys are not available") from None
            raise Failed(401, "a valid token is required") from None

    def _key(self, request: Request) -> str | None:
        if request.route_key == BULK:
            return None
        key = request.path.get("key", "")
        if not is_key(key):
            raise Failed(400, "this is no flag key", "GENERAL")
        return key


def _context(request: Request) -> dict[str, Json]:
    """The evaluation context of the body; clients send none, or an empty one, where the token says it all."""
    try:
        body = read_json(request.body, MAX_BODY)
    except TooLarge as fault:
        raise Failed(413, str(fault), "GENERAL") from None
    except Malformed as fault:
        raise Failed(400, str(fault), "PARSE_ERROR") from None
    context = body.get("context", {}) if isinstance(body, dict) else None
    if not isinstance(context, dict):
        raise Failed(400, "the body must be an object with an object as context", "INVALID_CONTEXT")
    return context


def _subject(credential: Credential, context: dict[str, Json]) -> Subject:
    named = context.get("targetingKey")
    if credential.kind is not Kind.SERVICE:
        if named is not None and named != credential.subject:
            raise Failed(403, "targetingKey is not the token's subject")
        return subject_of(credential)
    if named is None:
        raise Failed(400, "targetingKey is missing", "TARGETING_KEY_MISSING")
    orgs, admin = context.get("orgs", []), context.get("admin", False)
    listed = isinstance(orgs, list) and len(orgs) <= MAX_CONTEXT_ORGS and all(isinstance(org, str) for org in orgs)
    if not isinstance(named, str) or not listed or not isinstance(admin, bool):
        raise Failed(400, "targetingKey is a string, orgs a list of strings, admin a boolean", "INVALID_CONTEXT")
    attributes = {name: value for name, value in context.items() if name not in ("targetingKey", "orgs", "admin")}
    return Subject(user=named or None, orgs=tuple(orgs), admin=admin, attributes=attributes)


def _single(view: View, key: str, subject: Subject) -> Response:
    decision = decide(view.snapshot.rules, key, subject)
    headers = _headers(view)
    if decision.reason is Reason.FLAG_NOT_FOUND:
        body = {"key": key, "errorCode": "FLAG_NOT_FOUND", "errorDetails": "there is no such flag"}
        return respond(404, body | {"metadata": _metadata(decision, view)}, headers)
    flag = view.snapshot.rules.flags[key]
    return respond(200, {**_evaluation(flag, decision), "metadata": _metadata(decision, view)}, headers)


def _bulk(view: View, subject: Subject, if_none_match: str) -> Response:
    rules = view.snapshot.rules
    decisions = [(flag, decide(rules, key, subject)) for key, flag in sorted(rules.flags.items())]
    values = [_evaluation(flag, decision) for flag, decision in decisions]
    etag = f'"{sha256(canonical([subject.user, values]).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
    headers = _headers(view) | {"etag": etag}
    if etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(",")):
        return respond(304, None, headers)
    flags = [
        value | {"metadata": _metadata(made, view)} for value, (_flag, made) in zip(values, decisions, strict=True)
    ]
    return respond(200, {"flags": flags, "metadata": _about(view)}, headers)


def _evaluation(flag: Flag, decision: Decision) -> dict[str, Any]:
    return {
        "key": flag.key,
        "value": flag.on if decision.value else flag.off,
        "variant": "on" if decision.value else "off",
        "reason": OPENFEATURE.get(decision.reason, "DEFAULT"),
    }


def _metadata(decision: Decision, view: View) -> dict[str, Any]:
    return {"reason": decision.reason.value, **_about(view)}


def _about(view: View) -> dict[str, Any]:
    stale = {} if view.standing is Standing.FRESH else {"stale": True}
    return {"revision": view.snapshot.revision, **stale}


def _headers(view: View) -> dict[str, str]:
    return {"x-headgate-revision": str(view.snapshot.revision), "cache-control": "private, no-cache"}


def _failure(failure: Failed, request: Request) -> Response:
    body: dict[str, Any] = {"errorDetails": failure.details}
    if failure.code is not None:
        body["errorCode"] = failure.code
        if request.route_key == SINGLE:
            body["key"] = request.path.get("key", "")
    headers = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": RETRY_AFTER}}
    return respond(failure.status, body, headers.get(failure.status))
