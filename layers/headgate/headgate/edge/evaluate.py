"""Flags for a subject, over OFREP 0.3.0 (OpenFeature Remote Evaluation Protocol).

A user's token reads its own flags only: `targetingKey` is the only member of the body's context that is read, and it
must be the token's subject. A service token may name the subject and its attributes. No answer contains lists, salts,
or other subjects.
"""

import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from headgate.core.documents import canonical, is_key
from headgate.core.limits import MAX_FLAGS
from headgate.core.model import Json, Subject
from headgate.edge import telemetry, tracing
from headgate.edge.credentials import Credentials, check_denied, subject_of
from headgate.edge.http import (
    ANSWER_BYTES,
    Event,
    Malformed,
    Request,
    Response,
    TooLarge,
    cost,
    read_json,
    read_request,
    respond,
)
from headgate.edge.key_pool import KeyPool
from headgate.edge.openfeature import InvalidContext, about, evaluate, metadata, subject_in
from headgate.edge.problems import RETRY_AFTER
from headgate.store.snapshots import Snapshots, Standing, View
from headgate.tokens.claims import Credential, Kind
from headgate.tokens.refusals import RefusalCode, TokenRefused

SINGLE, BULK = "POST /ofrep/v1/evaluate/flags/{key}", "POST /ofrep/v1/evaluate/flags"
_MAX_BODY = 32_768


class Failed(Exception):
    """The request failed. OFREP defines the body: `errorCode` and `errorDetails`."""

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
            raise Failed(503, "the rules are not available, try again")
        try:
            check_denied(view.snapshot, credential)
        except TokenRefused as refused:
            raise self._unauthorized(refused, request) from None
        rules = view.snapshot.rules
        listing = self._snapshots.with_lists(view, subject, rules.flags if key is None else (key,))
        if listing.unread and listing.unsure(rules, rules.flags if key is None else (key,)):
            raise Failed(503, "an allowlist is not available, try again")
        subject = listing.subject
        if key is not None:
            return _single(view, key, subject)
        return _bulk(view, subject, request.headers.get("if-none-match", ""))

    def _credential(self, request: Request) -> Credential:
        kinds = (Kind.ACCESS, Kind.EVALUATE, Kind.SERVICE)
        try:
            return self._credentials.bearer(request, self._clock(), *kinds)
        except TokenRefused as refused:
            if refused.code is RefusalCode.UNKNOWN_KEY and self._keys.unavailable:
                raise Failed(503, "the signing keys are not available, try again") from None
            raise self._unauthorized(refused, request) from None

    def _unauthorized(self, refused: TokenRefused, request: Request) -> Failed:
        telemetry.denied("evaluate", str(refused), request_id=request.request_id)
        return Failed(401, "a valid token is required")

    def _key(self, request: Request) -> str | None:
        if request.route_key == BULK:
            return None
        key = request.path.get("key", "")
        if not is_key(key):
            raise Failed(400, "invalid flag key", "GENERAL")
        return key


def _context(request: Request) -> dict[str, Json]:
    """Return the evaluation context of the body. Clients whose token names the subject send none, or an empty one."""
    try:
        body = read_json(request.body, _MAX_BODY)
    except TooLarge as fault:
        raise Failed(413, str(fault), "GENERAL") from None
    except Malformed as fault:
        raise Failed(400, str(fault), "PARSE_ERROR") from None
    context = body.get("context", {}) if isinstance(body, dict) else None
    if not isinstance(context, dict):
        raise Failed(400, "the body must be an object, and its context an object", "INVALID_CONTEXT")
    return context


def _subject(credential: Credential, context: dict[str, Json]) -> Subject:
    named = context.get("targetingKey")
    if credential.kind is not Kind.SERVICE:
        if named is not None and named != credential.subject:
            raise Failed(403, "targetingKey is not the token's subject")
        return subject_of(credential)
    if named is None or named == "":
        raise Failed(400, "targetingKey is missing: name the subject that you ask for", "TARGETING_KEY_MISSING")
    try:
        return subject_in(context)
    except InvalidContext as fault:
        raise Failed(400, str(fault), "INVALID_CONTEXT") from None


def _single(view: View, key: str, subject: Subject) -> Response:
    decision, made = evaluate(view.snapshot.rules, key, subject)
    if tracing.ON:
        tracing.evaluated({key: decision}, view.revision)
    told = {"metadata": metadata(decision, view)}
    if not made:
        missing = {"key": key, "errorCode": "FLAG_NOT_FOUND", "errorDetails": f"flag {key} not found"}
        return respond(404, missing | told, _headers(view))
    return respond(200, {"key": key, **made, **told}, _headers(view))


def _bulk(view: View, subject: Subject, if_none_match: str) -> Response:
    rules = view.snapshot.rules
    decided = {key: evaluate(rules, key, subject) for key in sorted(rules.flags)}
    if tracing.ON:
        tracing.evaluated({key: decision for key, (decision, _) in decided.items()}, view.revision)
    values = [[key, made, decision.reason] for key, (decision, made) in decided.items()]
    etag = f'"{sha256(canonical([subject.user, values]).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
    headers = _headers(view) | {"etag": etag}
    if etag in (tag.strip().removeprefix("W/") for tag in if_none_match.split(",")):
        return respond(304, None, headers)
    flags = [{"key": key, **made, "metadata": metadata(decision, view)} for key, (decision, made) in decided.items()]
    response = respond(200, {"flags": flags, "metadata": about(view)}, headers)
    if len(response["body"]) > ANSWER_BYTES // 12:  # one character takes at most 12 bytes in Lambda's response
        response = respond(200, {"flags": _fitting(flags), "metadata": about(view)}, headers)
    return response


def _fitting(flags: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the flags that fit into one answer, and OFREP's evaluation failure for each of the others."""
    failed = {
        "errorCode": "GENERAL",
        "errorDetails": "the value does not fit into this answer: evaluate the flag alone",
    }
    room, told = ANSWER_BYTES - MAX_FLAGS * cost({"key": "k" * 64, **failed}), []
    for flag in flags:
        fits = cost(flag) <= room
        room -= cost(flag) if fits else 0
        told.append(flag if fits else {"key": flag["key"], **failed})
    return told


def _headers(view: View) -> dict[str, str]:
    return {"x-headgate-revision": str(view.revision), "cache-control": "private, no-cache"}


def _failure(failure: Failed, request: Request) -> Response:
    body: dict[str, Any] = {"errorDetails": failure.details}
    if failure.code is not None:
        body["errorCode"] = failure.code
        if request.route_key == SINGLE:
            body["key"] = request.path.get("key", "")
    headers = {401: {"www-authenticate": "Bearer"}, 503: {"retry-after": RETRY_AFTER}}
    return respond(failure.status, body, headers.get(failure.status))
