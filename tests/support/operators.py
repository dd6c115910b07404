"""Operators: plans as the admin API makes them, on a table, each call with its own Idempotency-Key.

`check` verifies a table afterwards: state and record must agree.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

from fake_clock import FakeClock
from reference_table import ReferenceTable
from vector_files import flag_from

from headgate.core.audit import verify_chain
from headgate.core.changes.flag import stamped, with_kill, with_members, with_stage, without_kill
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.deny import DenyKind
from headgate.core.flag import flag_document, read_flag
from headgate.core.model import Flag, Json, Kill, Reach, Stage
from headgate.core.snapshot import EMPTY, Snapshot, apply_entries
from headgate.store.items import (
    FLAG_PREFIX,
    HEAD_KEY,
    KEYRING_KEY,
    PROFILE_KEY,
    ROUTES_KEY,
    deny_key,
    flag_key,
    read_head,
    read_stored,
)
from headgate.store.port import Table
from headgate.store.record import Actor, Answer, Call, Change, Current, Plan, Record
from headgate.store.rules import build

TARGETS = {"routes": ROUTES_KEY, "profile": PROFILE_KEY, "keys": KEYRING_KEY}


class Operator:
    """An operator. `key` is the flag's; a call has the given Idempotency-Key or a new one."""

    numbers = count(1)

    def __init__(self, table: Table, clock: FakeClock, *, name: str = "ops", budget: float = 5.0,
                 jitter: Callable[[], float] = lambda: 0.5) -> None:  # fmt: skip
        self.name, self.clock = name, clock
        self.record = Record(table, budget=budget, clock=clock, pause=clock.pause, jitter=jitter)

    def call(self, *, idem: str | None = None, fingerprint: str = "") -> Call:
        """A request."""
        number = next(self.numbers)
        actor = Actor(f"arn:{self.name}", "AIDA", "192.0.2.7")
        return Call(actor, "a test", f"req-{number}", f"caller-{self.name}", idem or f"key-{number}", fingerprint)

    def does(self, key: str, plan: Plan, call: Call | None = None, **options: Any) -> Answer | Refusal:
        """Make one change of a flag, the routes, the profile, or the keys; return the answer or the refusal."""
        try:
            return self.record.change(TARGETS.get(key, flag_key(key)), plan, call or self.call(), **options)
        except Refusal as refusal:
            return refusal

    def creates(self, key: str, **members: Any) -> Answer:
        """Create a flag, which must succeed."""
        answer = self.does(key, creation(key, **members))
        assert isinstance(answer, Answer), answer
        return answer

    def makes(self, key: str, plan: Plan) -> Answer:
        """Make a change that must succeed."""
        answer = self.does(key, plan)
        assert isinstance(answer, Answer), answer
        return answer


def creation(key: str, **members: Any) -> Plan:
    """Create the flag, unless it exists or is retired."""

    def plan(current: Current) -> Change:
        if current.stored is not None:
            raise Refusal(Slug.RETIRED if current.stored.retired else Slug.EXISTS, "")
        flag = flag_from({"key": key, **members})
        return _changed("flag.create", None, stamped(flag, 1, current.stamp), 201)

    return plan


def update(key: str, action: str, step: Callable[[Flag], Flag], *, if_match: int | None = None) -> Plan:
    """Change the flag by a step; conditionally, if a version is given."""

    def plan(current: Current) -> Change:
        stored = current.stored
        if stored is None or stored.retired:
            raise Refusal(Slug.UNKNOWN_FLAG, "")
        if if_match is not None and stored.version != if_match:
            raise Refusal(Slug.PRECONDITION_FAILED, "", version=stored.version)
        before = read_flag(key, stored.document)
        after = step(before)
        if after == before:
            return Change(action, stored.version, stored.document, stored.document,
                          Answer(200, stored.document, stored.version), key)  # fmt: skip
        return _changed(action, stored.document, stamped(after, stored.version + 1, current.stamp))

    return plan


def staging(key: str, stage: str, percent: float | None = None, **options: Any) -> Plan:
    """Move the stage."""
    steps = None if percent is None else round(percent * 1_000)
    return update(key, "flag.stage", lambda flag: with_stage(flag, Stage(stage), steps, None), **options)


def listing(key: str, *users: str, **options: Any) -> Plan:
    """Add users to the list."""
    return update(key, "flag.allow", lambda flag: with_members(flag, add=(users, ()), remove=((), ()))[0], **options)


def killing(key: str, reach: str = "gate") -> Plan:
    """Kill the flag."""
    until = "2030-01-01T00:00:00.000Z" if reach == "drain" else None
    order = Kill(Reach(reach), "a test", "2026-03-01T12:00:00.000Z", "arn:ops", until)
    return update(key, "flag.kill", lambda flag: with_kill(flag, order))


