"""The decision, whatever the rules and whoever asks: total, strict, explained, and what the contract's words give."""

import json
from random import Random
from typing import Any

import oracle
import pytest
import vector_files
from dice import ATTRIBUTES, Dice, dice
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.clauses import compile_rule
from headgate.core.decision import decide, trace
from headgate.core.documents import Invalid
from headgate.core.flag import OWN_MEMBERS, flag_document, load_flag, parse_flag, read_flag
from headgate.core.model import Flag, Reason, Subject
from headgate.core.ruleset import Ruleset, ruleset

KEYS = ("f0", "f1", "f2", "f3", "f4", "f5")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters()),  # lone surrogates, NaN: all of it
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
ANYBODY = st.builds(
    Subject,
    user=st.none() | st.text(st.characters()),
    orgs=st.lists(st.text(st.characters()), max_size=3).map(tuple),
    admin=st.booleans(),
    attributes=st.dictionaries(st.sampled_from(ATTRIBUTES) | st.text(max_size=4), JSON, max_size=4),
    acting_org=st.none() | st.text(max_size=3),
)


def rules_of(documents: dict[str, dict[str, Any]]) -> Ruleset:
    """The documents, compiled."""
    return ruleset({key: vector_files.flag_from(document) for key, document in documents.items()}, 3)


@given(dice(), st.lists(ANYBODY, min_size=1, max_size=5))
def test_it_never_raises_and_is_strictly_boolean(thrown: Dice, subjects: list[Subject]) -> None:
    rules = rules_of(thrown.rules(KEYS, orderly=False))
    for subject in subjects:
        for key in (*KEYS, "gone", ""):
            for gate in (False, True):
                made = decide(rules, key, subject, gate=gate)
                assert made.value is True or made.value is False
                assert isinstance(made.reason, Reason)
                assert (made.flag, made.revision) == (key, 3)


@given(dice(), st.lists(ANYBODY, min_size=1, max_size=5))
def test_every_explanation_ends_with_the_decision(thrown: Dice, subjects: list[Subject]) -> None:
    rules = rules_of(thrown.rules(KEYS, orderly=False))
    for subject in subjects:
        for key in (*KEYS, "gone"):
            made = decide(rules, key, subject, gate=True)
            *passed, (flag, _step, explained) = trace(rules, key, subject)
            assert explained == made
            assert all(step[2] is None for step in passed)
            assert flag == key or made.reason is Reason.PREREQUISITE_FAILED


def test_it_is_what_the_contract_says() -> None:
    """20,000 flags × subjects against a second reading of the contract that shares no code with the first."""
    thrown = Dice(Random(1))
    reasons: set[tuple[bool, str]] = set()
    for _ in range(1_000):
        documents = thrown.rules(KEYS)
        rules = rules_of(documents)
        for subject in [thrown.subject() for _ in range(4)]:
            for key in (*KEYS[1:], "gone"):
                gate = thrown.chance(0.5)
                made = decide(rules, key, subject, gate=gate)
                found = (made.value, made.reason.value)
                assert found == oracle.expected(documents, key, subject, gate=gate), (documents, key, subject)
                reasons.add(found)
    assert {reason for _value, reason in reasons} == set(Reason)
    assert {(True, "SPLIT"), (False, "SPLIT")} <= reasons


@given(dice(), st.lists(ANYBODY, min_size=1, max_size=5))
def test_an_absent_attribute_matches_nothing(thrown: Dice, subjects: list[Subject]) -> None:
    clause = {**thrown.clause(), "attribute": "absent"}
    rule = vector_files.flag_from({"key": "f", "allow": {"rules": [{"clauses": [clause]}]}}).allow.rules[0]
    for subject in subjects:
        attributes = {name: value for name, value in subject.attributes.items() if name != "absent"}
        assert not compile_rule(rule)(Subject(attributes=attributes))
        assert not compile_rule(rule)(Subject(attributes={**attributes, "absent": None}))


@given(JSON)
def test_only_true_is_true(value: Any) -> None:
    rule = vector_files.flag_from(
        {"key": "f", "allow": {"rules": [{"clauses": [{"attribute": "beta", "op": "equals", "value": True}]}]}}
    ).allow.rules[0]
    assert compile_rule(rule)(Subject(attributes={"beta": value})) is (value is True)


@given(dice(), st.lists(ANYBODY, min_size=1, max_size=3))
def test_values_never_speak_in_a_decision(thrown: Dice, subjects: list[Subject]) -> None:
    documents = thrown.rules(KEYS)
    upside = {key: {**flag, "values": {"on": "off", "off": "on"}} for key, flag in documents.items()}
    before, after = rules_of(documents), rules_of(upside)
    for subject in subjects:
        assert [decide(before, key, subject) for key in KEYS] == [decide(after, key, subject) for key in KEYS]


