"""A valid call of every admin route, on a table where all of them succeed; and ways to make it invalid."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from desk import POOL, Ask, Desk, event, quiet
from fake_clock import FakeClock
from members_desk import digest_of
from reference_table import Call, Fault, ReferenceTable, always, clear

from headgate.core.session import record_id, start
from headgate.edge.admin.as_of import BUDGET
from headgate.edge.admin.call import MAX_BODY, handle, no_audit_key
from headgate.openapi import SERVED
from headgate.store.sessions import Sessions
from headgate.store.snapshots import Snapshots
from headgate.tokens.keys import LocalSigner

Response = Mapping[str, Any]

WHY = {"reason": "because"}
F, ON_2, NEW = {"key": "f"}, {"if-match": '"2"'}, {"if-none-match": "*"}
DIGEST = digest_of(["bob"])
IMPORT = {"key": "listed", "import": "i"}
SESSION = {"id": record_id("alice", "town:1")}
RULE = {"clauses": [{"attribute": "plan", "op": "in", "value": ["pro", 3]}, {"attribute": "beta", "op": "exists"}]}
POLICIES: list[dict[str, Any]] = [
    {"route": "GET /x", "class": "observe"},
    {"procedure": "x.y", "flags": ["f"], "asks": ["access"]},
]
SETTINGS = {"access": "access", "max_stale": 5, "token": {"lifetime": 600, "claims": {"who": "$user", "version": 3}}}
FLAG = {"stage": "percentage", "percent": 12.5, "requires": ["access"], "values": {"on": "a", "off": "b"},
        "claim": "inF", "allow": {"users": ["bob"], "orgs": ["acme"], "rules": [RULE]}, "owner": "o"}  # fmt: skip

GOOD: Mapping[str, Ask] = {ask.route: ask for ask in (
    Ask("GET /admin/v1/flags"),
    Ask("GET /admin/v1/flags/{key}", path=F),
    Ask("PUT /admin/v1/flags/{key}", {**FLAG, "stage": "ga", **WHY}, F, ON_2),
    Ask("DELETE /admin/v1/flags/{key}", {"allow_shrink": True, **WHY}, F, ON_2),
    Ask("POST /admin/v1/flags/{key}/stage", {"stage": "ga", **WHY}, F, ON_2),
    Ask("GET /admin/v1/flags/{key}/allow", path=F),
    Ask("POST /admin/v1/flags/{key}/allow", {"add": {"users": ["carol"]}, **WHY}, F, ON_2),
    Ask("POST /admin/v1/flags/{key}/imports", {"id": "i", "kind": "user", "mode": "add", **WHY}, F),
    Ask("GET /admin/v1/flags/{key}/imports/{import}", path=IMPORT),
    Ask("POST /admin/v1/flags/{key}/imports/{import}/members", {"at": 1, "ids": ["dan"], **WHY}, IMPORT),
    Ask("POST /admin/v1/flags/{key}/imports/{import}/commit", {"count": 1, "digest": DIGEST, **WHY}, IMPORT),
    Ask("DELETE /admin/v1/flags/{key}/imports/{import}", WHY, IMPORT),
    Ask("POST /admin/v1/flags/{key}/kill", WHY, F),
    Ask("GET /admin/v1/kills"),
    Ask("POST /admin/v1/flags/{key}/restore", WHY, {"key": "killed"}),
    Ask("GET /admin/v1/routes"),
    Ask("PUT /admin/v1/routes", {"routes": [*POLICIES, {"route": "GET /z"}], **WHY}, headers={"if-match": '"1"'}),
    Ask("GET /admin/v1/manifest"),
    Ask("POST /admin/v1/manifest", {**SETTINGS, "flags": [{"key": "new"}], "routes": POLICIES, **WHY}),
    Ask("POST /admin/v1/manifest/plan", {"flags": [{"key": "f", "stage": "ga"}, {"key": "new"}]}),
    Ask("POST /admin/v1/explain", {"flag": "f", "subject": {"user": "bob", "orgs": ["acme"], "attributes": {"a": 1}}}),
    Ask("POST /admin/v1/preview", {"flag": "f", "change": {"stage": "ga"}}),
    Ask("GET /admin/v1/audit"),
    Ask("POST /admin/v1/audit/checkpoints", {}),
    Ask("GET /admin/v1/audit/key"),
    Ask("GET /admin/v1/audit/reconcile"),
    Ask("POST /admin/v1/revocations", {"subject": "alice", **WHY}),
    Ask("POST /admin/v1/restored", {"highest": 1_000, "confirm": True, **WHY}),
    Ask("GET /admin/v1/sessions"),
    Ask("DELETE /admin/v1/sessions/{id}", WHY, SESSION),
    Ask("GET /admin/v1/keys"),
    Ask("POST /admin/v1/keys/rotate", WHY),
    Ask("POST /admin/v1/keys/revoke", {"kid": POOL[1], **WHY}),
    Ask("GET /admin/v1/health"),
    Ask("GET /admin/v1/openapi.json"),
)}  # fmt: skip


class AuditKey(LocalSigner):
    """The audit key as KMS returns it."""

    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


AUDIT_KEY = AuditKey("audit")


def beginning() -> dict[str, Any]:
    """A table with flags of every kind, one killed and one deleted; routes, a profile, a session."""
    clock, table = FakeClock(), ReferenceTable()
    desk = Desk(table, clock)
    desk.must(Ask("PUT /admin/v1/flags/{key}", {"stage": "ga", **WHY}, {"key": "access"}, NEW))
    desk.must(Ask("PUT /admin/v1/flags/{key}", {**FLAG, **WHY}, F, NEW))
    desk.must(Ask("POST /admin/v1/flags/{key}/allow", {"add": {"orgs": ["o"]}, **WHY}, F, {"if-match": '"1"'}))
    for key in ("killed", "gone", "listed"):
        desk.must(Ask("PUT /admin/v1/flags/{key}", WHY, {"key": key}, NEW))
    desk.must(Ask("POST /admin/v1/flags/{key}/kill", WHY, {"key": "killed"}))
    desk.must(Ask("DELETE /admin/v1/flags/{key}", WHY, {"key": "gone"}, {"if-match": '"1"'}))
    opening = {"id": "i", "kind": "user", "mode": "remove", **WHY}
    desk.must(Ask("POST /admin/v1/flags/{key}/imports", opening, {"key": "listed"}))
    desk.must(Ask("POST /admin/v1/flags/{key}/imports/{import}/members", {"at": 0, "ids": ["bob"]}, IMPORT))
    desk.must(Ask("POST /admin/v1/manifest", {**SETTINGS, "routes": POLICIES, **WHY}))
    Sessions(table, clock=clock).start(
        start(subject="alice", session_id="town:1", now=int(clock()), orgs=("acme",), admin=False, attributes={},
              client_id="web")
    )  # fmt: skip
    return table.saved()


with quiet():
    BEGINNING = beginning()


class Place:
    """A fresh copy of that table, and an environment that reads and changes it."""

    def __init__(self) -> None:
        self.table, self.clock = ReferenceTable(), FakeClock()
        self.table.restore(BEGINNING)
        desk = Desk(self.table, self.clock)
        self.admin = replace(desk.admin, audit_key=lambda: AUDIT_KEY)
        self._count = 0

    def send(self, ask: Ask, body: bytes | None = None, query: Mapping[str, str] | None = None) -> Response:
        """Send the call, optionally with another body or query, and return the answer. An empty header is not sent."""
        self._count += 1
        made = event(ask, f"call-{self._count}")
        made["queryStringParameters"] = dict(query or {})
        made["headers"] = {name: value for name, value in made["headers"].items() if value}
        if body is not None:
            made["body"] = body.decode("utf-8", "surrogateescape")
        with quiet():
            return handle(self.admin, SERVED, made)


def slug_of(response: Response) -> str:
    """The slug of a problem."""
    return str(json.loads(response["body"])["type"]).removeprefix("urn:headgate:")


def _with_header(name: str, value: str) -> Callable[[Place, Ask], Response]:
    return lambda place, ask: place.send(replace(ask, headers={**ask.headers, name: value}))


def _in_weather(fault: Fault) -> Callable[[Place, Ask], Response]:
    def spoilt(place: Place, ask: Ask) -> Response:
        place.table.weather = always(fault)
        return place.send(ask)

    return spoilt


def _contended(place: Place, ask: Ask) -> Response:
    place.table.weather = lambda call: Fault.CONTENDED if call.op == "write" else None
    return place.send(ask)


def _for(key: str) -> Callable[[Place, Ask], Response]:
    return lambda place, ask: place.send(replace(ask, path={**ask.path, "key": key}))


def _reused(place: Place, ask: Ask) -> Response:
    place.send(replace(ask, idem="once"))
    return place.send(replace(ask, idem="once", body={**ask.body, "reason": "another"}))


def _invalid(place: Place, ask: Ask) -> Response:
    if ask.body is not None:
        return place.send(ask, json.dumps({**ask.body, "unheard_of": 1}).encode())
    wrong = {"limit": "0", "as_of": "never", "kind": "team", "after": "-1"}
    return place.send(ask, query={name: value for name, value in wrong.items() if name in SERVED[ask.route].takes})


def _saying(body: Mapping[str, Any]) -> Callable[[Place, Ask], Response]:
    return lambda place, ask: place.send(replace(ask, body={**ask.body, **body}))


def _closed(place: Place, ask: Ask) -> Response:
    """The import was abandoned before; abandoning a committed import is refused too."""
    way = "commit" if ask.route.startswith("DELETE") else ""
    other = GOOD[f"POST {IN_IMPORT}/commit"] if way else GOOD[f"DELETE {IN_IMPORT}"]
    place.send(other)
    return place.send(ask)


def _saying_for(path: Mapping[str, str], body: Mapping[str, Any]) -> Callable[[Place, Ask], Response]:
    return lambda place, ask: place.send(replace(ask, path=path, body={**ask.body, **body}))


def _shrinking(place: Place, ask: Ask) -> Response:
    """The import removes a listed id, and the list is in effect."""
    for route, body, version in (("stage", {"stage": "allowlist"}, 1), ("allow", {"add": {"users": ["bob"]}}, 2)):
        place.send(Ask(f"POST {IN_FLAG}/{route}", {**body, **WHY}, ask.path, {"if-match": f'"{version}"'}))
    return place.send(ask)


def _spent(place: Place, ask: Ask) -> Response:
    """A flag with the maximum number of imports."""
    rules, sk = place.table.partition("rules"), f"flag#{ask.path['key']}"
    flag = json.loads(str(rules[sk]["body"]))
    flag["members"] = {"users": 0, "orgs": 0, "imports": [[n, n] for n in range(1, 1_001)], "changed": {}}
    rules[sk] = {**rules[sk], "body": json.dumps(flag)}
    place.admin = replace(place.admin, snapshots=Snapshots(place.table, clock=place.clock), inline=0)
    return place.send(replace(ask, body={**ask.body, **MANY} if "add" in ask.body else ask.body))


def _taken(place: Place, ask: Ask) -> Response:
    """Another import is open."""
    place.admin = replace(place.admin, inline=0)
    place.send(replace(GOOD[f"POST {IN_FLAG}/imports"], body={**GOOD[f"POST {IN_FLAG}/imports"].body, "id": "other"}))
    return place.send(replace(ask, body={**ask.body, **MANY} if "add" in ask.body else ask.body))


def _deleted(place: Place, ask: Ask) -> Response:
    """The flag was deleted while the import was open."""
    place.send(Ask("DELETE /admin/v1/flags/{key}", WHY, ask.path, {"if-match": '"1"'}))
    return place.send(ask)


SPOILT: Mapping[str, Callable[[Place, Ask], Response]] = {
    "invalid-json": lambda place, ask: place.send(ask, b"{"),
    "invalid-body": _invalid,
    "too-large": lambda place, ask: place.send(ask, b" " * (MAX_BODY + 1)),
    "invalid-cursor": lambda place, ask: place.send(ask, query={"cursor": "forged"}),
    "invalid-flag-key": _for("NO KEY"),
    "idempotency-key-required": _with_header("idempotency-key", ""),
    "idempotency-key-reused": _reused,
    "precondition-required": _with_header("if-match", ""),
    "precondition-failed": _with_header("if-match", '"99"'),
    "unknown-flag": _for("unheard-of"),
    "exists": lambda place, ask: place.send(replace(ask, headers=NEW)),
    "key-retired": lambda place, ask: place.send(replace(ask, path={"key": "gone"}, headers=NEW)),
    "unknown-import": lambda place, ask: place.send(replace(ask, path={**IMPORT, "import": "unheard-of"})),
    "import-closed": _closed,
    "not-found": lambda place, ask: place.send(replace(ask, path={"id": "0" * 64})),
    "unavailable": _in_weather(Fault.LOST_REQUEST),
    "busy": _contended,
}
"""By problem, the change to a valid call that causes it."""


def _cannot_rotate(place: Place, ask: Ask) -> Response:
    for kid in POOL[:2]:
        place.send(replace(GOOD["POST /admin/v1/keys/revoke"], body={"kid": kid, **WHY}))
    return place.send(replace(ask, body={**ask.body, **({"kid": POOL[2]} if "kid" in ask.body else {})}))


def _broken_chain(place: Place, ask: Ask) -> Response:
    stream = place.table.partition("audit")
    stream[max(stream)] = {**stream[max(stream)], "body": "{}"}
    return place.send(ask)


def _slow_past(place: Place, ask: Ask) -> Response:
    def sky(call: Call) -> None:
        place.clock.advance(2 * BUDGET if call.op == "query" else 0)

    place.table.weather = sky
    return place.send(ask, query={"as_of": "3"})


def _broken_past(place: Place, ask: Ask) -> Response:
    past = {"as_of": "2099-01-01T00:00:00Z"}
    stream = place.table.partition("audit")
    stream[max(stream)] = {**stream[max(stream)], "body": "{}"}
    return place.send(ask if ask.body is None else replace(ask, body={**ask.body, **past}), query=past)


def _long(place: Place, ask: Ask) -> Response:
    """Each item read takes time."""
    place.table.turn = lambda: place.clock.advance(5)
    return place.send(ask)


def _moved_on(place: Place, ask: Ask) -> Response:
    """Another admin changes the flag between the plan (which reads the rules) and the change (three items)."""

    def sky(call: Call) -> None:
        if len(call.keys) == 3:
            place.table.weather = clear
            place.send(GOOD["POST /admin/v1/flags/{key}/kill"])

    place.table.weather = sky
    return place.send(replace(ask, body={**ask.body, "flags": [{"key": "f", "stage": "ga"}]}))


def _while_killed(body: Mapping[str, Any], path: Mapping[str, str] | None = None) -> Callable[[Place, Ask], Response]:
    """The call comes while the access flag is killed."""

    def send(place: Place, ask: Ask) -> Response:
        place.send(replace(GOOD["POST /admin/v1/flags/{key}/kill"], path={"key": "access"}))
        return place.send(replace(ask, body={**ask.body, **body}, path=path or ask.path))

    return send


def _silent(place: Place, ask: Ask) -> Response:
    place.admin = replace(place.admin, audit_key=no_audit_key)
    return place.send(ask)


IN_FLAG = "/admin/v1/flags/{key}"
IN_IMPORT = IN_FLAG + "/imports/{import}"
MANY = {"add": {"users": [f"u{n}" for n in range(100)]}}
OWN: Mapping[tuple[str, str], Callable[[Place, Ask], Response]] = {
    ("DELETE /admin/v1/flags/{key}", "would-shrink"): _saying({"allow_shrink": False}),
    ("PUT /admin/v1/flags/{key}", "would-shrink"): _saying({"stage": "admin_only"}),
    ("POST /admin/v1/flags/{key}/stage", "would-shrink"): _saying({"stage": "admin_only"}),
    ("POST /admin/v1/flags/{key}/allow", "would-shrink"): _saying({"remove": {"users": ["bob"]}}),
    (f"POST {IN_FLAG}/allow", "import-open"): _taken,
    (f"POST {IN_FLAG}/allow", "imports-spent"): _spent,
    (f"POST {IN_FLAG}/imports", "import-open"): _taken,
    (f"POST {IN_FLAG}/imports", "imports-spent"): _spent,
    (f"POST {IN_FLAG}/imports", "import-differs"): _saying_for(IMPORT, {"mode": "add"}),
    (f"POST {IN_IMPORT}/members", "import-differs"): _saying({"at": 9}),
    (f"POST {IN_IMPORT}/members", "unknown-flag"): _deleted,
    (f"POST {IN_IMPORT}/commit", "import-differs"): _saying({"count": 9}),
    (f"POST {IN_IMPORT}/commit", "unknown-flag"): _deleted,
    (f"POST {IN_IMPORT}/commit", "imports-spent"): _spent,
    (f"POST {IN_IMPORT}/commit", "would-shrink"): _shrinking,
    ("PUT /admin/v1/routes", "would-shrink"): _saying({"routes": []}),
    ("PUT /admin/v1/routes", "would-open"): _saying({"routes": [{"route": "GET /x", "class": "open"}, POLICIES[1]]}),
    ("POST /admin/v1/manifest", "would-open"): _saying({"routes": [{**POLICIES[0], "class": "open"}, POLICIES[1]]}),
    ("POST /admin/v1/manifest", "access-killed"): _while_killed({"access": "f"}),
    ("POST /admin/v1/manifest/plan", "access-killed"): _while_killed({"access": "f"}),
    ("POST /admin/v1/preview", "access-killed"): _while_killed({"flag": "access", "change": {"delete": True}}),
    ("DELETE /admin/v1/flags/{key}", "access-killed"): _while_killed({}, {"key": "access"}),
    ("POST /admin/v1/manifest", "would-shrink"): _saying({"flags": [{"key": "f", "stage": "admin_only"}]}),
    ("POST /admin/v1/manifest", "key-retired"): _saying({"flags": [{"key": "gone"}]}),
    ("POST /admin/v1/manifest", "precondition-failed"): _moved_on,
    ("POST /admin/v1/preview", "unknown-flag"): _saying({"flag": "unheard-of"}),
    ("POST /admin/v1/preview", "key-retired"): _saying({"flag": "gone", "change": {"put": {}}}),
    ("GET /admin/v1/audit/key", "unavailable"): _silent,
    ("POST /admin/v1/keys/rotate", "cannot-rotate"): _cannot_rotate,
    ("POST /admin/v1/keys/revoke", "cannot-rotate"): _cannot_rotate,
    ("POST /admin/v1/audit/checkpoints", "chain-broken"): _broken_chain,
    ("POST /admin/v1/explain", "chain-broken"): _broken_past,
    ("GET /admin/v1/manifest", "chain-broken"): _broken_past,
    ("GET /admin/v1/manifest", "too-large"): _slow_past,
    ("GET /admin/v1/audit/reconcile", "too-large"): _long,
}
"""The same for a single call."""
