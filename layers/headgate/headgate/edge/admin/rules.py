"""Route policies, and the manifest: plan, apply, export. Applying is one revision per changed thing, and resumable."""

from dataclasses import replace
from typing import Any

from headgate.core.audit import canonical
from headgate.core.changes.flag import check_no_emails, kept, routes_shrink, stamped
from headgate.core.changes.manifest import Manifest, Step, manifest_document, parse_manifest
from headgate.core.changes.manifest import plan as plan_manifest
from headgate.core.model import Flag, Json
from headgate.core.profile import check_told, profile_document
from headgate.core.reading import refuse
from headgate.core.routes import check_routes_size, parse_routes, routes_document
from headgate.core.snapshot import Snapshot, read_profile, read_routes
from headgate.edge.admin.as_of import as_of, read_moment
from headgate.edge.admin.bodies import Change as ChangeBody
from headgate.edge.admin.bodies import read_body
from headgate.edge.admin.call import (
    Admin,
    Refused,
    answered,
    call_of,
    idempotency_key,
    read_document,
    shown,
    version_of,
)  # fmt: skip
from headgate.edge.admin.flags import changed
from headgate.edge.admin.preview import foreseen
from headgate.edge.http import Request, Response, respond
from headgate.store.items import PROFILE, ROUTES, Stored, flag_in, flag_key
from headgate.store.port import Key
from headgate.store.record import Answer, Call, Change, Current, Refusal, Slug

APPLY_BUDGET = 15.0
"""Seconds of one call before it answers with a cursor: API Gateway gives 30."""


