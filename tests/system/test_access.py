"""Who gets in at which stage: admins first, then a list, then everybody, and back. By the token endpoint's answer."""

import pytest
from exported_rules import exported_rules, is_on
from running_gate import Answer, Gate, Person
from running_gate.gate import ACCESS_TOKEN, in_parallel, verdicts

ACCESS = "gastown-access"


def test_r01_a_user_then_an_org_is_let_in_and_out_again(fresh: Gate) -> None:
    user, other = Person(), Person()
    member = Person(orgs=(f"org-{user.user}",))
    fresh.mint(user).expect(403)
    fresh.stage(ACCESS, "allowlist")
    fresh.allow(ACCESS, users=[user.user])
    fresh.mint(user).expect(200)
    fresh.mint(other).expect(403)
    fresh.mint(member).expect(403)
    fresh.allow(ACCESS, orgs=member.orgs)
    fresh.mint(member).expect(200)
    fresh.mint(other).expect(403)
    fresh.disallow(ACCESS, users=[user.user], orgs=member.orgs)
    fresh.mint(user).expect(403)
    fresh.mint(member).expect(403)


def test_r05_a_person_is_let_in_without_admin_and_without_a_deploy(fresh: Gate, alice: Person) -> None:
    """The claim `admin` stays as it is; one call of the admin API opens mint and an entry route."""
    fresh.stage(ACCESS, "allowlist")
    fresh.mint(alice).expect(403)
    fresh.allow(ACCESS, users=[alice.user])
    token = fresh.access_token(alice)
    made = fresh.create_town(alice, token).expect(201).json
    assert made["owner"] == {"user": alice.user}


def test_r09_at_stage_0_only_admins_are_in(fresh: Gate, root: Person) -> None:
    """1,000 others are evaluated, some of them without an org and one in ten on the list; 40 ask for a token."""
    others = [Person(orgs=tuple(f"org-{i % 7}" for _ in range(i % 3))) for i in range(1_000)]
    listed = [person.user for person in others[::10]]
    fresh.allow(ACCESS, users=listed, orgs=["org-1"])
    revision = fresh.settled()
    service = fresh.service_token()

    def evaluate(person: Person) -> Answer:
        return fresh.evaluate(ACCESS, service, person.context()).expect(200)

    answers = in_parallel(evaluate, others)
    assert {answer.json["value"] for answer in answers} == {False}
    assert {answer.json["metadata"]["reason"] for answer in answers} == {"ADMIN_ONLY"}
    assert {answer.revision for answer in answers} == {revision}
    assert {answer.status for answer in in_parallel(fresh.mint, others[::25])} == {403}
    assert evaluate(root).json["value"] is True
    fresh.mint(root).expect(200)


def test_r10_users_and_orgs_are_let_in_beside_admins(fresh: Gate, root: Person) -> None:
    """Each kind of entry suffices, and the kinds do not mix: an org's id among the users lets no member in."""
    by_user, by_org = Person(), Person(orgs=("another", f"by-org-{root.user}"))
    mixed_org, mixed_user = Person(orgs=(f"mixed-{root.user}",)), Person()
    fresh.stage(ACCESS, "allowlist")
    fresh.allow(ACCESS, users=[by_user.user, mixed_org.orgs[0]], orgs=[by_org.orgs[1], mixed_user.user])
    fresh.mint(root).expect(200)
    fresh.mint(by_user).expect(200)
    fresh.mint(by_org).expect(200)
    fresh.mint(mixed_org).expect(403)
    fresh.mint(mixed_user).expect(403)
    fresh.mint(Person(by_user.user.upper())).expect(403)


def test_r13_ga_lets_in_everybody_who_is_verified_even_if_unknown(fresh: Gate) -> None:
    fresh.stage(ACCESS, "ga")
    unknown = [Person(f"never-seen-{i}-{Person().user}", orgs=("an-org",) if i % 2 else ()) for i in range(20)]
    assert {answer.status for answer in in_parallel(fresh.mint, unknown)} == {200}
    assert fresh.exchange("not.a.token").status == 400


@pytest.mark.parametrize(("told", "is_let_in"), [(True, True), (False, False)])
def test_r35_with_nothing_configured_the_verdict_is_the_old_admin_check(
    fresh: Gate, told: bool, is_let_in: bool
) -> None:
    """By identity tokens; existing tokens of the old gate are in test_old_tokens.py."""
    person = Person(admin=told)
    fresh.mint(person).expect(200 if is_let_in else 403)
    bulk = fresh.evaluate_all(fresh.evaluation_token(person))
    assert {value in (True, "pr") for value in verdicts(bulk).values()} == {is_let_in}


@pytest.mark.parametrize("told", ["1", "yes", "True", "TRUE", '"true"', "variant-a"])
def test_r35_r45_only_true_makes_an_admin(fresh: Gate, told: str) -> None:
    """The dev provider hands on what it is told; whatever is not its `true` leaves a person an ordinary one."""
    person = Person(attributes=(("admin", told), ("isAdmin", "true"), ("gastownAccess", "true")))
    fresh.mint(person).expect(403)


def test_r37_each_stage_takes_effect_on_the_running_deployment(fresh: Gate, root: Person) -> None:
    """At once where a token is made; within the bound on staleness (5 s) where flags are evaluated."""
    listed = Person()
    fresh.allow(ACCESS, users=[listed.user])
    fresh.stage(ACCESS, "percentage", percent=40)
    rules = exported_rules(fresh)
    others = [Person() for _ in range(100)]
    inside = next(person for person in others if is_on(rules, ACCESS, person))
    outside = next(person for person in others if not is_on(rules, ACCESS, person))
    expected = {
        "admin_only": (root,),
        "allowlist": (root, listed),
        "percentage": (root, listed, inside),
        "ga": (root, listed, inside, outside),
    }
    for stage in [*expected, *reversed(expected)]:
        fresh.stage(ACCESS, stage, percent=40)
        for person in (root, listed, inside, outside):
            fresh.mint(person).expect(200 if person in expected[stage] else 403)


def test_r50_identity_is_the_token_s_never_a_field_of_the_caller(fresh: Gate, alice: Person, root: Person) -> None:
    bob = Person(orgs=("bobs-org",))
    fresh.stage(ACCESS, "allowlist")
    fresh.allow(ACCESS, users=[alice.user])
    # at mint: fields beside the identity token change nothing
    fresh.exchange(fresh.id_token(bob), sub=alice.user, user=alice.user, user_id=alice.user, admin="true").expect(403)
    # at evaluate: another targetingKey is refused, other members are not read
    own = fresh.evaluation_token(bob)
    fresh.settled()
    fresh.evaluate(ACCESS, own, {"targetingKey": alice.user}).expect(403)
    fresh.evaluate(ACCESS, own, {"targetingKey": root.user}).expect(403)
    claimed = {"targetingKey": bob.user, "admin": True, "user": alice.user, "orgs": ["any"], "isAdmin": True}
    assert fresh.evaluate(ACCESS, own, claimed).expect(200).json["value"] is False
    # at the worker: towns are made in one's own name
    token = fresh.access_token(alice)
    for path in (f"/api/users/{bob.user}/towns", "/api/orgs/bobs-org/towns"):
        fresh.call("POST", path, token=token, body={"name": "x", "userId": bob.user}).expect(403)
    made = fresh.call("POST", "/trpc/gastown.createTown", token=token, body={"name": "x", "userId": bob.user})
    assert made.expect(200).json["result"]["data"]["owner"] == {"user": alice.user}
    # a token of one's own is no identity to exchange again
    fresh.exchange(token, ACCESS_TOKEN).expect(400)