@given(dice())
def test_an_admin_is_never_out_at_a_gate(thrown: Dice) -> None:
    """Whatever is killed, missing, circular or unreadable."""
    rules = rules_of(thrown.rules(KEYS, orderly=False))
    broken = ruleset({**rules.given, "f9": Flag(key="f9", salt="", quarantined=True)})
    for key in (*KEYS, "f9", "gone"):
        subject = Subject(
            **{name: getattr(thrown.subject(), name) for name in ("user", "orgs", "attributes")}, admin=True
        )
        assert decide(broken, key, subject, gate=True).value is True
        if key != "gone":
            assert decide(broken, key, subject).reason is Reason.ADMIN


@given(dice())
def test_other_flags_do_not_matter(thrown: Dice) -> None:
    """Changing one flag leaves the answers of all that do not hang on it as they were."""
    documents = thrown.rules(KEYS)
    moved = thrown.one(KEYS)
    changed = {**documents, moved: thrown.flag(moved, ())}
    before, after = rules_of(documents), rules_of(changed)
    for subject in [thrown.subject() for _ in range(5)]:
        for key in KEYS:
            if key != moved and moved not in before.lineage[key]:
                assert decide(before, key, subject) == decide(after, key, subject)


@given(dice())
def test_a_flag_survives_the_table(thrown: Dice) -> None:
    flag = vector_files.flag_from(thrown.killed(thrown.flag("f", ("p", "q")), 0.3))
    document = json.loads(json.dumps(flag_document(flag)))
    assert load_flag(document) == flag
    own = {name: value for name, value in document.items() if name in OWN_MEMBERS}
    assert flag_document(parse_flag(own, salt="another")) == flag_document(flag) | {
        "killed": None, "version": 1, "revision": 0, "updated_at": "", "updated_by": "",
    }  # fmt: skip


@given(st.dictionaries(st.sampled_from((*OWN_MEMBERS, "killed", "version", "revision", "x")), JSON, max_size=6))
def test_a_stored_flag_is_read_or_quarantined(document: dict[str, Any]) -> None:
    """Whatever lies there: no exception, and what cannot be used denies."""
    flag = read_flag(
        "f", {"key": "f", "salt": "s", "version": 1, "revision": 1, "updated_at": "", "updated_by": "", **document}
    )
    if flag.quarantined:
        rules = ruleset({"f": flag})
        assert decide(rules, "f", Subject("u")).value is False
        assert decide(rules, "f", Subject("u", admin=True)).value is True


@given(dice(), st.sampled_from(OWN_MEMBERS), JSON)
def test_a_written_flag_is_read_or_refused(thrown: Dice, member: str, value: Any) -> None:
    """One member replaced by any JSON: a flag that survives the table, or `Invalid`."""
    document = {**thrown.flag("f", ("p",)), member: value}
    try:
        flag = parse_flag(document, salt="s")
    except Invalid:
        return
    assert (
        read_flag(flag.key, json.loads(json.dumps(flag_document(flag) | {"version": 1, "revision": 1}))).quarantined
        is False
    )
    decide(ruleset({flag.key: flag}), flag.key, Subject("u"))


@pytest.mark.parametrize(
    "document", [None, [], "f", 1, True, {}, {"key": "f"}, {"key": "g", "salt": "s"}, {"body": "x"}]
)
def test_what_is_no_flag_denies(document: Any) -> None:
    flag = read_flag("f", document)
    assert flag.quarantined
    assert flag.key == "f"
    assert decide(ruleset({"f": flag}), "f", Subject("u")).reason is Reason.ADMIN_ONLY


KILL = {"reach": "gate", "reason": "why", "at": "2026-03-01T12:00:00.000Z", "by": "arn"}


@pytest.mark.parametrize(
    ("killed", "is_readable"),
    [
        (KILL, True),
        (None, True),
        ({**KILL, "reach": "drain", "drain_until": "2026-03-01T13:00:00Z"}, True),
        ({**KILL, "reach": "sever", "drain_until": None}, True),
        ({**KILL, "reach": "drain"}, False),
        ({**KILL, "reach": "drain", "drain_until": "soon"}, False),
        ({**KILL, "reach": "drain", "drain_until": "2026-03-01T13:00:00"}, False),
        ({**KILL, "reach": "gate", "drain_until": "2026-03-01T13:00:00Z"}, False),
        ({**KILL, "reach": "GATE"}, False),
        ({**KILL, "by": 1}, False),
        ({**KILL, "more": 1}, False),
        ({"reach": "gate"}, False),
        ({}, False),
        ([], False),
        (False, False),
        (True, False),
        ("gate", False),
    ],
)  # fmt: skip
def test_a_stored_kill_is_read_or_its_flag_denies(killed: Any, is_readable: bool) -> None:
    stored = {**flag_document(vector_files.flag_from({"key": "f", "stage": "ga"})), "killed": killed}
    flag = read_flag("f", stored)
    assert flag.quarantined is not is_readable
    assert decide(ruleset({"f": flag}), "f", Subject("u")).value is (killed is None)