def show_routes(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/routes: every route policy."""
    snapshot = admin.current().snapshot
    body = {"routes": routes_document(snapshot.routes), "version": snapshot.routes.version}
    return shown({**body, "revision": snapshot.revision}, version=snapshot.routes.version)


def put_routes(admin: Admin, request: Request) -> Response:
    """PUT /admin/v1/routes: If-Match with the current ETag; `"0"` while there are none."""

    def plan(document: Json, current: Current) -> Change | Refusal:
        members = dict(document) if isinstance(document, dict) else refuse("$", "must be an object")
        routes = members.pop("routes", None)
        body = read_body(ChangeBody, members)
        after = parse_routes(routes)
        check_routes_size(canonical(routes))
        if current.snapshot is not None:
            check_told(current.snapshot.profile, current.snapshot.rules.flags, after)
        held = 0 if current.stored is None else current.stored.version
        if version_of(request) != held:
            return Refusal(Slug.PRECONDITION_FAILED, "read them again", version=held)
        before = read_routes(None if current.stored is None else current.stored.document)
        access = current.snapshot.profile.access if current.snapshot else None
        if before.policies() and routes_shrink(before, after, access) and not body.allow_shrink:
            return Refusal(Slug.WOULD_SHRINK, "some route would let fewer through; say allow_shrink if this is meant")
        return _whole("routes", {"routes": routes_document(after)}, current)

    return admin.change(ROUTES, plan, request, with_rules=lambda _document: True)


def _whole(target: str, after: dict[str, Any], current: Current) -> Change:
    """The change to a record that is replaced whole: routes or profile."""
    version = 1 + (0 if current.stored is None else current.stored.version)
    document = {**after, "version": version, "revision": current.stamp.revision}
    before = None if current.stored is None else current.stored.document
    return Change(f"{target}.replace", version, before, document, Answer(200, document, version))


def export(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/manifest: what is in force, or was as of a revision or a time."""
    moment = request.query.get("as_of")
    snapshot = admin.current().snapshot if moment is None else as_of(admin, read_moment(moment))
    return respond(200, manifest_document(snapshot), {"x-headgate-revision": str(snapshot.revision)})


def plan(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/manifest/plan: what applying would change, who gains and who loses."""
    manifest, options = _read(read_document(request))
    snapshot = admin.current().snapshot
    steps = _steps(admin, manifest, snapshot, options)
    shrinking = any(step.shrinks for step in steps)
    return shown({**foreseen(admin, snapshot.rules, steps), "shrinks": shrinking, "revision": snapshot.revision})


class ApplyBody(ChangeBody):
    """How to apply. `prune` deletes flags that the manifest does not name; `cursor` goes on with an earlier call."""

    prune: bool = False
    cursor: str | None = None


class PlanBody(ApplyBody):
    """As for applying, but a plan needs no reason."""

    reason: str = "plan"


def _read(document: Json, model: type[ApplyBody] = PlanBody) -> tuple[Manifest, ApplyBody]:
    members = dict(document) if isinstance(document, dict) else refuse("$", "must be an object")
    names = ("reason", "allow_shrink", "prune", "cursor")
    options = read_body(model, {name: members.pop(name) for name in names if name in members})
    return parse_manifest(members), options


def _steps(admin: Admin, manifest: Manifest, snapshot: Snapshot, options: ApplyBody) -> list[Step]:
    steps = plan_manifest(manifest, snapshot, new_salt=admin.new_salt, prune=options.prune)
    for step in steps:
        if isinstance(step.after, Flag) and not admin.email_ids:
            known = step.before.allow.users if isinstance(step.before, Flag) else frozenset()
            check_no_emails(step.after.allow.users - known)
        if step.target == "routes":
            check_routes_size(canonical(step.after))
    return steps


def apply(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/manifest: one revision per change; goes on by cursor when there is more than one call can do.

    What is applied already is no change any more, so that a repeated call goes on where an earlier one stopped. The
    last change carries the call's idempotency record with the whole answer.
    """
    document = read_document(request)
    call = call_of(request, document, idempotency_key(request))
    replayed = admin.record.replay(call)
    if replayed is not None:
        return answered(replayed)
    manifest, options = _read(document, ApplyBody)
    deadline = admin.clock() + APPLY_BUDGET
    steps = _steps(admin, manifest, admin.current().snapshot, options)
    shrinking = [step for step in steps if step.shrinks]
    if shrinking and not options.allow_shrink:
        faults = tuple((step.key or step.target, step.action) for step in shrinking)
        raise Refused("would-shrink", "these take access away; say allow_shrink if this is meant", faults=faults)
    return _apply_all(admin, steps, call, deadline)


def _apply_all(admin: Admin, steps: list[Step], call: Call, deadline: float) -> Response:
    done: list[dict[str, Any]] = []
    for index, step in enumerate(steps):
        done.append(step.summary)
        last = index == len(steps) - 1
        part = call if last else replace(call, key=f"{call.request_id}/{index}"[:64], caller=call.caller + "/part")
        outcome = _apply_step(admin, step, part, tuple(done))
        if isinstance(outcome, Refusal):
            return answered(outcome)
        if last:
            return answered(outcome)
        if admin.clock() > deadline:
            return shown({"changes": done, "next": f"{index + 1}"})
    return shown({"changes": [], "next": None})


def _apply_step(admin: Admin, step: Step, call: Call, done: tuple[dict[str, Any], ...]) -> Answer | Refusal:
    """One change, on exactly what the plan saw: if that has changed meanwhile, the caller plans anew."""
    target = _target(step)

    def told(change: Change | Refusal, current: Current) -> Change | Refusal:
        if isinstance(change, Refusal):
            return change
        body = {"changes": list(done), "next": None, "revision": current.stamp.revision}
        return replace(change, answer=Answer(200, body))

    return admin.record.change(target, lambda current: told(_planned(step, current), current), call)


def _target(step: Step) -> Key:
    return {"routes": ROUTES, "profile": PROFILE}[step.target] if step.key is None else flag_key(step.key)


def _in_force(target: str, stored: Stored | None) -> dict[str, Any]:
    """The routes or the profile, as plans see them."""
    document = None if stored is None else stored.document
    if target == "routes":
        return {"routes": routes_document(read_routes(document))}
    return profile_document(read_profile(document))


def _planned(step: Step, current: Current) -> Change | Refusal:
    stored = current.stored
    held = None if stored is None else stored.version
    if step.key is None:
        if canonical(_in_force(step.target, stored)) != canonical(step.before):
            return Refusal(Slug.PRECONDITION_FAILED, f"the {step.target} changed while applying; apply again")
        return _whole(step.target, step.after, current)
    seen = step.before.version if isinstance(step.before, Flag) else None
    if stored is not None and stored.retired:
        return Refusal(Slug.RETIRED, f"{step.key}: choose another key")
    before = flag_in(stored, step.key)
    unreadable = before is not None and before.quarantined and isinstance(step.before, Flag) and step.before.quarantined
    if held != seen and not unreadable:  # what cannot be read has no version; a kill of it may have come since
        return Refusal(Slug.PRECONDITION_FAILED, f"{step.key} changed while applying; apply again")
    document = None if stored is None else stored.document
    if step.after is None:
        return Change("flag.delete", (held or 0) + 1, document, None, Answer(204), step.key)
    after = stamped(kept(before, step.after), (held or 0) + 1, current.stamp)
    return changed(f"flag.{step.action}", document, after)
