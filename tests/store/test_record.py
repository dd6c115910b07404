"""One change is one transaction: refusals, retries, lost answers, and repeated requests."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from fake_clock import FakeClock
from operators import (
    Operator,
    check,
    creation,
    deletion,
    entries,
    killing,
    listing,
    replacement,
    restoring,
    staging,
    writing,
)
from proofs import Tally
from reference_table import Call, Crashed, Fault, ReferenceTable, always, at, clear, mixed

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import refuse
from headgate.core.snapshot import EMPTY, Snapshot
from headgate.store.port import InvalidWrite, Throttled, Unavailable
from headgate.store.record import IDEMPOTENCY_LIFE, Answer, Plan
from headgate.store.snapshots import Snapshots

NOW = 1_780_000_000.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def table() -> ReferenceTable:
    return ReferenceTable()


@pytest.fixture
def ops(table: ReferenceTable, clock: FakeClock) -> Operator:
    return Operator(table, clock)


def slug(outcome: Answer | Refusal) -> Slug | None:
    """The slug of a refusal."""
    return outcome.slug if isinstance(outcome, Refusal) else None


CHANGES: dict[str, tuple[str, Callable[[], Plan]]] = {
    "create": ("new", lambda: creation("new", stage="allowlist")),
    "stage": ("f", lambda: staging("f", "percentage", 25, if_match=2)),
    "allow": ("f", lambda: listing("f", "alice", if_match=2)),
    "replace": ("f", lambda: writing("f", {"stage": "ga", "percent": 5})),
    "kill": ("f", lambda: killing("f")),
    "restore": ("g", lambda: restoring("g")),
    "kill again": ("g", lambda: killing("g")),
    "delete": ("f", lambda: deletion("f", if_match=2)),
    "routes": ("routes", lambda: replacement("routes", {"routes": [{"route": "GET /x", "class": "observe"}]})),
    "profile": ("profile", lambda: replacement("profile", {"access": "f", "max_stale": 5, "token": {}})),
    "keys": ("keys", lambda: replacement("keys", {"keys": [{"kid": "k", "state": "active", "since": 1}]})),
}
EVERY_CHANGE = pytest.mark.parametrize("name", CHANGES)


def seed(ops: Operator) -> None:
    """Two flags, one of them killed."""
    ops.creates("f", stage="ga")
    ops.makes("f", listing("f", "bob"))
    ops.creates("g", stage="percentage", percent=10)
    ops.makes("g", killing("g"))


@EVERY_CHANGE
def test_a_change_costs_one_read_and_one_transaction(name: str, ops: Operator, table: ReferenceTable) -> None:
    seed(ops)
    table.calls.clear()
    key, plan = CHANGES[name]
    assert isinstance(ops.does(key, plan()), Answer)
    assert [call.op for call in table.calls] == ["get", "write"]
    assert len(table.calls[1].keys) == 4
    assert check(table) == 5


def test_each_item_of_a_transaction_has_its_own_condition(ops: Operator, table: ReferenceTable) -> None:
    """Each condition alone refuses a lost race."""
    ops.creates("f")
    flag, entry, head, answer = table.written
    assert (flag.absent, entry.absent, head.absent, answer.expired) == (True, True, True, int(NOW))
    ops.makes("f", killing("f"))
    flag, entry, head, answer = table.written
    assert flag.equals == ("version", 1)
    assert entry.absent
    assert head.equals == ("revision", 1)
    assert answer.expired == int(NOW)


def test_the_first_change_of_an_empty_table_is_revision_1(ops: Operator, table: ReferenceTable) -> None:
    answer = ops.creates("f")
    assert (answer.status, answer.version, answer.body["revision"]) == (201, 1, 1)
    assert check(table) == 1
    (entry,) = entries(table)
    assert entry["actor"] == {"arn": "arn:ops", "session": "AIDA", "source_ip": "192.0.2.7"}
    assert (entry["action"], entry["flag"], entry["before"], entry["reason"]) == ("flag.create", "f", None, "a test")
    assert entry["at"] == "2026-05-28T20:26:40.000Z"


@pytest.mark.parametrize(
    ("key", "plan", "expected"),
    [
        ("f", creation("f"), Slug.EXISTS),
        ("gone", creation("gone"), Slug.RETIRED),
        ("gone", killing("gone"), Slug.UNKNOWN_FLAG),
        ("none", killing("none"), Slug.UNKNOWN_FLAG),
        ("f", staging("f", "ga", if_match=1), Slug.PRECONDITION_FAILED),
        ("f", deletion("f", if_match=3), Slug.PRECONDITION_FAILED),
    ],
)
def test_a_refusal_writes_nothing(ops: Operator, table: ReferenceTable, key: str, plan: Plan, expected: Slug) -> None:
    seed(ops)
    ops.creates("gone")
    ops.makes("gone", deletion("gone"))
    before = table.saved()
    outcome = ops.does(key, plan)
    assert slug(outcome) is expected
    assert table.saved() == before
    if expected is Slug.PRECONDITION_FAILED:
        assert isinstance(outcome, Refusal)
        assert outcome.version == 2


def test_an_exception_of_a_plan_reaches_the_caller(ops: Operator, table: ReferenceTable) -> None:
    def plan(_current: Any) -> Any:
        refuse("percent", "no")

    with pytest.raises(ValueError, match="percent"):
        ops.does("f", plan)
    assert table.count("write") == 0


# -- conflicts


def test_a_conflict_is_retried(ops: Operator, table: ReferenceTable) -> None:
    seed(ops)
    start = len(table.calls)
    table.weather = lambda call: Fault.CONTENDED if call.op == "write" and call.number < start + 6 else None
    assert isinstance(ops.does("f", killing("f")), Answer)
    assert table.count("write") - 4 == 4
    table.weather = clear
    assert check(table) == 5


@pytest.mark.parametrize("fault", [Fault.CONTENDED, Fault.THROTTLED], ids=lambda fault: fault.name)
def test_a_change_that_runs_out_of_budget_is_busy_and_changes_nothing(
    ops: Operator, table: ReferenceTable, clock: FakeClock, fault: Fault
) -> None:
    seed(ops)
    before = table.saved()
    table.weather = always(fault)
    started = clock()
    assert slug(ops.does("f", killing("f"))) is Slug.BUSY
    assert clock() - started <= 5.0
    assert len(table.calls) < 80
    assert table.saved() == before


def test_without_answers_a_change_is_unavailable_in_time(
    ops: Operator, table: ReferenceTable, clock: FakeClock
) -> None:
    seed(ops)
    table.weather = always(Fault.LOST_REQUEST)
    started = clock()
    with pytest.raises(Unavailable):
        ops.does("f", killing("f"))
    assert clock() - started <= 5.0


def unstorable(call: Call) -> None:
    """The table reads, and rejects every write as invalid."""
    if call.op == "write":
        raise InvalidWrite("ValidationError")


def test_a_write_that_the_table_cannot_store_is_tried_once(ops: Operator, table: ReferenceTable) -> None:
    table.weather = unstorable
    before = ops.clock()
    with pytest.raises(InvalidWrite):
        ops.does("f", creation("f"))
    assert (table.count("write"), ops.clock() - before) == (1, 0)
    assert table.partition("audit") == {}


def test_busy_is_not_answered_if_an_unanswered_write_may_have_happened(ops: Operator, table: ReferenceTable) -> None:
    """The write happened without an answer, and then the table is too busy to check."""
    seed(ops)
    start = len(table.calls)
    table.weather = lambda call: (
        None if call.number == start else (Fault.LOST_ANSWER if call.number == start + 1 else Fault.THROTTLED)
    )
    call = ops.call()
    with pytest.raises(Unavailable):
        ops.does("f", killing("f"), call)
    table.weather = clear
    assert check(table) == 5
    assert isinstance(ops.does("f", killing("f"), call), Answer)
    assert check(table) == 5


@EVERY_CHANGE
def test_a_change_with_a_lost_answer_is_found_in_the_record(name: str, ops: Operator, table: ReferenceTable) -> None:
    seed(ops)
    start = len(table.calls)
    table.weather = at(start + 1, Fault.LOST_ANSWER)
    key, plan = CHANGES[name]
    answer = ops.does(key, plan())
    assert isinstance(answer, Answer), answer
    assert [call.op for call in table.calls[start:]] == ["get", "write", "get"]
    assert check(table) == 5


@pytest.mark.parametrize("moment", [1, 2, 3, 4])
@pytest.mark.parametrize("order", [list, reversed])
def test_a_torn_read_of_its_own_change_is_not_refused(
    ops: Operator, table: ReferenceTable, clock: FakeClock, order: Any, moment: int
) -> None:
    """The change of an abandoned attempt is written between two items of the next attempt's read."""
    seed(ops)
    call, late = ops.call(), Operator(table, clock)
    turns = iter(range(1, 100))

    def land() -> None:
        if next(turns) == moment:
            assert isinstance(late.does("f", staging("f", "allowlist", if_match=2), call), Answer)

    table.turn, table.order = land, order
    outcome = ops.does("f", staging("f", "allowlist", if_match=2), call)
    assert isinstance(outcome, Answer), outcome
    assert check(table) == 5


