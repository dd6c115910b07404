"""Percentages: the share, its stability, by user and by org, up and down; and the path from admins to everybody.

Ids and salts are fixed, so each share is exact and not a matter of chance. What would take too long over HTTP is
decided in this process from the exported flags; both must agree wherever both are asked.
"""

from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from exported_rules import exported_rules, is_on, those_on
from proofs import many
from running_gate import Gate, Person
from running_gate.gate import REASON, in_parallel, verdicts

ACCESS = "gastown-access"
SHARE, OTHER, BY_ORG, EITHER = "share", "other", "by-org", "either"


@pytest.fixture
def flags(fresh: Gate) -> Gate:
    """This file's flags, each with its own salt."""
    fresh.have(SHARE, salt="salt-1", stage="percentage", percent=30)
    return fresh


def evaluated(gate: Gate, people: list[Person]) -> dict[str, Mapping[str, Any]]:
    """User to flags and values, over HTTP, at the newest revision."""
    revision, service = gate.settled(), gate.service_token()
    answers = in_parallel(lambda person: gate.evaluate_all(service, person.context()), people)
    assert {answer.revision for answer in answers} == {revision}
    return {person.user: verdicts(answer) for person, answer in zip(people, answers, strict=True)}


def on(found: Mapping[str, Mapping[str, Any]], key: str) -> set[str]:
    """The users for whom a flag is on."""
    return {user for user, flags in found.items() if flags[key]}


def _place(salt: str, key: str, user: str) -> float:
    """Bucket of an id as a fraction of 1, by the published rule alone (`sha256-v1`): any client can compute it."""
    return int.from_bytes(sha256(f"{salt}\0{key}\0{user}".encode()).digest()[:8]) / 2**64


@pytest.mark.proof("shares and ramps over HTTP")
def test_r02_percentage_admits_that_share_and_always_the_same_ids(flags: Gate) -> None:
    """10,000 ids, 200 of them over HTTP (`make prove`: 1,000). 28.5 to 31.5 % is 3.3 standard deviations."""
    people = [Person(f"id-{number}") for number in range(10_000)]
    rules = exported_rules(flags)
    inside = those_on(rules, SHARE, people)
    assert 2_850 <= len(inside) <= 3_150
    assert inside == {person.user for person in people if _place("salt-1", SHARE, person.user) < 0.3}
    asked = people[: many(200, 1_000)]
    found = on(evaluated(flags, asked), SHARE)
    assert found == inside & {person.user for person in asked}
    again = [*asked[::20], *asked[::20]]
    assert on(evaluated(flags, again), SHARE) == found & {person.user for person in again}


@pytest.mark.parametrize(("percent", "share"), [(0, 0), (100, 200)])
def test_r02_zero_and_hundred_percent(flags: Gate, percent: int, share: int) -> None:
    flags.stage(SHARE, "percentage", percent=percent)
    people = [Person(f"id-{number}") for number in range(200)]
    assert len(on(evaluated(flags, people), SHARE)) == share


@pytest.mark.proof("shares and ramps over HTTP")
def test_r12_a_ramp_only_adds_then_returns_exactly(flags: Gate) -> None:
    """10, 25, 50, 25 %: each set contains the one before, and both sets at 25 % are equal. Flags are independent."""
    flags.have(OTHER, salt="salt-2", stage="percentage", percent=50)
    people = [Person(f"id-{n}") for n in range(4_000)]
    asked = people[: many(50, 150)]
    steps, seen = [10, 25, 50, 25], []
    for percent in steps:
        flags.stage(SHARE, "percentage", percent=percent)
        inside = those_on(exported_rules(flags), SHARE, people)
        assert on(evaluated(flags, asked), SHARE) == inside & {person.user for person in asked}
        seen.append(inside)
    at_10, at_25, at_50, at_25_again = seen
    assert at_10 < at_25 < at_50
    assert at_25_again == at_25
    flags.stage(SHARE, "percentage", percent=50)
    rules = exported_rules(flags)
    both = those_on(rules, SHARE, people) & those_on(rules, OTHER, people)
    assert 0.22 <= len(both) / len(people) <= 0.28  # 50 % of 50 %: 25 %, within 4 standard deviations


