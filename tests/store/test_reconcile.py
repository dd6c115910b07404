"""Reconcile finds a half-restored transaction, and finds nothing in a consistent table."""

import json
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from histories import SESSIONS, History, Saved
from members_desk import IMPORT, IMPORTS, WHY, MembersDesk, digest_of
from operators import Operator, creation, killing, staging
from proofs import Tally, many
from reference_table import Fault, ReferenceTable, always

from headgate.core.audit import sealed
from headgate.core.changes.reconcile import Finding, What
from headgate.core.deny import DenyKind
from headgate.core.session import record_id, start
from headgate.store.items import (
    AUDIT,
    DENIALS,
    HEAD_KEY,
    RULES,
    Head,
    audit_sk,
    deny_key,
    entry_item,
    flag_key,
    head_item,
    import_key,
    stored_item,
)
from headgate.store.port import Item, Unavailable
from headgate.store.reconcile import Reconciler, TooLong
from headgate.store.record import Answer, Change, Current
from headgate.store.sessions import Sessions

DEEDS = 25


def found(table: ReferenceTable, clock: Callable[[], float]) -> tuple[Finding, ...]:
    return Reconciler(table, budget=1e9, clock=clock).run().findings


def findings_in(saved: Saved, history: History) -> tuple[Finding, ...]:
    """The findings in a table with this content."""
    table = ReferenceTable()
    table.restore(saved)
    return found(table, history.clock)


@pytest.mark.proof("half-restored transactions, compared with the audit stream")
@pytest.mark.parametrize("part", range(5))
def test_a_half_restored_transaction_is_found_and_a_whole_one_is_not(part: int, tally: Tally) -> None:
    """Halves are distinguished from wholes by comparing the table with its state at every revision."""
    halves, wholes, number, kinds = 0, 0, 0, Counter[str]()
    while halves < many(50, 4_000):
        history, dice = History(f"{part}.{number}").goes_on(DEEDS), Random(f"{part}.{number}")
        number += 1
        for past in history.table.past:
            assert findings_in(past, history) == ()
            wholes += 1
        for _ in range(10):
            mixture = history.mixed(dice)
            findings = findings_in(mixture, history)
            assert bool(findings) != history.is_a_cut(mixture), findings
            halves, wholes = halves + bool(findings), wholes + (not findings)
            kinds.update({finding.what.value for finding in findings})
    tally.add(halves_found=halves, wholes_without_an_alarm=wholes, **dict(sorted(kinds.items())))
    assert {What.STATE_OLDER, What.STATE_NEWER, What.HEAD_BEHIND, What.ENTRY_MISSING, What.KILL_DIFFERS} <= kinds.keys()


class Interrupted:
    """Something may happen to a history's table between any two items that are read."""

    def __init__(self, history: History, dice: Random, chance: float) -> None:
        self._history, self._dice, self._chance = history, dice, chance
        history.table.turn = self

    def __call__(self) -> None:
        if self._dice.random() < self._chance:
            self._history.table.turn = lambda: None
            self._history.goes_on(1)
            self._history.table.turn = self


@pytest.mark.proof("checks of a table that changes between any two items read")
@pytest.mark.parametrize("part", range(4))
def test_concurrent_changes_are_no_finding(part: int, tally: Tally) -> None:
    for number in range(many(30, 1_000)):
        history = History(f"live.{part}.{number}").goes_on(12)
        before = len(history.table.past)
        Interrupted(history, Random(number), 0.06)
        assert found(history.table, history.clock) == ()
        tally.add(looks=1, changes_meanwhile=len(history.table.past) - before)


@pytest.mark.proof("checks while a transaction becomes visible item by item, in any order")
def test_a_transaction_in_progress_is_no_finding(tally: Tally) -> None:
    """Single-item reads are not isolated from a transaction: its first item may be visible before its last."""
    for number in range(many(150, 5_000)):
        history, dice, table = History(f"way.{number}").goes_on(12), Random(number), ReferenceTable()
        table.restore(history.table.past[-2])
        late: list[tuple[str, str, Item]] = [
            (pk, sk, item)
            for pk, rows in history.table.past[-1].items()
            for sk, item in rows.items()
            if table.partition(pk).get(sk) != item
        ]
        dice.shuffle(late)

        def appears(
            table: ReferenceTable = table, late: list[tuple[str, str, Item]] = late, dice: Random = dice
        ) -> None:
            if late and dice.random() < 0.1:
                pk, sk, item = late.pop()
                table.partition(pk)[sk] = item

        table.turn = appears
        findings = found(table, history.clock)
        assert findings == () or late, findings
        tally.add(looks=1, half_to_the_end=bool(late))


