"""The manifest: plan, apply, and export. Apply makes one revision per change and is resumable."""

from bisect import bisect_right
from dataclasses import replace
from itertools import takewhile
from typing import Any

from headgate.core.changes.flag import check_claims, check_kill_stays, check_no_emails, kept, stamped
from headgate.core.changes.manifest import Manifest, PlanStep, manifest_document, outcome, parse_manifest, plan_manifest
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import canonical, refuse
from headgate.core.model import Flag, Json
from headgate.core.profile import profile_document
from headgate.core.routes import check_routes_size, routes_document
from headgate.core.snapshot import Snapshot, read_profile, read_routes
from headgate.edge.admin.as_of import as_of, read_moment
from headgate.edge.admin.bodies import OpeningBody, read_body
from headgate.edge.admin.call import Admin, answered, call_of, check_confirmed, idempotency_key, read_document, shown
from headgate.edge.admin.flags import changed
from headgate.edge.admin.paging import AnswerLimit, read_cursor, write_cursor
from headgate.edge.admin.preview import foreseen
from headgate.edge.admin.routes import whole_change
from headgate.edge.http import ANSWER_BYTES, Request, Response, cost, respond
from headgate.store.items import PROFILE_KEY, ROUTES_KEY, Stored, flag_in, flag_key
from headgate.store.port import Key
from headgate.store.record import Answer, Call, Change, Current

LEFT_OUT = "x-headgate-left-out"
"""The number of ids on long lists, which a manifest does not contain."""
APPLY_BUDGET = 15.0
"""Seconds before a call answers with a cursor. API Gateway's limit is 30."""


