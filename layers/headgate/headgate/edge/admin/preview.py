"""Preview: who would gain and who would lose by a change, asked before it is made. It changes nothing.

A change is refused here as the call that makes it would refuse it, but for what hangs on versions and `allow_shrink`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from headgate.core.change import (
    check_no_emails,
    check_parents,
    kept,
    shrinks,
    with_kill,
    with_members,
    with_stage,
    without_kill,
)  # fmt: skip
from headgate.core.faults import Invalid, refuse
from headgate.core.manifest import Step, outcome
from headgate.core.members import Member, Standpoint
from headgate.core.model import Flag, Kill, Reach, Subject
from headgate.core.parse import parse_flag
from headgate.core.parse_allow import is_member_id
from headgate.core.preview import (
    DECIDED,
    KNOWN,
    Known,
    Source,
    crowd,
    dependents,
    effect,
    effect_document,
    listed,
    long_lists,
    share,
    unfolded,
)  # fmt: skip
from headgate.core.ruleset import Ruleset, ruleset
from headgate.edge.admin.allow import check_members, members_of
from headgate.edge.admin.bodies import FlagChange, Members, PreviewBody, read_body
from headgate.edge.admin.door import Admin, Refused, answered, read_document, shown
from headgate.edge.admin.flags import changed, steps_of
from headgate.edge.http import Request, Response
from headgate.store.items import flag_key, read_stored
from headgate.store.members import histories
from headgate.store.record import Refusal

LOOKED_UP = 20_000
"""Member items that one preview reads: 200 batched reads. Of a long list only those who are known are looked at."""
SESSIONS, SESSIONS_READ = 1_000, 5_000
"""Live sessions that are looked at, among so many records."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """The subjects that are looked at, and whether these are all that are known."""

    known: tuple[Known, ...]
    complete: bool

    @property
    def document(self) -> dict[str, Any]:
        """How many there are of each source."""
        sources = [one.source for one in self.known]
        names = {"named": Source.NAMED, "sessions": Source.SESSION, "listed": Source.LISTED}
        return {**{name: sources.count(source) for name, source in names.items()}, "complete": self.complete}


def preview(admin: Admin, request: Request) -> Response:
    """POST /admin/v1/preview: who would gain and who would lose by a change, with samples and reasons; it makes none.

    Looked at are the subjects named here, those of live sessions, and all who stand on some flag's list.
    """
    body = read_body(PreviewBody, read_document(request))
    rules = admin.current().snapshot.rules
    flag = rules.given.get(body.flag)
    try:
        after = _after(admin, body.flag, body.change, flag, rules)
    except Invalid as invalid:
        raise Invalid((f"change.{path}", message) for path, message in invalid.faults) from None
    if isinstance(after, Refusal):
        return answered(after)
    others = {key: one for key, one in rules.given.items() if key != body.flag}
    wanted = ruleset(others if after is None else {**others, body.flag: after}, rules.revision)
    rules, wanted, seen = _looked_at(admin, rules, wanted, (body.flag,), body)
    flag, after = rules.given.get(body.flag), wanted.given.get(body.flag)
    return shown({
        "flag": body.flag,
        **effect_document(effect(rules, wanted, body.flag, seen.known)),
        "shrinks": shrinks(flag, after),
        "share": share(flag, after),
        "affects": _affects(rules, wanted, (body.flag,), seen),
        "known": seen.document,
        "revision": rules.revision,
    })  # fmt: skip


def _after(admin: Admin, key: str, change: FlagChange, flag: Flag | None, rules: Ruleset) -> Flag | Refusal | None:
    """The flag as the change leaves it; None where it deletes it. Raises `Invalid` or `Refused`."""
    steps = None if change.stage is None else steps_of(change.stage, change.percent)
    add, remove = change.add or Members(), change.remove or Members()
    check_members(admin, add, remove)
    if change.put is not None:
        return _stored(_put(admin, key, change.put, flag, rules))
    if flag is None:
        raise Refused("unknown-flag")
    if change.delete:
        return None
    if change.kill:
        return with_kill(flag, Kill(Reach.GATE, "preview", "", ""))
    if change.restore:
        return without_kill(flag)
    if flag.quarantined:
        refuse("stage" if change.stage else "add", "the stored flag cannot be read; replace it whole")
    if change.stage is not None:
        return _stored(with_stage(flag, change.stage, steps, change.unit))
    return with_members(flag, add=(add.users, add.orgs), remove=(remove.users, remove.orgs))[0]


def _put(admin: Admin, key: str, document: Mapping[str, Any], flag: Flag | None, rules: Ruleset) -> Flag:
    if document.get("key", key) != key:
        refuse("put.key", "must be the flag's key")
    salt = flag.salt if flag and flag.salt else admin.new_salt()
    after = parse_flag({**document, "key": key}, salt=salt, path="put")
    if not admin.email_ids:
        check_no_emails(after.allow.users - (flag.allow.users if flag else frozenset()))
    check_parents(rules.given, {key: after}, {**rules.given, key: after})
    if flag is not None:
        return kept(flag, after)
    item = admin.table.get((flag_key(key),)).get(flag_key(key))
    if item is not None and read_stored(item).retired:
        raise Refused("key-retired", "choose another key")
    return after


def _stored(after: Flag) -> Flag | Refusal:
    """The flag, if it is of a size that can be stored."""
    outcome = changed("preview", None, after)
    return outcome if isinstance(outcome, Refusal) else after


def foreseen(admin: Admin, rules: Ruleset, steps: Sequence[Step]) -> dict[str, Any]:
    """The changes of a plan with who gains and loses by each flag, as all of them together leave it."""
    wanted = ruleset(outcome(rules.given, steps), rules.revision)
    keys = [step.key for step in steps if step.key is not None]
    rules, wanted, seen = _looked_at(admin, rules, wanted, keys)
    changes = [
        step.summary | ({} if step.key is None else effect_document(effect(rules, wanted, step.key, seen.known)))
        for step in steps
    ]
    return {"changes": changes, "affects": _affects(rules, wanted, keys, seen), "known": seen.document}


def _looked_at(
    admin: Admin, before: Ruleset, after: Ruleset, keys: Sequence[str], body: PreviewBody | None = None
) -> tuple[Ruleset, Ruleset, Crowd]:
    """The rules before and after with the long lists as far as anybody who is known stands on them, and who that is."""
    named = [one.subject() for one in body.subjects] if body is not None else []
    inside = _inside(admin)
    seen = _crowd(inside, before, after, keys, named)
    hanging = (*keys, *dependents(before, after, keys))
    long = long_lists((before, after), hanging)
    if not long:
        return before, after, seen
    add, remove = (body.change.add, body.change.remove) if body is not None else (None, None)
    gone = frozenset(members_of(remove or Members()))
    ids = dict.fromkeys((*gone, *members_of(add or Members()), *_ids(known.subject for known in seen.known)))
    asked = list(ids)[: LOOKED_UP // len(long)]
    on = {key: _on_long(admin, before.flags[key], asked) for key in long if key in before.flags}
    left = {key: found - gone if body is not None and key == body.flag else found for key, found in on.items()}
    before, after = unfolded(before, on), unfolded(after, left)
    return before, after, replace(_crowd(inside, before, after, keys, named), complete=False)


def _ids(subjects: Iterable[Subject]) -> Iterator[Member]:
    for subject in subjects:
        if subject.user is not None:
            yield "user", subject.user
        yield from (("org", org) for org in subject.orgs)


def _on_long(admin: Admin, flag: Flag, members: Iterable[Member]) -> frozenset[Member]:
    """Those who stand on a flag's long list."""
    stand = Standpoint.of(flag)
    held = histories(admin.table, flag.key, [one for one in members if is_member_id(one[1])])
    return frozenset(member for member, one in held.items() if stand.holds(one.events))


