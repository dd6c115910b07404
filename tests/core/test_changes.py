"""Changes to a flag: kill, restore, lists, parents."""

import vector_files
from dice import REACHES, Dice, dice
from hypothesis import given

from headgate.core.changes.flag import check_parents, with_kill, with_members, with_stage, without_kill
from headgate.core.decision import decide
from headgate.core.documents import Invalid
from headgate.core.limits import MAX_DEPTH
from headgate.core.model import Flag, Kill, Reach, Stage, Subject, Unit
from headgate.core.ruleset import ruleset


def kill(reach: str, until: str | None = None) -> Kill:
    """A kill order."""
    until = until or ("2030-01-01T00:00:00.000Z" if reach == "drain" else None)
    return Kill(Reach(reach), "why", "2026-03-01T12:00:00.000Z", "arn", until)


@given(dice())
def test_restore_returns_the_flag_exactly_as_before_the_kill(thrown: Dice) -> None:
    flag = vector_files.flag_from(thrown.flag("f"))
    killed = flag
    for reach in (thrown.one(REACHES) for _ in range(3)):
        killed = with_kill(killed, kill(reach))
    assert killed.killed is not None
    assert without_kill(killed) == flag
    assert without_kill(flag) == flag


@given(dice())
def test_a_killed_flag_admits_only_admins(thrown: Dice) -> None:
    flag = with_kill(vector_files.flag_from(thrown.flag("f")), kill(thrown.one(REACHES)))
    child = vector_files.flag_from({**thrown.flag("g"), "requires": ["f"]})
    rules = ruleset({"f": flag, "g": child})
    for subject in [thrown.subject(admins=0.3) for _ in range(10)]:
        assert decide(rules, "f", subject).value is subject.admin
        assert decide(rules, "g", subject).value is subject.admin


def test_a_second_kill_can_raise_the_reach_but_not_lower_it() -> None:
    flag = Flag(key="f", salt="s")
    for first in REACHES:
        for second in REACHES:
            twice = with_kill(with_kill(flag, kill(first)), kill(second)).killed
            assert twice is not None
            assert twice.reach.rank == max(Reach(first).rank, Reach(second).rank)


def test_a_repeated_kill_changes_nothing() -> None:
    flag = with_kill(Flag(key="f", salt="s"), kill("drain"))
    assert with_kill(flag, kill("gate")) is flag
    assert with_kill(flag, kill("drain")) is flag
    assert with_kill(flag, kill("drain", "2031-01-01T00:00:00.000Z")) is flag
    sooner = with_kill(flag, kill("drain", "2029-01-01T00:00:00.000Z"))
    assert sooner.killed is not None
    assert sooner.killed.drain_until == "2029-01-01T00:00:00.000Z"


@given(dice())
def test_members_are_added_and_removed(thrown: Dice) -> None:
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


def test_stage_percent_and_unit_change_together_or_alone() -> None:
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
    """Whether this combination of changes is refused."""
    after = {flag.key: flag for flag in changes}
    try:
        check_parents(flags, after, {**flags, **after})
    except Invalid:
        return True
    return False


def test_a_missing_or_circular_parent_is_refused() -> None:
    flags = chain(3)
    assert refused(flags, Flag(key="new", salt="s", requires=("gone",)))
    assert refused(flags, Flag(key="new", salt="s", requires=("new",)))
    assert refused(flags, Flag(key="c0", salt="s", requires=("c3",)))
    assert not refused(flags, Flag(key="new", salt="s", requires=("c3", "c1")))
    assert not refused(flags, Flag(key="a", salt="s"), Flag(key="b", salt="s", requires=("a",)))
    assert refused(flags, Flag(key="a", salt="s", requires=("b",)), Flag(key="b", salt="s", requires=("a",)))


def test_a_parent_chain_that_is_too_deep_is_refused_from_either_end() -> None:
    flags = chain(MAX_DEPTH)
    assert not any(flag.quarantined for flag in ruleset(flags).flags.values())
    assert refused(flags, Flag(key="new", salt="s", requires=(f"c{MAX_DEPTH}",)))
    top = Flag(key="top", salt="s", stage=Stage.GA)
    assert refused({**flags, "top": top}, Flag(key="c0", salt="s", requires=("top",))), (
        "the last flag of the chain depends on it"
    )
    assert ruleset(chain(MAX_DEPTH + 1)).flags[f"c{MAX_DEPTH + 1}"].quarantined


def test_a_parent_that_was_already_missing_is_accepted() -> None:
    orphan = Flag(key="f", salt="s", stage=Stage.GA, requires=("gone",))
    assert not refused({"f": orphan}, Flag(key="f", salt="s", stage=Stage.GA, requires=("gone",), owner="me"))
    tangled = {"a": Flag(key="a", salt="s", requires=("b",)), "b": Flag(key="b", salt="s", requires=("a",))}
    assert not refused(tangled, Flag(key="c", salt="s"))
    assert not refused(tangled, Flag(key="a", salt="s"))
    assert refused(tangled, Flag(key="a", salt="s", requires=("b",), owner="me"))


def test_a_decision_under_a_kill_does_not_reveal_who_was_listed() -> None:
    flag = with_kill(vector_files.flag_from({"key": "f", "stage": "ga", "allow": {"users": ["u"]}}), kill("gate"))
    rules = ruleset({"f": flag})
    assert decide(rules, "f", Subject("u")) == decide(rules, "f", Subject("v"))