def test_a_half_restored_transaction_is_found_during_concurrent_changes() -> None:
    for number in range(60):
        history = History(f"both.{number}").goes_on(DEEDS)
        Operator(history.table, history.clock).creates("lost")
        del history.table.partition(RULES)[flag_key("lost")[1]]
        Interrupted(history, Random(number), 0.03)
        assert [(finding.what, finding.flag) for finding in found(history.table, history.clock)] == [
            (What.STATE_MISSING, "lost")
        ]


@pytest.fixture
def history() -> History:
    """A history with changes of every kind."""
    return History("one").goes_on(40)


REVOCATION = Ask("POST /admin/v1/revocations", {"subject": "u-1", "reason": "a test"})


def test_an_expired_record_may_be_missing(history: History) -> None:
    """DynamoDB removes denials and sessions some time after they expire; a younger one must not be missing."""
    with quiet():
        history.desk.must(REVOCATION)
    gone = ReferenceTable()
    gone.restore(history.table.past[-1])
    gone.partition(DENIALS).clear()
    assert {finding.what for finding in found(gone, history.clock)} == {What.STATE_MISSING}
    history.clock.advance(10 * 86_400)
    assert found(gone, history.clock) == ()
    assert history.table.expire(history.clock())
    assert found(history.table, history.clock) == ()
    with quiet():
        history.desk.must(REVOCATION)
        history.desk.must(REVOCATION)
    assert found(history.table, history.clock) == ()


def test_a_missing_second_denial_of_one_second_is_found(history: History) -> None:
    """Two denials of one second are equal; the record's version shows that the second is missing."""
    with quiet():
        for subject in ("ada", "bob"):
            for _ in range(2):
                revocation = {"subject": subject, "reason": "a test"}
                history.desk.must(Ask("POST /admin/v1/revocations", revocation))
    first, second = history.table.past[-4][DENIALS], history.table.past[-3][DENIALS]
    assert found(history.table, history.clock) == ()
    (lost,) = (sk for sk in second if first.get(sk) != second[sk])
    history.table.partition(DENIALS)[lost] = first[lost]
    (finding,) = found(history.table, history.clock)
    assert (finding.what, finding.stored_version, finding.recorded_version) == (What.STATE_OLDER, 1, 2)


def test_each_end_of_a_restarted_session_needs_its_own_entry() -> None:
    """A session is ended, started, and ended again."""
    history, sessions = History("sessions"), []
    subject, name = SESSIONS[0]
    end = Ask("DELETE /admin/v1/sessions/{id}", {"reason": "a test"}, {"id": record_id(subject, name)})
    for _ in range(2):
        history.clock.advance(100)
        with quiet():
            history.desk.must(end)
        sessions.append(history.table.past[-1])
        assert found(history.table, history.clock) == ()
        history.clock.advance(100)
        again = start(subject=subject, session_id=name, now=int(history.clock()), orgs=(), admin=False, attributes={},
                      client_id="web")  # fmt: skip
        Sessions(history.table, clock=history.clock).start(again)
        assert found(history.table, history.clock) == ()
    earlier = {pk: sessions[0][pk] for pk in (RULES, DENIALS, AUDIT, HEAD_KEY[0]) if pk in sessions[0]}
    (finding,) = findings_in({**sessions[1], **earlier}, history)
    assert finding.what is What.SESSION_ENDED