# -- crashes


@EVERY_CHANGE
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER], ids=lambda fault: fault.name)
@pytest.mark.parametrize("number", [0, 1])
def test_a_request_repeated_after_a_crash_has_one_effect(name: str, fault: Fault, number: int) -> None:
    """The crash is before or after every table call; another environment gets the retry."""
    key, plan = CHANGES[name]

    def story(weather: Any) -> tuple[ReferenceTable, Answer | Refusal]:
        clock, table = FakeClock(NOW), ReferenceTable()
        ops = Operator(table, clock)
        seed(ops)
        call = ops.call(idem="once")
        table.weather = weather(len(table.calls))
        if table.weather is not clear:
            with pytest.raises(Crashed):
                ops.does(key, plan(), call)
        table.weather = clear
        return table, Operator(table, clock).does(key, plan(), call)

    _, undisturbed = story(lambda _start: clear)
    table, answer = story(lambda start: at(start + number, fault))
    assert _timeless(answer) == _timeless(undisturbed)
    assert check(table) == 5


def _timeless(outcome: Answer | Refusal) -> Any:
    assert isinstance(outcome, Answer), outcome
    return outcome.status, outcome.version, outcome.body


def test_a_request_repeated_after_a_crash_during_retries_has_one_effect() -> None:
    """First lost answers, then a crash at each of the following calls, then the same request again."""
    for number in range(8):
        for last in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER):
            for first in (Fault.LOST_ANSWER, Fault.LOST_REQUEST, Fault.CONTENDED):
                clock, table = FakeClock(NOW), ReferenceTable()
                ops = Operator(table, clock)
                seed(ops)
                call, start = ops.call(), len(table.calls)
                table.weather = lambda each, n=number, f=first, x=last, s=start: (
                    x if each.number == s + n else f if each.op == "write" or f is not Fault.CONTENDED else None
                )
                try:
                    ops.does("f", listing("f", "alice", if_match=2), call)
                except (Crashed, Unavailable):
                    table.weather = clear
                answer = ops.does("f", listing("f", "alice", if_match=2), call)
                assert isinstance(answer, Answer), (number, last, first, answer)
                table.weather = clear
                assert check(table) == 5


