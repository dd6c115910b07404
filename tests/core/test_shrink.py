"""No change that takes access away from somebody, or opens a route, passes without saying so: held to an oracle.

The oracle decides mint, every route, flag, value, and claim for subjects at every boundary of both manifests. An ask is
needless if none of them loses anything: never for pure additions, and in at most 2 % of all changes.
"""

from collections.abc import Iterable
from dataclasses import fields
from random import Random

import gates
import pytest
import vector_files
from dice import Dice, changed
from proofs import Tally, many
from rule_changes import Pair, crowd_of, pairs, snapshot_of

from headgate.core.changes.flag import with_flag
from headgate.core.changes.routes import openings
from headgate.core.changes.shrink import flag_losses, losses
from headgate.core.decision import decide
from headgate.core.model import Allow, Clause, Flag, Profile, RoutePolicy
from headgate.core.ruleset import ruleset
from headgate.core.snapshot import Snapshot

NEEDLESS = 0.02


@pytest.mark.proof("changes of whole manifests, each judged for a crowd of subjects: what takes access away asks")
@pytest.mark.parametrize("part", range(many(1, 20)))
def test_a_change_that_takes_access_away_asks(part: int, tally: Tally) -> None:
    count, subjects = many(500, 5_000), many(100, 1_000)
    source = Random(part)
    lost = needless = 0
    for pair in pairs(part + 1, count):
        states = snapshot_of(pair.before), snapshot_of(pair.after)
        asks = losses(*states)
        loses = gates.is_lost(pair.before, pair.after, states, crowd_of(pair, subjects, source))
        assert asks or not loses, pair
        assert loses or not asks or not pair.is_pure, (pair, asks)
        lost, needless = lost + loses, needless + bool(asks and not loses)
    tally.add(pairs=count, subjects=count * subjects, take_access_away=lost, ask_needlessly=needless)
    assert lost > count / 3
    assert needless <= count * NEEDLESS


@pytest.mark.proof("changes of whole manifests: what opens a route asks")
@pytest.mark.parametrize("part", range(many(1, 20)))
def test_a_change_that_opens_a_route_asks(part: int, tally: Tally) -> None:
    count, opened, needless = many(2_000, 5_000), 0, 0
    for pair in pairs(99 + part, count):
        states = snapshot_of(pair.before), snapshot_of(pair.after)
        asks = openings(*states)
        possible, under_any_flags = gates.opened(pair.before, pair.after, states)
        assert asks or not possible, pair
        assert not asks or not pair.is_pure, (pair, asks)
        opened, needless = opened + possible, needless + bool(asks and not under_any_flags)
    tally.add(pairs=count, open_a_route=opened, ask_needlessly=needless)
    assert opened > count / 10
    assert needless <= count * NEEDLESS


def test_a_change_of_odd_rules_that_asks_nothing_takes_nothing() -> None:
    """Rules of any JSON, where a careless comparison takes 1 for true."""
    thrown = Dice(Random(2))
    everybody = [thrown.subject(admins=0.0) for _ in range(2_000)]
    count, quiet = many(4_000), 0
    for _ in range(count):
        document = thrown.flag("f", ("p", "q")) | {"claim": None}
        others = {
            key: vector_files.flag_from({**thrown.flag(key), "stage": thrown.one(("allowlist", "ga"))}) for key in "pqr"
        }
        old, new = (
            ruleset({**others, "f": vector_files.flag_from(one)}) for one in (document, changed(thrown, document))
        )
        if losses(Snapshot(old), Snapshot(new)):
            continue
        quiet += 1
        for subject in thrown.source.sample(everybody, 25):
            lost = decide(old, "f", subject, gate=True).value and not decide(new, "f", subject, gate=True).value
            assert not lost, (old.flags["f"], new.flags["f"], subject)
    assert quiet > count / 4


def test_every_member_of_the_rules_is_judged_or_lets_nobody_in() -> None:
    """Whoever adds a member decides here which of the two it is."""
    judged = {
        Flag: "key salt stage steps unit algorithm hash_key requires allow on off claim members",
        Allow: "users orgs rules",
        Clause: "attribute op value kind",
        Profile: "access claims",
        RoutePolicy: "name route_class flags asks procedure",
    }
    harmless = {
        Flag: "description owner killed version revision updated_at updated_by quarantined",
        Profile: "max_stale lifetime version",
    }
    for model, names in judged.items():
        assert {one.name for one in fields(model)} == {*names.split(), *harmless.get(model, "").split()}, model


def asked(pair: Pair) -> Iterable[str]:
    """The paths of a pair's losses."""
    return (place.path for place in losses(snapshot_of(pair.before), snapshot_of(pair.after)))


def test_the_search_finds_a_judgement_that_overlooks_something() -> None:
    """Each kind of place is, in some pair, the only one that asks for a loss that the oracle finds."""
    only: set[str] = set()
    source = Random(3)
    for pair in pairs(5, 1_500):
        found = {path.rpartition(".")[2] if "claims" not in path else "claims" for path in asked(pair)}
        if len(found) == 1:
            states = snapshot_of(pair.before), snapshot_of(pair.after)
            only |= found if gates.is_lost(pair.before, pair.after, states, crowd_of(pair, 60, source)) else set()
    assert only >= {"stage", "percent", "unit", "salt", "algorithm", "users", "orgs", "requires", "values", "claim",
                    "claims", "access", "class", "flags", "asks"}  # fmt: skip


def test_a_change_of_one_flag_is_judged_alone_as_among_all() -> None:
    """Only a new parent or another claim is judged by the other flags."""
    compared = 0
    for pair in pairs(7, 1_000):
        before, after = snapshot_of(pair.before), snapshot_of(pair.after)
        for key, flag in before.rules.given.items():
            new = after.rules.given.get(key)
            if new is None:
                continue
            assert flag_losses(flag, new, before) == losses(before, with_flag(before, new))
            if new.requires == flag.requires:
                changed = losses(Snapshot(ruleset({key: flag})), Snapshot(ruleset({key: new})))
                assert flag_losses(flag, new, None) == changed
                compared += bool(changed)
    assert compared > 200
