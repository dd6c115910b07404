"""What every admin call shares: the JSON body, the actor, the Idempotency-Key, the precondition, and the response.

Checks run in this order: signature (API Gateway), JSON, idempotency, validation, precondition, shrink.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from headgate.core import limits
from headgate.core.changes.refusal import Place, Refusal, Slug
from headgate.core.documents import Invalid, is_key, refuse
from headgate.core.model import Flag, Json
from headgate.edge import telemetry
from headgate.edge.http import Event, Malformed, Request, Response, TooLarge, read_json, read_request, respond
from headgate.edge.problems import problem
from headgate.store.imports import Imports
from headgate.store.items import Stored, flag_in
from headgate.store.port import InvalidWrite, Key, Table, Throttled, Unavailable
from headgate.store.record import Actor, Answer, Call, Plan, Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots, Standing, View

if TYPE_CHECKING:
    from headgate.edge.key_pool import PoolKey

MAX_BODY = 393_216
"""Bytes, enough for a manifest of 1,000 routes and a few hundred flags."""
IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9._:/+=-]{1,64}")
ETAG = re.compile(r'"(0|[1-9][0-9]{0,15})"')


def no_audit_key() -> "PoolKey":
    """The default of `Admin.audit_key`: no audit key, so no checkpoints. Raises `Unavailable`."""
    raise Unavailable("NoAuditKey")


@dataclass(frozen=True, slots=True)
class Admin:
    """What the handlers use. `audit_key` is called when first needed. An empty `issuer` means the request's host.

    `inline` is the number of a flag's allowlist ids that are stored in the flag itself. `function` is the name in logs
    and metrics.
    """

    table: Table
    snapshots: Snapshots
    record: Record
    sessions: Sessions
    pool: tuple[str, ...] = ()
    email_ids: bool = False
    inline: int = limits.MAX_INLINE_MEMBERS
    function: str = "admin"
    issuer: str = ""
    audit_key: Callable[[], "PoolKey"] = no_audit_key
    clock: Callable[[], float] = time.time
    new_salt: Callable[[], str] = field(default=lambda: secrets.token_hex(16))

    def current(self) -> View:
        """Read the current rules. Raises `Refusal` if the store does not answer: operators never see stale state."""
        view = self.snapshots.live()
        if view.standing is not Standing.FRESH:
            raise Refusal(Slug.UNAVAILABLE, "the store did not answer; nothing was changed, try again")
        return view

    @property
    def imports(self) -> Imports:
        """The imports of all flags."""
        return Imports(self.table, self.record, clock=self.clock)

    def commit(
        self, target: Key, plan: Plan, request: Request, document: Json, *, rules: bool = False, above: int = 0
    ) -> Response:
        """Make one change and answer. Set `rules` if the plan depends on other flags; `above`: see `Record.change`."""
        call = call_of(request, document, idempotency_key(request))
        snapshot = (lambda: self.current().snapshot) if rules else None
        return answered(self.record.change(target, plan, call, rules=snapshot, above=above))


@dataclass(frozen=True, slots=True)
class Route:
    """One route: its handler, and what docs/openapi.json adds to the handler's docstring.

    `answers` maps each success status to its model's name in `headgate.openapi`, or None for no body. `body` is the
    model that the handler reads the body with, or the name of a schema in `openapi.schemas` for bodies that the core
    parses. `takes` lists query parameters and headers by their names in `openapi.parameters`. `refuses` lists the
    problems that do not follow from the other members.
    """

    handler: Callable[[Admin, Request], Response]
    answers: Mapping[int, str | None]
    body: Any = None
    takes: str = ""
    refuses: str = ""


def handle(admin: Admin, routes: Mapping[str, Route], event: Event) -> Response:
    """Answer one request. API Gateway already matched the route and verified the signature."""
    request = read_request(event)
    try:
        response = _route(admin, routes, request).handler(admin, request)
    except Refusal as refusal:
        headers = {} if refusal.version is None else {"etag": f'"{refusal.version}"'}
        response = problem(
            refusal.slug, refusal.detail, faults=refusal.faults, headers=headers, members=refusal.members
        )
    except Invalid as invalid:
        response = problem(Slug.INVALID_BODY, "errors lists each fault", faults=invalid.faults)
    except Malformed as fault:
        response = problem(Slug.INVALID_JSON, str(fault))
    except TooLarge as fault:
        response = problem(Slug.TOO_LARGE, str(fault))
    except InvalidWrite as failure:
        telemetry.log("unstorable", function=admin.function, error=str(failure), request_id=request.request_id)
        response = problem(Slug.TOO_LARGE, "the change or its record does not fit into the table, whose items have at "
                           "most 400 KB; it was not made; make a smaller change")  # fmt: skip
    except (Unavailable, Throttled) as failure:
        telemetry.log("unavailable", {"StoreUnavailable": 1}, function=admin.function, error=str(failure),
                      request_id=request.request_id)  # fmt: skip
        response = problem(
            Slug.UNAVAILABLE, "the change may or may not have been made; retry with the same Idempotency-Key"
        )
    known = request.route_key if request.route_key in routes else None  # another event may hold anything
    telemetry.log("answered", function=admin.function, route=known, status=response["statusCode"],
                  request_id=request.request_id)  # fmt: skip
    return response


def _route(admin: Admin, routes: Mapping[str, Route], request: Request) -> Route:
    """The route of a signed request. Raises `Refusal`."""
    if not request.arn:
        telemetry.denied(admin.function, "unsigned", request_id=request.request_id)
        telemetry.count("UnsignedAdminCall", function=admin.function)
        raise Refusal(Slug.FORBIDDEN, "API Gateway did not verify a signature: check the route's authorizer")
    if request.route_key not in routes:
        raise Refusal(Slug.NOT_FOUND, "this function does not serve the route")
    return routes[request.route_key]


def answered(answer: Answer) -> Response:
    """Return the response for an answer."""
    return shown(answer.body, status=answer.status, version=answer.version)


def shown(body: Any, *, status: int = 200, version: int | None = None) -> Response:
    """Return a success response, with its ETag and revision if it has them."""
    headers = {} if version is None else {"etag": f'"{version}"'}
    if isinstance(body, Mapping) and isinstance(body.get("revision"), int):
        headers["x-headgate-revision"] = str(body["revision"])
    return respond(status, body, headers)


def read_document(request: Request) -> Json:
    """Parse the body as JSON. Raises `Malformed` or `TooLarge`."""
    return read_json(request.body, MAX_BODY)


def idempotency_key(request: Request) -> str:
    """Return the caller's Idempotency-Key. Raises `Refusal`."""
    key = request.headers.get("idempotency-key", "")
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise Refusal(Slug.KEY_REQUIRED, "send a key of 1 to 64 of the characters A-Z a-z 0-9 . _ : / + = -")
    return key