def test_r11_share_by_org_admits_all_members_or_none(flags: Gate) -> None:
    """2,000 orgs, 60 with two members over HTTP. Without an org: off with `org`, by user id with `org_or_user`."""
    flags.have(BY_ORG, salt="salt-3", stage="percentage", percent=30, unit="org")
    flags.have(EITHER, salt="salt-4", stage="percentage", percent=30, unit="org_or_user")
    rules = exported_rules(flags)
    orgs = [Person(f"one-{n}", orgs=(f"org-{n}",)) for n in range(2_000)]
    assert 0.27 <= len(those_on(rules, BY_ORG, orgs)) / len(orgs) <= 0.33
    firsts = orgs[:60]
    seconds = [Person(f"two-{n}", orgs=person.orgs) for n, person in enumerate(firsts)]
    alone = [Person(f"alone-{n}") for n in range(60)]
    found = evaluated(flags, [*firsts, *seconds, *alone])

    def by(people: list[Person], key: str) -> list[bool]:
        return [found[person.user][key] for person in people]

    assert by(firsts, BY_ORG) == by(seconds, BY_ORG) == [is_on(rules, BY_ORG, person) for person in firsts]
    assert by(firsts, EITHER) == by(seconds, EITHER)
    assert by(firsts, SHARE) != by(seconds, SHARE)
    assert not any(by(alone, BY_ORG))
    assert 0 < sum(by(alone, EITHER)) < len(alone)
    several = Person("several", orgs=tuple(f"org-{n}" for n in range(60)))
    assert evaluated(flags, [several])["several"][BY_ORG] is True  # on if it is on for any of the orgs


def test_r06_every_stage_can_be_set_forward_and_back(fresh: Gate, root: Person) -> None:
    """Every later stage keeps everyone that an earlier one admitted."""
    listed, key = Person(), "walk"
    fresh.have(key)
    fresh.allow(key, users=[listed.user])
    walk = ["allowlist", "percentage", "ga", "percentage", "allowlist", "admin_only", "ga", "admin_only"]
    for stage in walk:
        flag = fresh.stage(key, stage, percent=0)
        assert (flag["stage"], flag["allow"]["users"]) == (stage, [listed.user])
        assert fresh.explain(key, root)["value"] is True
        assert fresh.explain(key, listed)["value"] is (stage != "admin_only")


@pytest.mark.parametrize(
    "body",
    [
        {"stage": "everyone"},
        {"stage": None},
        {"stage": "GA"},
        {},
        {"stage": "percentage"},
        {"stage": "percentage", "percent": "30"},
        {"stage": "percentage", "percent": True},
        {"stage": "percentage", "percent": None},
        {"stage": "percentage", "percent": -1},
        {"stage": "percentage", "percent": 100.001},
        {"stage": "percentage", "percent": 0.0001},
        {"stage": "ga", "unit": "team"},
        {"stage": "ga", "key": "other"},
    ],
)
def test_r06_invalid_stage_is_rejected_and_changes_nothing(gate: Gate, body: dict[str, Any]) -> None:
    before, revision = gate.flag(ACCESS), gate.revision()
    answer = gate.change(
        "POST", f"/admin/v1/flags/{ACCESS}/stage", {**body, "reason": REASON}, version=before["version"]
    )
    assert (answer.status, answer.slug) == (400, "invalid-body")
    assert (gate.flag(ACCESS), gate.revision()) == (before, revision)


def test_r47_advancing_through_the_stages_only_adds(fresh: Gate) -> None:
    """A fixed population of 40 and four stages, counted at the token endpoint."""
    admins = [Person(admin=True) for _ in range(4)]
    listed = [Person() for _ in range(4)]
    by_org = [Person(orgs=(f"walk-{admins[0].user}",)) for _ in range(4)]
    population = [*admins, *listed, *by_org, *(Person() for _ in range(28))]
    tokens = {person.user: fresh.id_token(person) for person in population}

    def admitted() -> set[str]:
        answers = in_parallel(fresh.exchange, tokens.values())
        assert {answer.status for answer in answers} <= {200, 403}
        return {user for user, answer in zip(tokens, answers, strict=True) if answer.status == 200}

    fresh.allow(ACCESS, users=[person.user for person in listed], orgs=by_org[0].orgs)
    seen = [admitted()]
    for stage, percent in (("allowlist", 0), ("percentage", 20), ("percentage", 60), ("ga", 0)):
        fresh.stage(ACCESS, stage, percent=percent)
        seen.append(admitted())
    assert seen[0] == {person.user for person in admins}
    assert seen[1] == seen[0] | {person.user for person in (*listed, *by_org)}
    assert all(earlier <= later for earlier, later in pairwise(seen))
    assert seen[-1] == set(tokens)