def test_an_import_committed_by_half_is_found() -> None:
    """One transaction writes into its own record and into the flag since when it counts."""
    table, clock = ReferenceTable(), FakeClock()
    desk, key, record = MembersDesk(table, clock), flag_key("f"), import_key("f")
    desk.creates()
    saved = [table.saved()]
    steps: list[tuple[str, Any]] = [
        (IMPORTS, {"id": "one", "kind": "user", "mode": "add"}),
        (f"{IMPORT}/members", {"at": 0, "ids": ["ada"]}),
        (f"{IMPORT}/commit", {"count": 1, "digest": digest_of(["ada"])}),
    ]
    for name in ("one", "two"):
        for route, body in steps:
            given = {**body, **({"id": name} if "id" in body else {}), **WHY}
            desk.desk.must(desk.ask(f"POST {route}", given, name=name))
            assert found(table, clock) == ()
            saved.append(table.saved())
    *_, staged, committed = saved
    for lost, whats in ((record, {What.IMPORT_DIFFERS}), (key, {What.IMPORT_DIFFERS, What.STATE_OLDER})):
        half = {pk: dict(rows) for pk, rows in committed.items()}
        half[lost[0]][lost[1]] = staged[lost[0]][lost[1]]
        table.restore(half)
        assert {finding.what for finding in found(table, clock)} == whats
        del table.partition(lost[0])[lost[1]]
        assert found(table, clock)
    table.restore(committed)
    edit_item(table, *record, body="{")
    assert [finding.what for finding in found(table, clock)] == [What.IMPORT_DIFFERS]


def test_a_kill_of_an_unreadable_flag_is_no_finding(history: History) -> None:
    """Its document stays unchanged, including the version in it; the record's own version is incremented."""
    key, ops = flag_key("odd"), Operator(history.table, history.clock)
    document = {"key": "odd", "stage": "no such stage", "version": 1}
    ops.creates("odd")

    def spoilt(current: Current) -> Change:
        assert current.stored is not None
        return Change("flag.replace", 2, current.stored.document, document, Answer(200), "odd")

    ops.makes("odd", spoilt)
    for _ in range(2):
        with quiet():
            history.desk.must(Ask("POST /admin/v1/flags/{key}/kill", {"reason": "a test"}, {"key": "odd"}))
    assert history.table.partition(RULES)[key[1]]["version"] == 4
    assert found(history.table, history.clock) == ()
    history.table.partition(RULES)[key[1]] = stored_item(key, 4, {**document, "x": 1})
    assert [finding.what for finding in found(history.table, history.clock)] == [What.STATE_NEWER]


def edited(table: ReferenceTable, revision: int, **members: Any) -> None:
    """An entry that was changed and sealed again."""
    item = table.partition(AUDIT)[audit_sk(revision)]
    table.partition(AUDIT)[audit_sk(revision)] = entry_item(sealed({**json.loads(str(item["body"])), **members}))


def edit_item(table: ReferenceTable, pk: str, sk: str, **members: Any) -> None:
    """An item with some members changed."""
    table.partition(pk)[sk] = {"pk": pk, **table.partition(pk).get(sk, {}), "sk": sk, **members}


def with_kills(table: ReferenceTable, head: int, killed: dict[str, str]) -> None:
    """The head with other kills."""
    newest = json.loads(str(table.partition(AUDIT)[audit_sk(head)]["body"]))["digest"]
    table.partition(HEAD_KEY[0])[HEAD_KEY[1]] = head_item(Head(head, newest, killed))


def repeat_entry(table: ReferenceTable, revision: int) -> None:
    """An entry at two places."""
    edit_item(table, AUDIT, f"{audit_sk(revision)}x", body=table.partition(AUDIT)[audit_sk(revision)]["body"])