def restoring(key: str) -> Plan:
    """Restore the flag."""
    return update(key, "flag.restore", without_kill)


def writing(key: str, flag: Mapping[str, Any]) -> Plan:
    """Replace the whole flag."""

    def step(before: Flag) -> Flag:
        return replace(flag_from({**flag, "key": key}), killed=before.killed)

    return update(key, "flag.replace", step)


def deletion(key: str, *, if_match: int | None = None) -> Plan:
    """Delete the flag."""

    def plan(current: Current) -> Change:
        stored = current.stored
        if stored is None or stored.retired:
            raise Refusal(Slug.UNKNOWN_FLAG, "")
        if if_match is not None and stored.version != if_match:
            raise Refusal(Slug.PRECONDITION_FAILED, "", version=stored.version)
        return Change("flag.delete", stored.version + 1, stored.document, None, Answer(204), key)

    return plan


def replacement(target: str, members: Mapping[str, Json]) -> Plan:
    """Replace the routes, the profile, or the keys."""

    def plan(current: Current) -> Change:
        held = 0 if current.stored is None else current.stored.version
        document = {**members, "version": held + 1, "revision": current.stamp.revision}
        before = None if current.stored is None else current.stored.document
        return Change(f"{target}.replace", held + 1, before, document, Answer(200, document, held + 1))

    return plan


def _changed(action: str, before: Json, after: Flag, status: int = 200) -> Change:
    document = flag_document(after)
    return Change(action, after.version, before, document, Answer(status, document, after.version), after.key)


def entries(table: ReferenceTable) -> list[dict[str, Any]]:
    """The audit stream, oldest first."""
    return [json.loads(str(item["body"])) for _sk, item in sorted(table.partition("audit").items())]


def replayed(table: ReferenceTable, revision: int | None = None) -> Snapshot:
    """The rules at a revision, from the audit stream alone."""
    return apply_entries(
        EMPTY, [entry for entry in entries(table) if revision is None or entry["revision"] <= revision]
    )


def same_rules(left: Snapshot, right: Snapshot) -> bool:
    """Whether two snapshots hold the same rules."""

    def held(snapshot: Snapshot) -> tuple[Any, ...]:
        rules = snapshot.rules
        return (rules.flags, rules.given, rules.lineage, rules.revision, snapshot.routes, snapshot.profile,
                snapshot.keyring, snapshot.denied)  # fmt: skip

    return held(left) == held(right)


def check(table: ReferenceTable) -> int:
    """Check that state, record, head, and idempotency records agree; return the revision."""
    stream = entries(table)
    head = read_head(table.partition(HEAD_KEY[0]).get(HEAD_KEY[1]))
    links = pairwise([{"revision": 0}, *stream])
    skipped = {new["action"] for old, new in links if new["revision"] != old["revision"] + 1}
    assert skipped <= {"restore.begin", "restore.confirm"}, "revisions have gaps"
    assert verify_chain(stream, {"revision": head.revision, "digest": head.digest}) is None
    versions: dict[str, int] = {}
    for entry in stream:
        _follows(entry, versions)
    rules = {**table.partition("rules"), **table.partition("denials")}
    stored = {sk: read_stored(item) for sk, item in rules.items()}
    assert {sk: record.version for sk, record in stored.items()} == versions
    whole = build(list(rules.values()), head.revision)
    assert same_rules(whole, replayed(table)), "the state is not what the record says"
    killed = {key: flag.killed.reach.value for key, flag in whole.rules.given.items() if flag.killed}
    assert dict(head.killed) == killed
    saved = table.saved()
    kept = sum(len(rows) for pk, rows in saved.items() if pk.startswith("idem#"))
    if not any(pk.startswith("imports#") for pk in saved):  # import steps are remembered but are not revisions
        assert kept <= head.revision
    return head.revision


def _follows(entry: Mapping[str, Any], versions: dict[str, int]) -> None:
    """Check that each entry starts from the state that the previous one left: no update is lost."""
    subject = entry["action"].partition(".")[0]
    if subject in ("deny", "restore"):
        sk = deny_key(DenyKind(entry["after"]["kind"]), entry["after"]["value"])[1]
        versions[sk] = versions.get(sk, 0) + 1
        return
    sk = FLAG_PREFIX + entry["flag"] if subject == "flag" else subject
    before, after, held = entry["before"], entry["after"], versions.get(sk, 0)
    assert (0 if before is None else before["version"]) == held, entry
    versions[sk] = held + 1 if after is None else after["version"]
    assert versions[sk] == held + 1 or (before == after and versions[sk] == held), entry
