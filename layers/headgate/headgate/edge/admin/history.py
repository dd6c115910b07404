"""Reads over the record: the audit stream, explain now and at any past revision, health."""

from collections.abc import Iterator
from typing import Any

from headgate.core.audit import GENESIS
from headgate.core.decision import decide, trace
from headgate.core.faults import refuse
from headgate.core.keyring import KeyState
from headgate.core.model import Stage
from headgate.core.moment import unix
from headgate.core.snapshot import EMPTY, Snapshot, apply, missing_flags
from headgate.edge.admin.access import shown_keys
from headgate.edge.admin.bodies import ExplainBody, read_body
from headgate.edge.admin.door import Admin, Refused, limit_of, read_document, shown
from headgate.edge.admin.paging import read_cursor, write_cursor
from headgate.edge.http import Request, Response
from headgate.store.items import AUDIT, HEAD, audit_sk, read_entry, read_head

SCAN_LIMIT = 5_000
"""Entries that one filtered call looks through before it answers with what it has, and a cursor."""
MAX_REVISION = 10**12 - 1
OLD_AFTER = 90 * 86_400
"""Seconds after which a flag at GA that nobody touched is worth removing from the code."""


def list_audit(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/audit: newest first; `after` and `before` are exclusive revisions."""
    head = read_head(admin.table.get((HEAD,)).get(HEAD))
    limit, after = limit_of(request), _revision(request, "after", 0)
    before = min(_revision(request, "before", MAX_REVISION), head.revision + 1)
    if "cursor" in request.query:
        last, digest = read_cursor(request.query["cursor"], "audit", int, str)
        held = 1 <= last <= head.revision
        newest = next(_entries(admin, last - 1, last + 1, newest_first=True), None) if held else None
        if newest is None or newest["digest"] != digest:
            raise Refused("invalid-cursor")
        before = min(before, last)
    entries: list[dict[str, Any]] = []
    seen: dict[str, Any] | None = None
    for count, entry in enumerate(_entries(admin, after, before, newest_first=True), 1):
        seen = entry
        if _matches(entry, request):
            entries.append(entry)
        if len(entries) == limit or count == SCAN_LIMIT:
            break
    more = seen is not None and seen["revision"] > after + 1
    following = write_cursor("audit", seen["revision"], seen["digest"]) if more and seen else None
    shown_head = {"revision": head.revision, "digest": head.digest}
    return shown({"entries": entries, "head": shown_head, "next": following})


def _revision(request: Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        refuse(name, "must be a revision")
    return int(text)


def _matches(entry: dict[str, Any], request: Request) -> bool:
    flag, actor = request.query.get("flag"), request.query.get("actor")
    return (flag is None or entry["flag"] == flag) and (actor is None or entry["actor"]["arn"] == actor)


def _entries(admin: Admin, after: int, before: int, *, newest_first: bool = False) -> Iterator[dict[str, Any]]:
    low, high = audit_sk(after), audit_sk(before)
    while True:
        page = admin.table.query(AUDIT, after=low, before=high, newest_first=newest_first)
        yield from (read_entry(item) for item in page.items)
        if page.next is None:
            return
        low, high = (low, page.next) if newest_first else (page.next, high)


def explain(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/explain: the decision with each step, now or as of a revision or time."""
    body = read_body(ExplainBody, read_document(request))
    snapshot = admin.current().snapshot if body.as_of is None else _as_of(admin, body.as_of)
    subject = body.subject.subject()
    decision = decide(snapshot.rules, body.flag, subject, gate=True)
    steps = [
        {"flag": flag, "step": step, "outcome": "passed on" if verdict is None else "on" if verdict[0] else "off",
         "reason": None if verdict is None else verdict[1].value}
        for flag, step, verdict in trace(snapshot.rules, body.flag, subject)
    ]  # fmt: skip
    return shown({"flag": body.flag, "value": decision.value, "reason": decision.reason.value,
                  "revision": decision.revision, "steps": steps})  # fmt: skip


def _as_of(admin: Admin, moment: int | str) -> Snapshot:
    """The rules as they were, rebuilt from the audit stream."""
    if isinstance(moment, bool) or (isinstance(moment, int) and moment < 0):
        refuse("as_of", "must be a revision or a time")
    entries = _entries(admin, 0, MAX_REVISION)
    if isinstance(moment, int):
        return apply(EMPTY, (entry for entry in entries if entry["revision"] <= moment))
    try:
        seconds = unix(moment)
    except ValueError:
        refuse("as_of", "must be a revision, or a time in RFC 3339 with an offset")
    return apply(EMPTY, (entry for entry in entries if unix(entry["at"]) <= seconds))


def health(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/health: what an operator should look at."""
    view = admin.current()
    head = read_head(view.items.get(HEAD))
    flags = view.snapshot.rules.flags.values()
    missing, quarantined = missing_flags(view.snapshot), view.snapshot.quarantined
    old = [
        f.key for f in flags if f.stage is Stage.GA and f.updated_at and admin.clock() - unix(f.updated_at) > OLD_AFTER
    ]
    keys = shown_keys(admin, view.snapshot.keyring)
    signs = any(key["state"] == KeyState.ACTIVE for key in keys)
    return shown({
        "status": "degraded" if missing or quarantined or not signs else "ok",
        "missing_flags": list(missing),
        "quarantined_flags": list(quarantined),
        "stale_flags": sorted(old),
        "keys": keys,
        "killed_flags": dict(head.killed),
        "head": {"revision": head.revision, "digest": head.digest or GENESIS},
        "revision": view.snapshot.revision,
    })  # fmt: skip
