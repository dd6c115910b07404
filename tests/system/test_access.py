"""Who is admitted at each stage, forward and back, as the token endpoint answers."""

import pytest
from exported_rules import exported_rules, is_on
from running_gate import Answer, Gate, Person
from running_gate.gate import ACCESS_TOKEN, in_parallel, verdicts

ACCESS = "gastown-access"


def test_r01_listed_user_and_org_gain_and_lose_access(fresh: Gate) -> None:
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


def test_r05_user_is_admitted_without_admin_rights_or_deployment(fresh: Gate, alice: Person) -> None:
    """The `admin` claim does not change. One admin API call opens the token endpoint and an entry route."""
    fresh.stage(ACCESS, "allowlist")
    fresh.mint(alice).expect(403)
    fresh.allow(ACCESS, users=[alice.user])
    token = fresh.access_token(alice)
    made = fresh.create_town(alice, token).expect(201).json
    assert made["owner"] == {"user": alice.user}


def test_r09_at_stage_0_only_admins_are_admitted(fresh: Gate, root: Person) -> None:
    """1,000 others are evaluated, some without an org, one in ten listed. 40 of them request a token."""
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


def test_r10_listed_users_and_orgs_are_admitted_alongside_admins(fresh: Gate, root: Person) -> None:
    """Either kind of entry is enough, and kinds do not mix: an org id among the users admits no member."""
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


def test_r13_ga_admits_every_verified_subject(fresh: Gate) -> None:
    fresh.stage(ACCESS, "ga")
    unknown = [Person(f"never-seen-{i}-{Person().user}", orgs=("an-org",) if i % 2 else ()) for i in range(20)]
    assert {answer.status for answer in in_parallel(fresh.mint, unknown)} == {200}
    assert fresh.exchange("not.a.token").status == 400


@pytest.mark.parametrize(("claim", "is_admitted"), [(True, True), (False, False)])
def test_r35_without_flags_the_verdict_matches_the_old_admin_check(fresh: Gate, claim: bool, is_admitted: bool) -> None:
    """With identity tokens. Legacy tokens are in test_old_tokens.py."""
    person = Person(admin=claim)
    fresh.mint(person).expect(200 if is_admitted else 403)
    fresh.settled()
    bulk = fresh.evaluate_all(fresh.evaluation_token(person))
    assert {value in (True, "pr") for value in verdicts(bulk).values()} == {is_admitted}


@pytest.mark.parametrize("claim", ["1", "yes", "True", "TRUE", '"true"', "variant-a"])
def test_r35_r45_only_json_true_makes_an_admin(fresh: Gate, claim: str) -> None:
    """The development provider passes the claim on unchanged. Any value other than `true` makes a non-admin."""
    person = Person(attributes=(("admin", claim), ("isAdmin", "true"), ("gastownAccess", "true")))
    fresh.mint(person).expect(403)


def test_r37_stage_change_takes_effect_without_deployment(fresh: Gate, root: Person) -> None:
    """At once at the token endpoint; within the staleness bound (5 s) at evaluate."""
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


def test_r50_identity_comes_from_the_token_never_from_a_request_field(fresh: Gate, alice: Person, root: Person) -> None:
    bob = Person(orgs=("bobs-org",))
    fresh.stage(ACCESS, "allowlist")
    fresh.allow(ACCESS, users=[alice.user])
    # token endpoint: fields next to the identity token change nothing
    fresh.exchange(fresh.id_token(bob), sub=alice.user, user=alice.user, user_id=alice.user, admin="true").expect(403)
    # evaluate: another targetingKey is refused, other members are ignored
    own = fresh.evaluation_token(bob)
    fresh.settled()
    fresh.evaluate(ACCESS, own, {"targetingKey": alice.user}).expect(403)
    fresh.evaluate(ACCESS, own, {"targetingKey": root.user}).expect(403)
    claimed = {"targetingKey": bob.user, "admin": True, "user": alice.user, "orgs": ["any"], "isAdmin": True}
    assert fresh.evaluate(ACCESS, own, claimed).expect(200).json["value"] is False
    # worker: a town belongs to the token's subject
    token = fresh.access_token(alice)
    for path in (f"/api/users/{bob.user}/towns", "/api/orgs/bobs-org/towns"):
        fresh.call("POST", path, token=token, body={"name": "x", "userId": bob.user}).expect(403)
    made = fresh.call("POST", "/trpc/gastown.createTown", token=token, body={"name": "x", "userId": bob.user})
    assert made.expect(200).json["result"]["data"]["owner"] == {"user": alice.user}
    # a Headgate token cannot be exchanged as an identity token
    fresh.exchange(token, ACCESS_TOKEN).expect(400)
