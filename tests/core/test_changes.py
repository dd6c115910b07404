"""Changes to a flag: kill and restore, lists, and the promise that what does not shrink takes nothing from anybody."""

from random import Random
from typing import Any

import vector_files
from dice import REACHES, Dice, changed, dice
from hypothesis import given
from proofs import many

from headgate.core.changes.flag import (
    check_parents,
    routes_shrink,
    shrinks,
    with_kill,
    with_members,
    with_stage,
    without_kill,
)
from headgate.core.decision import decide
from headgate.core.documents import Invalid
from headgate.core.limits import MAX_DEPTH
from headgate.core.model import Flag, Kill, Reach, RouteClass, RoutePolicy, Stage, Subject, Unit
from headgate.core.routes import PASSES, Pass, RouteTable, live_flags
from headgate.core.ruleset import ruleset


def kill(reach: str, until: str | None = None) -> Kill:
    """An order."""
    until = until or ("2030-01-01T00:00:00.000Z" if reach == "drain" else None)
    return Kill(Reach(reach), "why", "2026-03-01T12:00:00.000Z", "arn", until)


@given(dice())
def test_lifting_a_kill_restores_exactly(thrown: Dice) -> None:
    flag = vector_files.flag_from(thrown.flag("f"))
    killed = flag
    for reach in (thrown.one(REACHES) for _ in range(3)):
        killed = with_kill(killed, kill(reach))
    assert killed.killed is not None
    assert without_kill(killed) == flag
    assert without_kill(flag) == flag


@given(dice())
def test_a_kill_keeps_everybody_but_admins_out(thrown: Dice) -> None:
    flag = with_kill(vector_files.flag_from(thrown.flag("f")), kill(thrown.one(REACHES)))
    child = vector_files.flag_from({**thrown.flag("g"), "requires": ["f"]})
    rules = ruleset({"f": flag, "g": child})
    for subject in [thrown.subject(admins=0.3) for _ in range(10)]:
        assert decide(rules, "f", subject).value is subject.admin
        assert decide(rules, "g", subject).value is subject.admin


def test_reach_only_rises() -> None:
    flag = Flag(key="f", salt="s")
    for first in REACHES:
        for second in REACHES:
            twice = with_kill(with_kill(flag, kill(first)), kill(second)).killed
            assert twice is not None
            assert twice.reach.rank == max(Reach(first).rank, Reach(second).rank)


def test_a_second_kill_that_adds_nothing_changes_nothing() -> None:
    flag = with_kill(Flag(key="f", salt="s"), kill("drain"))
    assert with_kill(flag, kill("gate")) is flag
    assert with_kill(flag, kill("drain")) is flag
    assert with_kill(flag, kill("drain", "2031-01-01T00:00:00.000Z")) is flag
    sooner = with_kill(flag, kill("drain", "2029-01-01T00:00:00.000Z"))
    assert sooner.killed is not None
    assert sooner.killed.drain_until == "2029-01-01T00:00:00.000Z"


def test_what_does_not_shrink_takes_nothing_from_anybody() -> None:
    """8,000 random changes: none that is let through without `allow_shrink` shuts one of 25 sampled subjects out."""
    thrown = Dice(Random(2))
    everybody = [thrown.subject(admins=0.0) for _ in range(2_000)]
    count, quiet = many(8_000), 0
    for _ in range(count):
        document = thrown.flag("f", ("p", "q"))
        before, after = vector_files.flag_from(document), vector_files.flag_from(changed(thrown, document))
        if shrinks(before, after):
            continue
        quiet += 1
        others = {
            key: vector_files.flag_from({**thrown.flag(key), "stage": thrown.one(("allowlist", "ga"))}) for key in "pqr"
        }
        old, new = ruleset({**others, "f": before}), ruleset({**others, "f": after})
        for subject in thrown.source.sample(everybody, 25):
            lost = decide(old, "f", subject, gate=True).value and not decide(new, "f", subject, gate=True).value
            assert not lost, (before, after, subject)
    assert quiet > count / 4


def test_creating_and_deleting() -> None:
    thrown = Dice(Random(3))
    for _ in range(500):
        flag = vector_files.flag_from(thrown.flag("f"))
        assert not shrinks(None, flag)
        everybody = [thrown.subject(admins=0.0) for _ in range(30)]
        if not shrinks(flag, None):
            assert not any(decide(ruleset({"f": flag}), "f", subject).value for subject in everybody)


@given(dice())
def test_members_come_and_go(thrown: Dice) -> None:
    flag = vector_files.flag_from(thrown.flag("f"))
    pool = ("a", "b", "c", "new-1", "new-2")
    add = thrown.some(pool, 3), thrown.some(pool, 3)
    remove = thrown.some([i for i in pool if i not in add[0]], 2), thrown.some([i for i in pool if i not in add[1]], 2)
    after, came, went = with_members(flag, add=add, remove=remove)
    assert after.allow.users == (flag.allow.users | set(add[0])) - set(remove[0])
    assert after.allow.orgs == (flag.allow.orgs | set(add[1])) - set(remove[1])
    count = len(flag.allow.users) + len(flag.allow.orgs)
    assert len(after.allow.users) + len(after.allow.orgs) == count + came - went
    again, came, went = with_members(after, add=add, remove=remove)
    assert (again, came, went) == (after, 0, 0)