# -- idempotency


@EVERY_CHANGE
def test_a_repeated_request_gets_the_same_answer_and_changes_nothing(
    name: str, ops: Operator, table: ReferenceTable, clock: FakeClock
) -> None:
    seed(ops)
    key, plan = CHANGES[name]
    call = ops.call(fingerprint="body")
    first = ops.does(key, plan(), call)
    after = table.saved()
    for seconds in (0, 1, 660, IDEMPOTENCY_LIFE - 662):
        clock.advance(seconds)
        assert ops.does(key, plan(), call) == first
        assert ops.record.replay(call) == first
    assert table.saved() == after


def test_the_same_key_with_another_body_is_refused(ops: Operator, table: ReferenceTable) -> None:
    seed(ops)
    assert isinstance(ops.does("f", killing("f"), ops.call(idem="k", fingerprint="one")), Answer)
    after = table.saved()
    assert slug(ops.does("f", restoring("f"), ops.call(idem="k", fingerprint="other"))) is Slug.KEY_REUSED
    assert table.saved() == after


def test_the_same_key_of_another_caller_is_another_request(
    ops: Operator, table: ReferenceTable, clock: FakeClock
) -> None:
    seed(ops)
    other = Operator(table, clock, name="someone-else")
    first = ops.does("f", staging("f", "allowlist"), ops.call(idem="k", fingerprint="x"))
    second = other.does("f", staging("f", "ga"), other.call(idem="k", fingerprint="y"))
    assert isinstance(first, Answer)
    assert isinstance(second, Answer)
    assert (first.body["stage"], second.body["stage"]) == ("allowlist", "ga")
    assert check(table) == 6


@pytest.mark.parametrize("swept", [False, True])
def test_a_key_can_be_reused_after_25_hours(
    ops: Operator, table: ReferenceTable, clock: FakeClock, swept: bool
) -> None:
    """Whether or not DynamoDB has removed the record by then."""
    seed(ops)
    call = ops.call(idem="k", fingerprint="x")
    assert isinstance(ops.does("f", listing("f", "alice"), call), Answer)
    clock.advance(25 * 3_600)
    if swept:
        assert table.expire(clock()) == 5
    outcome = ops.does("f", listing("f", "carol"), ops.call(idem="k", fingerprint="other"))
    assert isinstance(outcome, Answer)
    assert outcome.body["allow"]["users"] == ["alice", "bob", "carol"]
    assert check(table) == 6