Damage = Callable[[ReferenceTable, int], Any]
BREAKS: dict[str, tuple[Damage, list[tuple[What, str]]]] = {
    "entry gone": (lambda table, head: table.partition(AUDIT).pop(audit_sk(head - 1)),
                   [(What.ENTRY_MISSING, "audit"), (What.STATE_UNRECORDED, "flag#last")]),
    "newest gone": (lambda table, head: table.partition(AUDIT).pop(audit_sk(head)),
                    [(What.HEAD_AHEAD, "head"), (What.KILL_DIFFERS, "head"), (What.STATE_NEWER, "flag#killed")]),
    "sealed anew": (lambda table, _: edited(table, 1, reason="x"), [(What.CHAIN_BROKEN, "audit")]),
    "newest sealed anew": (lambda table, head: edited(table, head, reason="x"), [(What.HEAD_DIFFERS, "head")]),
    "no entry": (lambda table, _: edit_item(table, AUDIT, audit_sk(1), body="["),
                 [(What.CHAIN_BROKEN, "audit"), (What.ENTRY_MISSING, "audit"), (What.STATE_UNRECORDED, "flag#f")]),
    "no denial": (lambda table, _: edited(table, 1, action="deny.session", flag=None,
                                          after={"kind": "session", "value": "x", "expires": "soon"}),
                  [(What.CHAIN_BROKEN, "audit"), (What.STATE_MISSING, deny_key(DenyKind.SESSION, "x")[1]),
                   (What.STATE_UNRECORDED, "flag#f")]),
    "entry twice": (lambda table, _: repeat_entry(table, 1), [(What.CHAIN_BROKEN, "audit")]),
    "head lost": (lambda table, _: table.partition(HEAD_KEY[0]).clear(),
                  [(What.HEAD_BEHIND, "head"), (What.KILL_DIFFERS, "head")]),
    "kill forgotten": (lambda table, head: with_kills(table, head, {}), [(What.KILL_DIFFERS, "head")]),
    "kill raised": (lambda table, head: with_kills(table, head, {"killed": "sever"}), [(What.KILL_DIFFERS, "head")]),
    "record lost": (lambda table, _: table.partition(RULES).pop("flag#f"), [(What.STATE_MISSING, "flag#f")]),
    "not JSON": (lambda table, _: edit_item(table, RULES, "flag#f", body="{"), [(What.STATE_DIFFERS, "flag#f")]),
    "no number": (lambda table, _: edit_item(table, RULES, "flag#f", body="NaN"), [(What.STATE_DIFFERS, "flag#f")]),
    "back": (lambda table, _: edit_item(table, RULES, "flag#killed", version=1), [(What.STATE_OLDER, "flag#killed")]),
    "ahead": (lambda table, _: edit_item(table, RULES, "flag#killed", version=9), [(What.STATE_NEWER, "flag#killed")]),
    "never retired": (lambda table, _: edit_item(table, RULES, "flag#gone", body="{}", retired=0),
                      [(What.STATE_DIFFERS, "flag#gone")]),
    "not quite retired": (lambda table, _: edit_item(table, RULES, "flag#gone", body="{", retired=0),
                          [(What.STATE_DIFFERS, "flag#gone")]),
    "unheard of": (lambda table, _: edit_item(table, RULES, "x", version=1), [(What.STATE_UNRECORDED, "x")]),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_each_kind_of_damage_has_its_finding(name: str) -> None:
    table, clock = ReferenceTable(), FakeClock()
    ops, desk = Operator(table, clock), Desk(table, clock)
    for key in ("f", "gone", "killed"):
        ops.creates(key)
    with quiet():
        desk.must(Ask("DELETE /admin/v1/flags/{key}", {"reason": "a test"}, {"key": "gone"}, {"if-match": '"1"'}))
    ops.creates("last")
    ops.makes("killed", killing("killed"))
    assert found(table, clock) == ()
    damage, whats = BREAKS[name]
    damage(table, 6)
    assert [(finding.what, finding.record) for finding in found(table, clock)] == whats


def test_a_finding_says_where() -> None:
    table, clock = ReferenceTable(), FakeClock()
    ops = Operator(table, clock)
    ops.creates("f")
    before = dict(table.partition(RULES))
    ops.makes("f", staging("f", "ga"))
    ops.creates("g")
    table.partition(RULES).update(before)
    assert found(table, clock) == (
        Finding(What.STATE_OLDER, "flag#f", "f", revision=2, stored_version=1, recorded_version=2),
    )


def test_an_empty_table_has_no_findings() -> None:
    assert found(ReferenceTable(), FakeClock()) == ()


def test_an_unavailable_table_raises_instead_of_a_finding() -> None:
    table = ReferenceTable()
    table.weather = always(Fault.LOST_REQUEST)
    with pytest.raises(Unavailable):
        found(table, FakeClock())


def test_reconcile_stops_at_its_time_limit() -> None:
    table, clock = ReferenceTable(page=1), FakeClock()
    ops = Operator(table, clock)
    for number in range(30):
        ops.does(f"f{number}", creation(f"f{number}"))
    table.turn = lambda: clock.advance(1)
    with pytest.raises(TooLong):
        Reconciler(table, budget=20.0, clock=clock).run()
