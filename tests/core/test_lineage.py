"""The ancestors of flags: bounded when they are written, and worked out once for all flags that share them."""

from random import Random

import pytest

from headgate.core.changes.flag import check_parents
from headgate.core.changes.preview import DECIDED, KNOWN
from headgate.core.decision import decide
from headgate.core.documents import Invalid
from headgate.core.limits import MAX_ANCESTORS, MAX_DEPTH, MAX_REQUIRES
from headgate.core.model import Flag, Stage, Subject
from headgate.core.ruleset import lineages, ruleset
from headgate.edge.admin.known_subjects import _crowd

ALICE = Subject("alice")


def flag(key: str, *parents: str, stage: Stage = Stage.GA) -> Flag:
    return Flag(key=key, salt="s", stage=stage, requires=parents)


def layers(depth: int, width: int = MAX_REQUIRES, name: str = "") -> dict[str, Flag]:
    """Layers of flags: each requires all flags of the layer before."""
    made = [
        flag(f"{name}{level}-{place}", *(f"{name}{level - 1}-{up}" for up in range(width) if level))
        for level in range(depth + 1)
        for place in range(width)
    ]
    return {one.key: one for one in made}


def test_the_largest_lineage_that_can_be_written() -> None:
    rules = ruleset(layers(MAX_DEPTH))
    assert len(rules.lineage[f"{MAX_DEPTH}-0"]) == MAX_ANCESTORS
    assert decide(rules, f"{MAX_DEPTH}-0", ALICE).value
    assert not rules.flags[f"{MAX_DEPTH}-0"].quarantined


def test_one_ancestor_more_is_refused_at_the_flag_that_would_have_it() -> None:
    """Also where a parent gets the new ancestor, far from the flag that then has too many."""
    held = {**layers(MAX_DEPTH), "other": flag("other")}
    changed = flag("0-0", "other")
    for before, flags in ((held, {"0-0": changed}), ({}, {**held, "0-0": changed})):
        with pytest.raises(Invalid) as refusal:
            check_parents(before, flags, {**held, **flags})
        (path, text), *_ = refusal.value.faults
        assert path == "requires"
        assert f"more than {MAX_ANCESTORS} ancestors" in text
    rules = ruleset({**held, "0-0": changed})
    assert rules.flags[f"{MAX_DEPTH}-0"].quarantined
    assert not decide(rules, f"{MAX_DEPTH}-0", ALICE).value


def plain(flags: dict[str, Flag], key: str) -> set[str] | None:
    """The ancestors of a flag, found by walking every path."""
    level, found = set(flags[key].requires), set[str]()
    for _depth in range(MAX_DEPTH):
        found |= level
        level = {up for parent in level if parent in flags for up in flags[parent].requires}
    return None if level or key in found or len(found) > MAX_ANCESTORS else found


@pytest.mark.parametrize("seed", range(40))
def test_lineages_are_those_of_every_path(seed: int) -> None:
    """With cycles, missing parents, and chains that are too deep."""
    source = Random(seed)
    keys = [f"f{number}" for number in range(40)]
    flags = {}
    for number, key in enumerate(keys):
        earlier = [*keys[max(0, number - source.choice((1, 5, 40))) : number], "missing"]
        parents = source.sample(earlier, min(len(earlier), source.choice((0, 1, 2, 4))))
        flags[key] = flag(key, *parents, *([source.choice(keys)] if source.random() < 0.01 else []))
    found = lineages(flags)
    assert {key: None if line is None else set(line) for key, line in found.items()} == {
        key: plain(flags, key) for key in keys
    }
    assert all(line is None or line[: len(flags[key].requires)] == flags[key].requires for key, line in found.items())


def test_a_change_without_new_parents_works_out_nothing_again() -> None:
    flags = {**layers(MAX_DEPTH), **layers(2, name="x"), "loop": flag("loop", "loop2"), "loop2": flag("loop2", "loop")}
    before = ruleset(flags, 1)
    after = ruleset({**flags, "0-0": flag("0-0", stage=Stage.ADMIN_ONLY)}, 2, before)
    assert all(after.lineage[key] is before.lineage[key] for key in flags)
    assert after.flags["loop"].quarantined
    assert not decide(after, f"{MAX_DEPTH}-0", ALICE).value
    moved = ruleset({**flags, "loop": flag("loop")}, 3, after)
    assert (moved.lineage["loop2"], moved.flags["loop2"].quarantined) == (("loop",), False)


def test_each_flag_is_compiled_once_for_all_that_depend_on_it() -> None:
    flags = layers(MAX_DEPTH)
    rules = ruleset(flags)
    for key in flags:
        decide(rules, key, ALICE)
    assert rules.own.keys() == flags.keys()


@pytest.mark.parametrize("groups", [1, 5, 20])
def test_a_plan_of_many_ancestors_looks_at_fewer_subjects(groups: int) -> None:
    flags = {key: one for group in range(groups) for key, one in layers(MAX_DEPTH, name=f"g{group}-").items()}
    rules = ruleset(flags)
    seen = _crowd(([], True), rules, rules, list(flags), [Subject(f"u{number}") for number in range(KNOWN)])
    asked = sum(1 + len(line) for line in rules.lineage.values())
    assert 0 < len(seen.known) * asked <= DECIDED
    assert seen.complete is (len(seen.known) == KNOWN)
