"""Plans: what an apply would change and in which order; and a second plan is empty."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
import vector_files
from dice import Dice, changed, dice
from hypothesis import given
from rule_changes import alone

from headgate.core.changes.flag import Stamp as StampOf
from headgate.core.changes.flag import stamped
from headgate.core.changes.manifest import Manifest, PlanStep, manifest_document, parse_manifest, plan_manifest
from headgate.core.changes.shrink import losses
from headgate.core.documents import Invalid
from headgate.core.flag import flag_document
from headgate.core.limits import MAX_DEPTH
from headgate.core.model import Flag
from headgate.core.snapshot import EMPTY, Snapshot, apply_entries

KEYS = ("f0", "f1", "f2", "f3", "f4")
SALTS = iter(range(10**9))
ACCESS = {"access": "f0", "max_stale": 60, "token": {"lifetime": 300, "claims": {"version": 3}}}


def new_salt() -> str:
    """Return a new salt at each call."""
    return f"salt-{next(SALTS)}"


def planned(document: Any, snapshot: Snapshot, *, prune: bool = False) -> list[PlanStep]:
    """The steps for a manifest as JSON."""
    return plan_manifest(parse_manifest(json.loads(json.dumps(document))), snapshot, new_salt=new_salt, prune=prune)


def applied(snapshot: Snapshot, steps: Iterable[PlanStep]) -> Snapshot:
    """The rules after the steps, one revision each, as the store would have them."""
    for step in steps:
        revision = snapshot.revision + 1
        held = snapshot.rules.given.get(step.key or "")
        if isinstance(step.after, Flag):
            version = 1 if held is None else held.version + 1
            after: Any = flag_document(stamped(step.after, version, StampOf(revision, "", "arn")))
        else:
            after = None if step.after is None else {**step.after, "version": 1, "revision": revision}
        entry = {"revision": revision, "action": f"{step.target}.{step.action}", "flag": step.key, "after": after}
        snapshot = apply_entries(snapshot, [json.loads(json.dumps(entry))])
    return snapshot


def throw(thrown: Dice) -> dict[str, Any]:
    """A random manifest."""
    rules = thrown.rules(KEYS[: thrown.source.randint(0, 5)])
    flags = [{n: v for n, v in flag.items() if n != "killed"} for flag in rules.values()]
    for flag in flags:
        flag["requires"] = [parent for parent in flag["requires"] if parent != "gone"]
        for name in thrown.some(("salt", "description", "allow", "values", "percent", "claim"), 3):
            flag.pop(name, None)
    thrown.source.shuffle(flags)
    routes = [
        {"route": f"GET /{n}", "class": "entry", "flags": thrown.some(KEYS, 2)}
        for n in range(thrown.source.randint(0, 3))
    ]
    document: dict[str, Any] = {"flags": flags, "routes": routes, **ACCESS}
    return {name: value for name, value in document.items() if thrown.chance(0.85)}


@given(dice())
def test_planning_an_applied_manifest_gives_no_steps(thrown: Dice) -> None:
    first, second = throw(thrown), throw(thrown)
    prune = thrown.chance(0.5)
    snapshot = applied(EMPTY, planned(first, EMPTY))
    assert planned(first, snapshot) == []
    try:
        steps = planned(second, snapshot, prune=prune)
    except Invalid:
        return  # it would prune a parent that is in use
    after = applied(snapshot, steps)
    assert after.quarantined == ()
    assert planned(second, after, prune=prune) == []


@given(dice())
def test_planning_an_exported_manifest_gives_no_steps(thrown: Dice) -> None:
    snapshot = applied(EMPTY, planned(throw(thrown), EMPTY))
    exported = manifest_document(snapshot)
    for prune in (False, True):
        assert planned(exported, snapshot, prune=prune) == []
    elsewhere = applied(EMPTY, planned(exported, EMPTY))
    assert manifest_document(elsewhere) == exported


@given(dice())
def test_no_step_leaves_a_flag_with_a_missing_parent(thrown: Dice) -> None:
    """Parents come before children, so that every revision in between is complete."""
    snapshot = EMPTY
    for step in planned(throw(thrown), EMPTY):
        snapshot = applied(snapshot, [step])
        flags = snapshot.rules.given
        assert all(parent in flags for flag in flags.values() for parent in flag.requires)


def live(*documents: dict[str, Any]) -> Snapshot:
    """Compiled rules of these flags."""
    entries = [
        {"revision": n, "action": "flag.create", "flag": document["key"],
         "after": flag_document(vector_files.flag_from(document))}
        for n, document in enumerate(documents, 1)
    ]  # fmt: skip
    return apply_entries(EMPTY, entries)


def test_members_that_a_manifest_omits_stay_unchanged() -> None:
    ramp = {
        "key": "f",
        "stage": "percentage",
        "percent": 25,
        "allow": {"users": ["u"]},
        "salt": "kept",
        "killed": "gate",
    }
    snapshot = live(ramp, {"key": "g", "stage": "ga"})
    assert planned({"flags": [{"key": "f"}]}, snapshot) == []
    (step,) = planned({"flags": [{"key": "f", "owner": "me"}]}, snapshot)
    assert (step.target, step.action, step.key, step.shrinks) == ("flag", "replace", "f", False)
    assert isinstance(step.after, Flag)
    assert (step.after.salt, step.after.steps, step.after.allow.users) == ("kept", 25_000, {"u"})
    assert planned({}, snapshot) == []
    assert planned({}, snapshot, prune=True) == [], "a manifest without flags says nothing of flags"
    assert [step.action for step in planned({"flags": []}, snapshot, prune=True)] == ["delete", "delete"]


def test_each_new_flag_gets_its_own_salt() -> None:
    steps = planned({"flags": [{"key": "f"}, {"key": "g"}, {"key": "h", "salt": ""}]}, EMPTY)
    salts = [step.after.salt for step in steps if isinstance(step.after, Flag)]
    assert len(set(salts)) == 3
    assert salts[2] == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [({"on": 1, "off": 0}, {"on": True, "off": False}), ({"on": {"a": 1}, "off": {}}, {"on": {"a": True}, "off": {}})],
)
def test_changing_1_to_true_is_a_change(before: Any, after: Any) -> None:
    snapshot = live({"key": "f", "values": before})
    assert len(planned({"flags": [{"key": "f", "values": after}]}, snapshot)) == 1
    rule = {"clauses": [{"attribute": "a", "op": "equals", "value": 1}]}
    other = {"clauses": [{"attribute": "a", "op": "equals", "value": True}]}
    snapshot = live({"key": "f", "stage": "allowlist", "allow": {"rules": [rule]}})
    (step,) = planned({"flags": [{"key": "f", "allow": {"rules": [other]}}]}, snapshot)
    assert step.shrinks


def test_changing_the_type_of_a_claim_is_a_change() -> None:
    snapshot = applied(EMPTY, planned({**ACCESS, "token": {"claims": {"version": 1}}}, EMPTY))
    assert len(planned({**ACCESS, "token": {"claims": {"version": True}}}, snapshot)) == 1


def test_a_step_that_removes_access_is_marked_as_a_shrink() -> None:
    """As a change of a single flag is."""
    thrown = Dice(Random(7))
    told = set()
    for _ in range(300):
        document = {**thrown.flag("f"), "requires": []}
        snapshot = live(document)
        wanted = {**changed(thrown, document), "requires": []}
        for step in planned({"flags": [wanted]}, snapshot):
            assert isinstance(step.after, Flag)
            before = alone(vector_files.flag_from(document))
            assert step.shrinks is bool(losses(before, alone(step.after)))
            told.add(step.shrinks)
    assert told == {True, False}


def test_replacing_the_access_flag_shrinks_and_setting_the_first_does_not() -> None:
    (step,) = planned(ACCESS, EMPTY)
    assert not step.shrinks
    snapshot = applied(EMPTY, [step])
    (step,) = planned({**ACCESS, "access": "other"}, snapshot)
    assert step.shrinks
    (step,) = planned({**ACCESS, "max_stale": 5}, snapshot)
    assert not step.shrinks


def test_parents_are_created_before_children_and_pruned_last() -> None:
    snapshot = live({"key": "old"})
    flags = [{"key": "c", "requires": ["b"]}, {"key": "b", "requires": ["a"]}, {"key": "a"}]
    steps = planned({"flags": flags, "routes": [], **ACCESS}, snapshot, prune=True)
    assert [(step.target, step.key) for step in steps] == [
        ("flag", "a"), ("flag", "b"), ("flag", "c"), ("profile", None), ("flag", "old"),
    ]  # fmt: skip


def test_reversing_a_parent_chain_creates_no_cycle_between_steps() -> None:
    snapshot = live({"key": "a", "stage": "ga", "requires": ["b"]}, {"key": "b", "stage": "ga"})
    steps = planned({"flags": [{"key": "b", "requires": ["a"]}, {"key": "a", "requires": []}]}, snapshot)
    for step in steps:
        snapshot = applied(snapshot, [step])
        assert snapshot.quarantined == ()
    assert snapshot.rules.given["b"].requires == ("a",)


@pytest.mark.parametrize(
    "document",
    [
        {"flags": [{"key": "f", "requires": ["gone"]}]},
        {"flags": [{"key": "f", "requires": ["g"]}, {"key": "g", "requires": ["f"]}]},
        {"flags": [{"key": "f", "requires": ["f"]}]},
        {"flags": [{"key": "live-child"}, {"key": "parent", "requires": ["live-child"]}]},
        {"flags": [{"key": f"c{n}", "requires": [f"c{n - 1}"] if n else []} for n in range(MAX_DEPTH + 2)]},
        {"flags": [{"key": "f", "stage": "everyone"}]},
        {"flags": [{"key": "f"}, {"key": "f"}]},
        {"flags": [{"key": "F"}]}, {"flags": [{}]}, {"flags": ["f"]}, {"flags": {}}, {"flags": None},
        {"routes": [{"route": "GET /x", "class": "open", "flags": ["f"]}]}, {"routes": {}},
        {"access": "F"}, {"max_stale": -1}, {"token": {"lifetime": 1}}, {"token": {"claims": {"sub": "x"}}},
        {"other": 1},
        [], None, "x",
    ],
)  # fmt: skip
def test_a_manifest_with_faults_is_refused_whole(document: Any) -> None:
    snapshot = live({"key": "parent", "stage": "ga"}, {"key": "live-child", "stage": "ga", "requires": ["parent"]})
    with pytest.raises(Invalid) as refused:
        planned(document, snapshot)
    assert refused.value.faults


def test_every_fault_is_reported_with_its_path() -> None:
    with pytest.raises(Invalid) as refused:
        parse_manifest({"flags": [{"key": "F"}, {"key": "g"}, {"key": "g"}], "routes": [{}], "max_stale": -1, "x": 1})
    paths = {path for path, _message in refused.value.faults}
    assert {"flags.0.key", "flags.2.key", "max_stale", "x"} <= paths
    assert any(path.startswith("routes.0") for path in paths)


def test_pruning_a_parent_in_use_is_refused() -> None:
    snapshot = live({"key": "p", "stage": "ga"}, {"key": "c", "stage": "ga", "requires": ["p"]})
    with pytest.raises(Invalid) as refused:
        planned({"flags": [{"key": "c"}]}, snapshot, prune=True)
    assert refused.value.faults == (("flags.0.requires.0", "c requires a flag that would be deleted"),)
    steps = planned({"flags": [{"key": "c", "requires": []}]}, snapshot, prune=True)
    assert [(step.action, step.key) for step in steps] == [("replace", "c"), ("delete", "p")]


def test_a_parent_that_was_already_missing_does_not_block_a_plan() -> None:
    snapshot = live({"key": "c", "stage": "ga", "requires": ["gone"]})
    assert planned(manifest_document(snapshot), snapshot, prune=True) == []


def test_an_unreadable_flag_is_not_exported_and_can_be_replaced() -> None:
    snapshot = apply_entries(
        live({"key": "g"}), [{"revision": 2, "action": "flag.create", "flag": "f", "after": {"key": "f"}}]
    )
    assert snapshot.quarantined == ("f",)
    assert [flag["key"] for flag in manifest_document(snapshot)["flags"]] == ["g"]
    (step,) = planned({"flags": [{"key": "f", "stage": "allowlist"}]}, snapshot)
    assert step.action == "replace"
    assert applied(snapshot, [step]).quarantined == ()


def test_flags_in_a_cycle_are_exported_unchanged_and_can_be_repaired() -> None:
    """They are exported with stage and parents, and a manifest that names only the parents repairs them."""
    snapshot = live(
        {"key": "a", "stage": "ga", "requires": ["b"], "salt": "sa"}, {"key": "b", "stage": "ga", "requires": ["a"]}
    )
    assert [(flag["stage"], flag["requires"]) for flag in manifest_document(snapshot)["flags"]] == [
        ("ga", ["b"]),
        ("ga", ["a"]),
    ]
    steps = planned({"flags": [{"key": "a", "requires": []}]}, snapshot)
    after = applied(snapshot, steps)
    assert after.quarantined == ()
    assert (after.rules.flags["a"].salt, after.rules.flags["a"].stage.value) == ("sa", "ga")


def test_manifest_parts_that_are_not_named_are_none() -> None:
    assert parse_manifest({}) == Manifest(None, None, None)