def test_a_refusal_is_not_stored(ops: Operator, table: ReferenceTable) -> None:
    """Only successes are stored: a refused request may be repeated."""
    call = ops.call(idem="k", fingerprint="x")
    assert slug(ops.does("f", killing("f"), call)) is Slug.UNKNOWN_FLAG
    ops.creates("f", stage="ga")
    assert isinstance(ops.does("f", killing("f"), call), Answer)


# -- plans that read other flags


def test_a_plan_that_reads_other_flags_commits_on_the_rules_it_read(ops: Operator, table: ReferenceTable) -> None:
    """The parent is deleted between the read of the rules and the commit: the change is planned again."""
    seed(ops)
    seen: list[Snapshot] = []
    snapshots = Snapshots(table, clock=ops.clock)

    def rules() -> Snapshot:
        snapshot = snapshots.live().snapshot
        if not seen:
            ops.makes("f", deletion("f"))
        seen.append(snapshot)
        return snapshot

    def plan(current: Any) -> Any:
        assert current.snapshot is not None
        if "f" not in current.snapshot.rules.flags:
            raise Refusal(Slug.INVALID_BODY, "the parent is gone")
        return creation("child", requires=["f"])(current)

    assert slug(ops.does("child", plan, rules=rules)) is Slug.INVALID_BODY
    assert [("f" in snapshot.rules.flags) for snapshot in seen] == [True, False]
    assert check(table) == 5


def test_a_plan_whose_rules_stay_behind_is_busy(ops: Operator, table: ReferenceTable) -> None:
    seed(ops)
    assert slug(ops.does("child", creation("child"), rules=lambda: EMPTY)) is Slug.BUSY
    assert check(table) == 4


def test_an_unreadable_head_stops_every_change(ops: Operator, table: ReferenceTable) -> None:
    """Revisions are not restarted, and the head is not overwritten."""
    seed(ops)
    for nonsense in ({}, {"revision": "x"}, {"revision": 0}, {"killed": "["}, {"killed": "[]"}):
        backup = table.saved()
        head = table.partition("head")["head"]
        broken = {"pk": "head", "sk": "head"} if not nonsense else {**head, **nonsense}
        table.partition("head")["head"] = broken
        with pytest.raises(Unavailable):
            ops.does("f", killing("f"))
        assert table.partition("head")["head"] == broken
        table.restore(backup)
    assert isinstance(ops.does("f", killing("f")), Answer)


def test_a_record_that_is_not_json_can_be_replaced(ops: Operator, table: ReferenceTable) -> None:
    seed(ops)
    rules = table.partition("rules")
    rules["flag#f"] = {**rules["flag#f"], "body": "{not json"}
    answer = ops.does("f", writing("f", {"stage": "allowlist"}))
    assert isinstance(answer, Answer)
    assert (answer.body["stage"], answer.version) == ("allowlist", 3)


# -- random faults


@pytest.mark.proof("changes among conflicts 30 %, throttles 10 %, lost answers 5 %")
@pytest.mark.parametrize("part", range(10))
def test_random_faults_lose_and_repeat_no_change(part: int, tally: Tally) -> None:
    """10,000 changes, each within its budget."""
    source = Random(part)
    clock, table = FakeClock(NOW), ReferenceTable()
    ops = Operator(table, clock, jitter=source.random)
    for key in ("f0", "f1", "f2", "f3"):
        ops.creates(key, stage="allowlist")
    sky = mixed(source, {Fault.CONTENDED: 0.3, Fault.THROTTLED: 0.1, Fault.LOST_ANSWER: 0.05})
    table.weather = lambda call: None if (found := sky(call)) is Fault.CONTENDED and call.op != "write" else found
    attempts, slowest = [], 0.0
    for number in range(1_000):
        key = f"f{number % 4}"
        before, started = len(table.calls), clock()
        outcome = ops.does(key, staging(key, "percentage", number % 100 + 0.5))
        assert isinstance(outcome, Answer), outcome
        attempts.append(sum(call.op == "get" for call in table.calls[before:]))  # each starts with one
        slowest = max(slowest, clock() - started)
        clock.advance(1)
    table.weather = clear
    assert check(table) == 4 + 1_000
    of_a_hundred = sorted(attempts)[990]
    assert of_a_hundred <= 8
    assert max(attempts) <= 20
    assert slowest < 5.0
    tally.add(changes=1_000, attempts=sum(attempts))
    tally.most(attempts_at_most=max(attempts), attempts_of_99_in_100=of_a_hundred, ms_at_most=round(slowest * 1_000))


def test_a_throttled_read_of_the_record_is_retried(ops: Operator, table: ReferenceTable) -> None:
    call = ops.call()
    table.weather = always(Fault.THROTTLED)
    with pytest.raises(Throttled):
        ops.record.replay(call)
    table.weather = clear
    assert ops.record.replay(call) is None