def export(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/manifest: export the current rules, or the rules as of a revision or a time.

    Flags that do not fit into one answer follow by `cursor`, as of the same revision. The ids of long lists are not in
    it; the header `x-headgate-left-out` counts them.
    """
    after = ""
    if "cursor" in request.query:
        revision, after = read_cursor(request.query["cursor"], "manifest", int, str)
        snapshot = admin.current().snapshot
        snapshot = snapshot if snapshot.revision == revision else as_of(admin, revision)
    else:
        moment = request.query.get("as_of")
        snapshot = admin.current().snapshot if moment is None else as_of(admin, read_moment(moment))
    document = manifest_document(snapshot)
    flags = document["flags"][bisect_right(document["flags"], after, key=lambda flag: str(flag["key"])) :]
    document = {"flags": []} if after else {**document, "flags": []}
    room = AnswerLimit(len(flags), ANSWER_BYTES - cost(document))
    page = list(takewhile(room.takes, flags))
    following = write_cursor("manifest", snapshot.revision, page[-1]["key"]) if len(page) < len(flags) else None
    body = {**document, "flags": page} | ({"next": following} if following else {})
    long = (flag.members for flag in snapshot.rules.flags.values() if flag.members is not None)
    count = sum(one.users + one.orgs for one in long)
    left_out = {LEFT_OUT: str(count)} if count else {}
    return respond(200, body, {"x-headgate-revision": str(snapshot.revision), **left_out})


def plan(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/manifest/plan: show what applying a manifest would change, and who would gain or lose access."""
    manifest, options = _read(read_document(request))
    snapshot = admin.current().snapshot
    steps = _steps(admin, manifest, snapshot, options)
    return shown({
        **foreseen(admin, snapshot, steps),
        "shrinks": any(step.shrinks for step in steps),
        "opens": any(step.opens for step in steps),
        "revision": snapshot.revision,
    })  # fmt: skip


class ApplyBody(OpeningBody):
    """Options of apply. `prune` deletes flags that the manifest does not name.

    `cursor` is accepted and ignored: a repeated call finds what is left by comparing.
    """

    prune: bool = False
    cursor: str | None = None


class PlanBody(ApplyBody):
    """Options of plan: as for apply, but `reason` is optional."""

    reason: str = "plan"


def _read(document: Json, model: type[ApplyBody] = PlanBody) -> tuple[Manifest, ApplyBody]:
    members = dict(document) if isinstance(document, dict) else refuse("$", "must be an object")
    names = ("reason", "allow_shrink", "allow_open", "prune", "cursor")
    options = read_body(model, {name: members.pop(name) for name in names if name in members})
    return parse_manifest(members), options


def _steps(admin: Admin, manifest: Manifest, snapshot: Snapshot, options: ApplyBody) -> list[PlanStep]:
    steps = plan_manifest(manifest, snapshot, new_salt=admin.new_salt, prune=options.prune)
    for step in steps:
        if isinstance(step.after, Flag) and not admin.email_ids:
            known = step.before.allow.users if isinstance(step.before, Flag) else frozenset()
            check_no_emails(step.after.allow.users - known)
        if step.target == "routes":
            check_routes_size(canonical(step.after))
    return steps


def apply(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/manifest: apply a manifest, one revision per change; `next` is set if one call is not enough.

    What is already applied is not a change, so a repeated call resumes where the earlier one stopped. The last change
    writes the call's idempotency record with the whole answer.
    """
    document = read_document(request)
    call = call_of(request, document, idempotency_key(request))
    replayed = admin.record.replay(call)
    if replayed is not None:
        return answered(replayed)
    manifest, options = _read(document, ApplyBody)
    deadline = admin.clock() + APPLY_BUDGET
    steps = _steps(admin, manifest, admin.current().snapshot, options)
    lost = [place for step in steps for place in step.losses]
    opened = [place for step in steps for place in step.openings]
    check_confirmed(lost, opened, allow_shrink=options.allow_shrink, allow_open=options.allow_open)
    return _apply_all(admin, steps, call, deadline)


def _apply_all(admin: Admin, steps: list[PlanStep], call: Call, deadline: float) -> Response:
    done: list[dict[str, Any]] = []
    for index, step in enumerate(steps):
        done.append(step.summary)
        last = index == len(steps) - 1
        part = call if last else replace(call, key=f"{call.request_id}/{index}"[:64], caller=call.caller + "/part")
        answer = _apply_step(admin, steps[index:], part, tuple(done))
        if last:
            return answered(answer)
        if admin.clock() > deadline:
            return shown({"changes": done, "next": f"{index + 1}"})
    return shown({"changes": [], "next": None})


def _apply_step(admin: Admin, steps: list[PlanStep], call: Call, done: tuple[dict[str, Any], ...]) -> Answer:
    """Make the first change, to exactly what the plan saw. Raises `Refusal` if that was modified since."""
    step = steps[0]

    def plan(current: Current) -> Change:
        body = {"changes": list(done), "next": None, "revision": current.stamp.revision}
        if current.snapshot is not None:
            _check_again(current.snapshot, steps)
        return replace(_planned(step, current), answer=Answer(200, body))

    names_others = step.target == "profile" or step.after is None or bool(getattr(step.after, "claim", None))
    rules = (lambda: admin.current().snapshot) if names_others else None
    return admin.record.change(_target(step), plan, call, rules=rules)


def _check_again(snapshot: Snapshot, steps: list[PlanStep]) -> None:
    """Check what depends on other records, which may have changed since the plan. Raises `Invalid` or `Refusal`."""
    after = outcome(snapshot, steps)
    check_kill_stays(snapshot, after)
    changed = [step for step in steps if step.target != "routes" and step.after is not None]
    named = {step.key or "": f"flags.{step.key}." if step.key else "" for step in changed}
    check_claims(after.profile, after.rules.given, named)


def _target(step: PlanStep) -> Key:
    return {"routes": ROUTES_KEY, "profile": PROFILE_KEY}[step.target] if step.key is None else flag_key(step.key)


def _in_force(target: str, stored: Stored | None) -> dict[str, Any]:
    """The stored routes or profile, in the form that plans use."""
    document = None if stored is None else stored.document
    if target == "routes":
        return {"routes": routes_document(read_routes(document))}
    return profile_document(read_profile(document))


def _planned(step: PlanStep, current: Current) -> Change:
    stored = current.stored
    held = None if stored is None else stored.version
    if step.key is None:
        if canonical(_in_force(step.target, stored)) != canonical(step.before):
            raise Refusal(Slug.PRECONDITION_FAILED, f"{step.target} changed during apply; apply again")
        return whole_change(step.target, step.after, current)
    seen = step.before.version if isinstance(step.before, Flag) else None
    if stored is not None and stored.retired:
        raise Refusal(Slug.RETIRED, f"{step.key}: choose another key")
    before = flag_in(stored, step.key)
    unreadable = before is not None and before.quarantined and isinstance(step.before, Flag) and step.before.quarantined
    if held != seen and not unreadable:  # a quarantined flag has no version, and may have been killed since
        raise Refusal(Slug.PRECONDITION_FAILED, f"{step.key} changed during apply; apply again")
    document = None if stored is None else stored.document
    if step.after is None:
        return Change("flag.delete", (held or 0) + 1, document, None, Answer(204), step.key)
    after = stamped(kept(before, step.after), (held or 0) + 1, current.stamp)
    return changed(f"flag.{step.action}", document, after)