def _crowd(
    live: tuple[list[Subject], bool], before: Ruleset, after: Ruleset, keys: Sequence[str], named: Sequence[Subject]
) -> Crowd:
    """The subjects to look at for a change of these flags: named, inside, listed; fewer where many flags hang on it."""
    inside, all_inside = live
    flags = len(keys) + len(dependents(before, after, keys))
    most = min(KNOWN, DECIDED // max(1, flags))
    known, all_known = crowd(named, inside, listed((after, before), keys), most)
    return Crowd(known, all_inside and all_known)


def _inside(admin: Admin) -> tuple[list[Subject], bool]:
    """The subjects of live sessions, the newest session of a user first, and whether that is all of them."""
    now = admin.clock()
    records = [session for _record, session in islice(admin.sessions.every(), SESSIONS_READ + 1)]
    live = sorted((one for one in records if one.is_live(now)), key=lambda one: one.started_at, reverse=True)
    subjects = [Subject(one.subject, one.orgs, one.admin, one.attributes) for one in live[:SESSIONS]]
    return subjects, len(records) <= SESSIONS_READ and len(live) <= SESSIONS


def _affects(before: Ruleset, after: Ruleset, keys: Sequence[str], seen: Crowd) -> list[dict[str, Any]]:
    """The flags that hang on these and change for somebody."""
    found = ((key, effect(before, after, key, seen.known)) for key in dependents(before, after, keys))
    return [{"flag": key, "gains": one.gains, "loses": one.loses} for key, one in found if one.gains or one.loses]
