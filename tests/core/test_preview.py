"""Preview: gains and losses are those that a count of everybody finds, and nobody else's flags change."""

from random import Random
from typing import Any

import pytest
import vector_files
from dice import Dice, changed
from oracle import expected

from headgate.core.changes.preview import (
    KNOWN,
    SAMPLES,
    Known,
    Source,
    crowd,
    dependents,
    effect,
    effect_document,
    listed_subjects,
    share,
)
from headgate.core.limits import PERCENT_STEPS
from headgate.core.model import Flag, Kill, Reach, Stage, Subject, Unit
from headgate.core.ruleset import Ruleset, ruleset

KEYS = ("f0", "f1", "f2", "f3", "f4", "f5")
Documents = dict[str, dict[str, Any]]


def rules_of(documents: Documents) -> Ruleset:
    return ruleset({key: vector_files.flag_from(document) for key, document in documents.items()})


def after_a_change(thrown: Dice, documents: Documents, key: str) -> Documents:
    """The documents with one flag changed, killed, restored or gone."""
    kind, flag = thrown.source.randrange(5), documents[key]
    if kind == 0:
        return {name: document for name, document in documents.items() if name != key}
    if kind == 1:
        return {**documents, key: {**flag, "killed": None if flag.get("killed") else "gate"}}
    parents = [name for name in KEYS[: KEYS.index(key)] if thrown.chance(0.3)]
    return {**documents, key: {**changed(thrown, flag), "requires": parents}}


def counted(before: Documents, after: Documents, key: str, everybody: list[Subject]) -> tuple[list[int], list[int]]:
    """Who gains and who loses, by their places, one after the other."""
    was = [expected(before, key, subject, gate=True)[0] for subject in everybody]
    now = [expected(after, key, subject, gate=True)[0] for subject in everybody]
    places = range(len(everybody))
    return [i for i in places if now[i] and not was[i]], [i for i in places if was[i] and not now[i]]


def test_gains_and_losses_are_what_counting_everybody_gives() -> None:
    """400 changes, 60 subjects, every flag that there is: the plain oracle finds the same, and nothing beside."""
    thrown = Dice(Random(11))
    moved = hung = 0
    for _ in range(400):
        before = thrown.rules(KEYS)
        for index, name in enumerate(KEYS[1:], 1):
            if thrown.chance(0.6):  # wide open to all whom its parent lets in
                before[name] |= {"stage": "ga", "killed": None, "requires": [thrown.one(KEYS[:index])]}
        key = thrown.one(KEYS)
        after = after_a_change(thrown, before, key)
        everybody = [thrown.subject() for _ in range(60)]
        known = [Known(subject, Source.NAMED) for subject in everybody]
        old, new = rules_of(before), rules_of(after)
        hanging = dependents(old, new, (key,))
        for name in KEYS:
            found = effect(old, new, name, known)
            gaining, losing = counted(before, after, name, everybody)
            assert (found.gains, found.loses) == (len(gaining), len(losing)), (name, key, before, after)
            assert [move.known for move in found.gaining] == [known[i] for i in gaining[:SAMPLES]]
            assert [move.known for move in found.losing] == [known[i] for i in losing[:SAMPLES]]
            for move in (*found.gaining, *found.losing):
                told = [(one.value, one.reason.value) for one in (move.before, move.after)]
                assert told == [expected(side, name, move.known.subject, gate=True) for side in (before, after)]
            moved += found.gains + found.loses
            if name != key and (found.gains or found.loses):
                assert name in hanging
                hung += 1
    assert moved > 2_000
    assert hung > 50


def test_a_sample_says_who_how_known_and_why() -> None:
    flags = {"f": Flag("f", "s", stage=Stage.ALLOWLIST)}
    after = {"f": Flag("f", "s", stage=Stage.GA)}
    known = [
        Known(Subject("bob", ("acme",), attributes={"plan": "pro"}), Source.SESSION),
        Known(Subject("\ud800"), Source.NAMED),
    ]
    told = effect_document(effect(ruleset(flags), ruleset(after), "f", known))
    assert told["gains"] == 2
    assert told["samples"]["loses"] == []
    assert told["samples"]["gains"][0] == {
        "subject": {"user": "bob", "orgs": ["acme"], "admin": False},
        "source": "session",
        "before": {"value": False, "reason": "NOT_LISTED"},
        "after": {"value": True, "reason": "GA"},
    }
    assert told["samples"]["gains"][1]["subject"]["user"] == "?"  # what UTF-8 cannot write


