"""What every admin call passes: who asks, the body as JSON, the precondition, the Idempotency-Key, and the way out.

Order of refusal: signature (API Gateway), JSON, idempotency, validation, precondition, shrink.
"""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from headgate.core import limits
from headgate.core.model import Json
from headgate.core.reading import Invalid
from headgate.edge.http import Request, Response, respond
from headgate.edge.problems import problem
from headgate.edge.strict_json import read_json
from headgate.store.imports import Imports
from headgate.store.port import Key, Table, Unavailable
from headgate.store.record import Actor, Answer, Call, Change, Current, Record, Refusal, Slug
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots, Standing, View

if TYPE_CHECKING:
    from headgate.edge.key_pool import PoolKey

MAX_BODY = 393_216
"""Bytes: a manifest of 1,000 routes and some hundred flags."""
IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9._:/+=-]{1,64}")
ETAG = re.compile(r'"(0|[1-9][0-9]{0,15})"')


class Refused(Exception):
    """The call is answered with a problem."""

    def __init__(self, slug: str, detail: str = "", *, faults: tuple[tuple[str, str], ...] = (),
                 version: int | None = None, told: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        super().__init__(slug)
        self.slug, self.detail, self.faults, self.version, self.told = slug, detail, faults, version, told

    def response(self) -> Response:
        """As problem+json, with the current ETag where a precondition failed."""
        headers = {} if self.version is None else {"etag": f'"{self.version}"'}
        return problem(self.slug, self.detail, faults=self.faults, headers=headers, told=self.told)


def no_audit_key() -> "PoolKey":
    """Where no audit key is configured, no checkpoint can be made. Raises `Unavailable`."""
    raise Unavailable("NoAuditKey")


@dataclass(frozen=True, slots=True)
class Admin:
    """What the calls work with. `audit_key` is made when it is needed; an empty `issuer` means the request's host.

    `inline` is how many ids of a flag's list stand in the flag itself.
    """

    table: Table
    snapshots: Snapshots
    record: Record
    sessions: Sessions
    pool: tuple[str, ...] = ()
    email_ids: bool = False
    inline: int = limits.MAX_INLINE_MEMBERS
    issuer: str = ""
    audit_key: Callable[[], "PoolKey"] = no_audit_key
    clock: Callable[[], float] = time.time
    new_salt: Callable[[], str] = field(default=lambda: secrets.token_hex(16))

    def current(self) -> View:
        """The rules as of now. Raises `Refused` when the store does not answer: operators never see old state."""
        view = self.snapshots.live()
        if view.standing is not Standing.FRESH:
            raise Refused("unavailable", "the store does not answer; nothing was changed")
        return view

    @property
    def imports(self) -> Imports:
        """The imports of all flags."""
        return Imports(self.table, self.record, clock=self.clock)

    def change(
        self, target: Key, plan: "DocumentPlan", request: Request, *, with_rules: Callable[[Json], bool] | None = None
    ) -> Response:
        """Read the body, plan, commit, answer. `with_rules` says whether the plan judges by other flags too."""
        document = read_document(request)
        call = call_of(request, document, idempotency_key(request))
        rules = (lambda: self.current().snapshot) if with_rules is not None and with_rules(document) else None
        return answered(self.record.change(target, checked(plan, document), call, rules=rules))


DocumentPlan = Callable[[Json, Current], Change | Refusal]


def checked(plan: DocumentPlan, document: Json) -> Callable[[Current], Change | Refusal]:
    """The plan for one document; what is invalid in it is a refusal."""

    def planned(current: Current) -> Change | Refusal:
        try:
            return plan(document, current)
        except Invalid as invalid:
            return Refusal(Slug.INVALID, "see errors", invalid.faults)

    return planned


def answered(outcome: Answer | Refusal) -> Response:
    """The response for an outcome."""
    if isinstance(outcome, Refusal):
        return Refused(outcome.slug, outcome.detail, faults=outcome.faults, version=outcome.version,
                       told=outcome.told).response()  # fmt: skip
    return shown(outcome.body, status=outcome.status, version=outcome.version)


def shown(body: Any, *, status: int = 200, version: int | None = None) -> Response:
    """A good answer, with its ETag and revision where it has them."""
    headers = {} if version is None else {"etag": f'"{version}"'}
    if isinstance(body, Mapping) and isinstance(body.get("revision"), int):
        headers["x-headgate-revision"] = str(body["revision"])
    return respond(status, body, headers)


def read_document(request: Request) -> Json:
    """The body. Raises `strict_json.Malformed` or `TooLarge`."""
    return read_json(request.body, MAX_BODY)


def idempotency_key(request: Request) -> str:
    """The caller's key. Raises `Refused`."""
    key = request.headers.get("idempotency-key", "")
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise Refused("idempotency-key-required", "1 to 64 letters, digits or . _ : / + = -")
    return key


def call_of(request: Request, document: Json, key: str) -> Call:
    """Who asks for what. A reason that is no string is refused by the plan."""
    arn = str(request.iam.get("userArn", ""))
    actor = Actor(arn, str(request.iam.get("callerId", "")), request.source_ip)
    reason = document.get("reason") if isinstance(document, dict) else None
    print_of = (arn, request.route_key, request.raw_path, request.body.decode("utf-8", "replace"))
    return Call(
        actor=actor,
        reason=reason if isinstance(reason, str) else "",
        request_id=request.request_id,
        caller=sha256(arn.encode()).hexdigest()[:32],
        key=key,
        fingerprint=sha256("\0".join(print_of).encode()).hexdigest(),
    )


def version_of(request: Request) -> int:
    """The version in If-Match, for a plan to compare. Raises `Refused`: 428 without, 400 for anything but one ETag."""
    text = request.headers.get("if-match")
    if text is None:
        raise Refused("precondition-required", "If-Match with the current ETag is required")
    match = ETAG.fullmatch(text.strip())
    if match is None:
        raise Refused("invalid-body", "If-Match takes one ETag, as a read gave it")
    return int(match[1])


def limit_of(request: Request) -> int:
    """`limit`, 1 to 1,000, 100 unless given. Raises `Invalid`."""
    text = request.query.get("limit", "100")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1_000):
        raise Invalid([("limit", "must be a whole number from 1 to 1000")])
    return int(text)