def call_of(request: Request, document: Json, key: str) -> Call:
    """Return who asks for what. The plan refuses a reason that is not a string."""
    arn = request.arn
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


def check_version(request: Request, version: int) -> None:
    """Compare If-Match with the stored version. Raises `Refusal`: 428 if absent, 400 if not one ETag, 412 if stale."""
    text = request.headers.get("if-match")
    if text is None:
        raise Refusal(Slug.PRECONDITION_REQUIRED, "send If-Match with the current ETag")
    match = ETAG.fullmatch(text.strip())
    if match is None:
        raise Refusal(Slug.INVALID_BODY, "If-Match must be one ETag, as a read returns it")
    if int(match[1]) != version:
        raise Refusal(Slug.PRECONDITION_FAILED, "read the resource again and retry with its new ETag", version=version)


def key_in(request: Request) -> str:
    """Return the path's flag key. Raises `Refusal`."""
    key = request.path.get("key", "")
    if not is_key(key):
        raise Refusal(Slug.INVALID_FLAG_KEY, "must match ^[a-z0-9][a-z0-9._-]{0,63}$")
    return key


def limit_of(request: Request) -> int:
    """Return `limit`: 1 to 1,000, 100 by default. Raises `Invalid`."""
    text = request.query.get("limit", "100")
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1_000):
        refuse("limit", "must be an integer from 1 to 1000")
    return int(text)


def readable(stored: Stored | None, key: str) -> Flag:
    """Return the stored flag. Raises `Refusal` if there is none, and `Invalid` if it is quarantined."""
    flag = flag_in(stored, key)
    if flag is None:
        raise Refusal(Slug.UNKNOWN_FLAG)
    if flag.quarantined:
        refuse("$", "the stored flag cannot be read; replace the whole flag")
    return flag


def check_confirmed(
    shrinking: Iterable[Place], opening: Iterable[Place] = (), *, allow_shrink: bool, allow_open: bool = False
) -> None:
    """Refuse a change that takes access away, or opens routes, without saying so. Raises `Refusal` with all places."""
    lost, opened = [] if allow_shrink else [*shrinking], [] if allow_open else [*opening]
    if not lost and not opened:
        return
    words = " and ".join(word for word, places in (("allow_shrink", lost), ("allow_open", opened)) if places)
    faults = tuple((place.path, place.message) for place in (*lost, *opened))
    raise Refusal(Slug.WOULD_SHRINK if lost else Slug.WOULD_OPEN, f"set {words} to confirm", faults=faults)
