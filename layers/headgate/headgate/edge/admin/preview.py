"""Preview: who would gain and who would lose access by a change. It changes nothing.

A change is refused here as the call that makes it would refuse it, except for versions and `allow_shrink`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headgate.core.changes.difference import flag_fields, policy_changes, profile_fields, unknown_flags
from headgate.core.changes.flag import (
    check_claims,
    check_kill_stays,
    check_no_emails,
    check_parents,
    check_size,
    kept,
    with_flag,
    with_kill,
    with_members,
    with_stage,
    without_flag,
    without_kill,
)
from headgate.core.changes.manifest import PlanStep, outcome
from headgate.core.changes.preview import effect, effect_document, share
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.changes.shrink import flag_losses, losses
from headgate.core.documents import Invalid, refuse
from headgate.core.flag import parse_flag, salt_for
from headgate.core.model import Flag, Kill, Reach
from headgate.core.snapshot import Snapshot
from headgate.edge.admin.bodies import FlagChangeBody, MembersBody, PreviewBody, check_members, read_body, steps_of
from headgate.edge.admin.call import Admin, read_document, shown
from headgate.edge.admin.known_subjects import affected_flags, looked_at
from headgate.edge.admin.paging import AnswerLimit
from headgate.edge.http import ANSWER_BYTES, Request, Response
from headgate.store.items import flag_key, stored_at


def preview(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/preview: show who would gain and who would lose access by a change, with samples and reasons.

    The preview covers the subjects named here, those of live sessions, and those on any flag's allowlist.
    """
    body = read_body(PreviewBody, read_document(request))
    snapshot = admin.current().snapshot
    try:
        after = _after(admin, body.flag, body.change, snapshot)
    except Invalid as invalid:
        raise Invalid((f"change.{path}", message) for path, message in invalid.faults) from None
    changed = without_flag(snapshot, body.flag) if after is None else with_flag(snapshot, after)
    if after is None:
        check_kill_stays(snapshot, changed)
    rules, wanted, seen = looked_at(admin, snapshot.rules, changed.rules, (body.flag,), body)
    flag, after = rules.given.get(body.flag), wanted.given.get(body.flag)
    before = replace(snapshot, rules=rules)
    lost = flag_losses(flag, after, before) if flag and after else losses(before, replace(snapshot, rules=wanted))
    return shown({
        "flag": body.flag,
        **effect_document(effect(rules, wanted, body.flag, seen.known)),
        "shrinks": bool(lost),
        "share": share(flag, after),
        "affects": affected_flags(rules, wanted, (body.flag,), seen),
        "known": seen.document,
        "revision": rules.revision,
    })  # fmt: skip


def _after(admin: Admin, key: str, change: FlagChangeBody, snapshot: Snapshot) -> Flag | None:
    """Return the flag after the change, or None if it is deleted. Raises `Invalid` or `Refusal`."""
    flag = snapshot.rules.given.get(key)
    steps = None if change.stage is None else steps_of(change.stage, change.percent)
    add, remove = change.add or MembersBody(), change.remove or MembersBody()
    check_members(add, remove, email_ids=admin.email_ids)
    if change.put is not None:
        return _stored(_put(admin, key, change.put, snapshot))
    if flag is None:
        raise Refusal(Slug.UNKNOWN_FLAG)
    if change.delete:
        return None
    if change.kill:
        return with_kill(flag, Kill(Reach.GATE, "preview", "", ""))
    if change.restore:
        return without_kill(flag)
    if flag.quarantined:
        refuse("stage" if change.stage else "add", "the stored flag cannot be read; replace the whole flag")
    if change.stage is not None:
        return _stored(with_stage(flag, change.stage, steps, change.unit))
    return with_members(flag, add=(add.users, add.orgs), remove=(remove.users, remove.orgs))[0]


def _put(admin: Admin, key: str, document: Mapping[str, Any], snapshot: Snapshot) -> Flag:
    flag = snapshot.rules.given.get(key)
    if document.get("key", key) != key:
        refuse("put.key", "must equal the flag's key")
    after = parse_flag({**document, "key": key}, salt=salt_for(document, flag, admin.new_salt), path="put")
    if not admin.email_ids:
        check_no_emails(after.allow.users - (flag.allow.users if flag else frozenset()))
    others = {**snapshot.rules.given, key: after}
    check_parents(snapshot.rules.given, {key: after}, others)
    check_claims(snapshot.profile, others, {key: "put."})
    if flag is not None:
        return kept(flag, after)
    stored = stored_at(admin.table, flag_key(key))
    if stored is not None and stored.retired:
        raise Refusal(Slug.RETIRED, "choose another key")
    return after


def _stored(after: Flag) -> Flag:
    """Return the flag. Raises `Refusal` if it is too large for its record."""
    check_size(after)
    return after


def foreseen(admin: Admin, snapshot: Snapshot, steps: Sequence[PlanStep]) -> dict[str, Any]:
    """Return a plan's changes, for each flag who gains and loses by all changes together, and warnings.

    The details stop at half of an answer; a change without them says so.
    """
    after = outcome(snapshot, steps)
    keys = [step.key for step in steps if step.key is not None]
    rules, wanted, seen = looked_at(admin, snapshot.rules, after.rules, keys)
    changes: list[dict[str, Any]] = []
    room = AnswerLimit(len(steps), ANSWER_BYTES // 2)
    for step in steps:
        counts: dict[str, Any] = {"opens": step.opens}
        details = _details(step)
        if step.key is not None:
            counts |= effect_document(effect(rules, wanted, step.key, seen.known))
            details["samples"] = counts.pop("samples")
            counts["share"] = share(rules.given.get(step.key), wanted.given.get(step.key))
        changes.append(step.summary | counts | (details if room.takes(details) else {"cut": True}))
    warnings = [{"path": path, "message": message} for path, message in unknown_flags(after)]
    return {"changes": changes, "affects": affected_flags(rules, wanted, keys, seen), "warnings": warnings,
            "known": seen.document}  # fmt: skip


def _details(step: PlanStep) -> dict[str, Any]:
    if step.target == "routes":
        old, new = step.before["routes"], step.after["routes"]
        return {"routes": policy_changes(old, new, step.losses, step.openings)}
    if step.target == "profile":
        return {"fields": profile_fields(step.before, step.after)}
    return {"fields": [] if step.after is None else flag_fields(step.before, step.after)}
