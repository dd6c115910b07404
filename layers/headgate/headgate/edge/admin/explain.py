"""Explain why a decision has its result, now or at a past revision."""

from typing import Any

from headgate.core.bucket import bucket, unit_ids
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.clauses import compile_rule
from headgate.core.decision import decide, trace
from headgate.core.flag import flag_document
from headgate.core.model import Flag, Reason, Stage, Subject
from headgate.core.ruleset import Ruleset
from headgate.edge.admin.as_of import as_of
from headgate.edge.admin.bodies import ExplainBody, read_body
from headgate.edge.admin.call import Admin, read_document, shown
from headgate.edge.http import Request, Response


def explain(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/explain: explain a decision step by step, now or as of a revision or a time."""
    body = read_body(ExplainBody, read_document(request))
    view = admin.current() if body.as_of is None else admin.snapshots.beside(as_of(admin, body.as_of))
    listing = admin.snapshots.with_lists(view, body.subject.subject(), (body.flag,))
    if listing.unread:
        raise Refusal(Slug.UNAVAILABLE, "the allowlist cannot be read, try again")
    snapshot, subject = view.snapshot, listing.subject
    decision = decide(snapshot.rules, body.flag, subject, gate=True)
    steps = [
        {"flag": flag, "step": step, "outcome": "passed on" if made is None else "on" if made.value else "off",
         "reason": None if made is None else made.reason.value, "facts": _facts(snapshot.rules, flag, step, subject)}
        for flag, step, made in trace(snapshot.rules, body.flag, subject)
    ]  # fmt: skip
    return shown({"flag": body.flag, "value": decision.value, "reason": decision.reason.value,
                  "revision": decision.revision, "steps": steps})  # fmt: skip


def _facts(rules: Ruleset, key: str, step: str, subject: Subject) -> dict[str, Any]:
    """Return what a step looked at. The salt, and where an id is stored, are not told."""
    flag = rules.flags.get(key)
    if step == "requires":
        reason = decide(rules, key, subject, gate=True).reason
        return {"reason": reason.value, **(_share(flag, subject) if flag and reason is Reason.SPLIT else {})}
    if flag is None:
        return {}
    if step == "killed" and flag.killed is not None:
        return {"reach": flag.killed.reach.value}
    if step == "listed":
        by_id = subject.user in flag.allow.users or bool(flag.allow.orgs & set(subject.orgs)) or key in subject.listed
        holding = [place for place, rule in enumerate(flag.allow.rules) if compile_rule(rule)(subject)]
        return {"by_id": by_id, "rules": holding}
    return _share(flag, subject) if step == "percentage" and flag.stage is Stage.PERCENTAGE else {}


def _share(flag: Flag, subject: Subject) -> dict[str, Any]:
    buckets = [{"id": one, "at": bucket(flag, one)} for one in unit_ids(flag.unit, subject)]
    return {"unit": flag.unit.value, "percent": flag_document(flag)["percent"], "buckets": buckets}