def test_stage_percent_and_unit_move_together_or_alone() -> None:
    flag = Flag(key="f", salt="s", stage=Stage.PERCENTAGE, steps=5_000, unit=Unit.ORG)
    assert with_stage(flag, Stage.GA, None, None) == Flag(key="f", salt="s", stage=Stage.GA, steps=5_000, unit=Unit.ORG)
    assert with_stage(flag, Stage.PERCENTAGE, 0, Unit.USER).steps == 0


def chain(length: int) -> dict[str, Flag]:
    """c0 ← c1 ← …"""
    return {
        f"c{n}": Flag(key=f"c{n}", salt="s", stage=Stage.GA, requires=(f"c{n - 1}",) if n else ())
        for n in range(length + 1)
    }


def refused(flags: dict[str, Flag], *changes: Flag) -> bool:
    """Whether these changes together are refused."""
    after = {flag.key: flag for flag in changes}
    try:
        check_parents(flags, after, {**flags, **after})
    except Invalid:
        return True
    return False


def test_parents_must_exist_and_end() -> None:
    flags = chain(3)
    assert refused(flags, Flag(key="new", salt="s", requires=("gone",)))
    assert refused(flags, Flag(key="new", salt="s", requires=("new",)))
    assert refused(flags, Flag(key="c0", salt="s", requires=("c3",)))
    assert not refused(flags, Flag(key="new", salt="s", requires=("c3", "c1")))
    assert not refused(flags, Flag(key="a", salt="s"), Flag(key="b", salt="s", requires=("a",)))
    assert refused(flags, Flag(key="a", salt="s", requires=("b",)), Flag(key="b", salt="s", requires=("a",)))


def test_a_chain_of_parents_is_bounded_from_both_ends() -> None:
    flags = chain(MAX_DEPTH)
    assert not any(flag.quarantined for flag in ruleset(flags).flags.values())
    assert refused(flags, Flag(key="new", salt="s", requires=(f"c{MAX_DEPTH}",)))
    top = Flag(key="top", salt="s", stage=Stage.GA)
    assert refused({**flags, "top": top}, Flag(key="c0", salt="s", requires=("top",))), (
        "the last of the chain hangs on it"
    )
    assert ruleset(chain(MAX_DEPTH + 1)).flags[f"c{MAX_DEPTH + 1}"].quarantined


def test_what_was_missing_before_may_stay() -> None:
    orphan = Flag(key="f", salt="s", stage=Stage.GA, requires=("gone",))
    assert not refused({"f": orphan}, Flag(key="f", salt="s", stage=Stage.GA, requires=("gone",), owner="me"))
    tangled = {"a": Flag(key="a", salt="s", requires=("b",)), "b": Flag(key="b", salt="s", requires=("a",))}
    assert not refused(tangled, Flag(key="c", salt="s"))
    assert not refused(tangled, Flag(key="a", salt="s"))
    assert refused(tangled, Flag(key="a", salt="s", requires=("b",), owner="me"))


def test_no_route_that_does_not_shrink_refuses_whom_it_passed() -> None:
    """Every policy against every other, every credential, every set of flags that are on."""
    policies = [
        RoutePolicy("GET /x", route_class, flags)
        for route_class in RouteClass
        for flags in ((), ("a",), ("b",), ("a", "b"))
        if route_class is not RouteClass.OPEN or not flags
    ]

    def passes(policy: RoutePolicy, held: Pass, on: set[str]) -> bool:
        return held in PASSES[policy.route_class] and set(live_flags(policy, "access")) <= on

    def table(policy: RoutePolicy | None) -> RouteTable:
        return RouteTable({} if policy is None else {policy.name: policy})

    quiet = 0
    for before in [None, *policies]:
        for after in [None, *policies]:
            if routes_shrink(table(before), table(after), "access"):
                continue
            quiet += 1
            old, new = (policy or RoutePolicy("GET /x") for policy in (before, after))
            on_sets: tuple[set[Any], ...] = (
                set(),
                {"a"},
                {"b"},
                {"a", "b"},
                {"access"},
                {"access", "a"},
                {"access", "a", "b"},
            )
            for held in Pass:
                for on in on_sets:
                    assert not passes(old, held, on) or passes(new, held, on), (before, after, held, on)
    assert quiet > len(policies)


def test_decisions_under_a_kill_do_not_say_who_was_listed() -> None:
    flag = with_kill(vector_files.flag_from({"key": "f", "stage": "ga", "allow": {"users": ["u"]}}), kill("gate"))
    rules = ruleset({"f": flag})
    assert decide(rules, "f", Subject("u")) == decide(rules, "f", Subject("v"))