def test_of_a_user_the_best_known_is_looked_at_and_once() -> None:
    named = [Subject("a", ("x",)), Subject("a", ("y",))]
    inside = [Subject("a"), Subject("b", ("z",)), Subject("b")]
    bare = [Subject("a"), Subject("b"), Subject("c"), Subject(None, ("x",)), Subject(None, ("y",))]
    found, complete = crowd(named, inside, bare, KNOWN)
    assert complete
    assert found == (
        Known(named[0], Source.NAMED), Known(named[1], Source.NAMED), Known(inside[1], Source.SESSION),
        Known(bare[2], Source.LISTED), Known(bare[3], Source.LISTED), Known(bare[4], Source.LISTED),
    )  # fmt: skip


@pytest.mark.parametrize(("most", "complete"), [(0, False), (2, False), (5, False), (6, True), (7, True)])
def test_more_than_can_be_looked_at_is_said(most: int, complete: bool) -> None:
    named, inside = [Subject("a"), Subject("b")], [Subject("c"), Subject("d")]
    found = crowd(named, inside, [Subject("e"), Subject("f")], most)
    assert found[1] is complete
    assert [one.subject.user for one in found[0]] == list("abcdef")[:most]


def test_lists_are_read_once_and_those_of_the_flag_first() -> None:
    def held(**lists: Any) -> Ruleset:
        return rules_of({key: {"key": key, "allow": allow} for key, allow in lists.items()})

    before = held(a={"users": ["u2", "u1"]}, b={"users": ["u3", "o1"], "orgs": ["o1"]})
    after = held(a={"users": ["u2"], "orgs": ["o1", "u3"]}, b={"users": ["u4"]})
    found = [subject.user or subject.orgs for subject in listed_subjects((before, after), ("b",))]
    assert found == ["o1", "u3", "u4", ("o1",), "u1", "u2", ("u3",)]


def flags_at() -> list[Flag | None]:
    killed = Kill(Reach.GATE, "why", "", "")
    quarter = Flag("f", "s", stage=Stage.PERCENTAGE, steps=25_000)
    return [
        None,
        Flag("f", "s", stage=Stage.ALLOWLIST, steps=50_000),
        quarter,
        Flag("f", "s", stage=Stage.PERCENTAGE, steps=60_000),
        Flag("f", "other", stage=Stage.PERCENTAGE, steps=60_000),
        Flag("f", "s", stage=Stage.PERCENTAGE, steps=60_000, killed=killed),
        Flag("f", "s", stage=Stage.GA),
    ]


def test_the_share_is_what_a_crowd_shows() -> None:
    """Every pair of seven states; 4,000 ids each, within four standard deviations."""
    crowd_of_strangers = [Known(Subject(f"u-{number}"), Source.NAMED) for number in range(4_000)]
    for before in flags_at():
        for after in flags_at():
            old, new = (ruleset({"f": flag} if flag else {}) for flag in (before, after))
            found, told = effect(old, new, "f", crowd_of_strangers), share(before, after)
            assert abs(found.gains / 40 - told["gains"]) < 3.2, (before, after, told)
            assert abs(found.loses / 40 - told["loses"]) < 3.2, (before, after, told)
            assert told["after"]["percent"] - told["before"]["percent"] == pytest.approx(told["gains"] - told["loses"])


def test_another_unit_draws_anew() -> None:
    user = Flag("f", "s", stage=Stage.PERCENTAGE, steps=PERCENT_STEPS // 4)
    org = Flag("f", "s", stage=Stage.PERCENTAGE, steps=PERCENT_STEPS // 2, unit=Unit.ORG)
    assert share(user, org) == {
        "before": {"percent": 25, "unit": "user"}, "after": {"percent": 50, "unit": "org"},
        "gains": 37.5, "loses": 12.5,
    }  # fmt: skip
