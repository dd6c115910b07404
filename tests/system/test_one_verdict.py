"""One verdict everywhere: token endpoint, evaluate, authorizer, explain, and an in-process copy of the rules agree."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from exported_rules import exported_rules, is_on
from running_gate import Answer, Gate, Person, is_refused_at_the_gate
from running_gate.gate import in_parallel, verdicts

from headgate.core.bucket import is_in
from headgate_cli.local.stack import running_stack

ACCESS = "gate-access"
SUBJECTS = 50
PLANS = ("free", "pro", "team")


def many_flags() -> list[dict[str, Any]]:
    """20 flags of every kind: stages, units, lists, rules, parents, values. Salts are fixed, so shares are exact."""
    flags: list[dict[str, Any]] = [{"key": ACCESS, "stage": "ga"}]
    for number in range(1, 20):
        stage = ("admin_only", "allowlist", "percentage", "percentage", "percentage", "ga")[number % 6]
        flag: dict[str, Any] = {"key": f"f{number:02}", "salt": f"salt-{number}", "stage": stage}
        flag["percent"] = (10, 50, 90)[number % 3]
        flag["unit"] = ("user", "org", "org_or_user")[number % 3]
        flag["allow"] = {"users": [f"user-{n}" for n in range(number, SUBJECTS, 7)], "orgs": [f"org-{number % 5}"]}
        if number % 4 == 0:
            flag["allow"]["rules"] = [{"clauses": [{"attribute": "plan", "op": "in", "value": ["pro", "team"]}]}]
        if number in (7, 11, 13, 17):
            flag["requires"] = [f"f{number - 1:02}", ACCESS]
        if number == 5:
            flag["values"] = {"on": "new", "off": "old"}
        flags.append(flag)
    return flags


def many_people() -> list[Person]:
    """Subjects with and without orgs and a plan. One in ten is an admin."""
    draw = random.Random(7)
    return [
        Person(
            f"user-{number}",
            orgs=tuple(draw.sample([f"org-{n}" for n in range(12)], draw.randrange(4))),
            admin=number % 10 == 0,
            attributes=(("plan", draw.choice(PLANS)),) if number % 2 else (),
        )
        for number in range(SUBJECTS)
    ]


@pytest.fixture(scope="module")
def probe_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A stack whose worker has one procedure for each flag, which requires that flag alone."""
    flags = many_flags()
    manifest = {
        "access": ACCESS,
        "token": {"lifetime": 600},
        "flags": flags,
        "routes": [{"procedure": f"ask.{flag['key']}", "class": "observe", "flags": [flag["key"]]} for flag in flags],
    }
    path = tmp_path_factory.mktemp("manifest") / "asking.yaml"
    Path(path).write_text(json.dumps(manifest))
    with running_stack(manifest=path) as stack:
        yield Gate(stack.ready)


def test_r46_all_endpoints_agree_over_http(probe_gate: Gate) -> None:
    """50 subjects and 20 flags, some killed: 1,000 pairs at four endpoints and in process, all at one revision.

    The authorizer gets one request for each pair that is off, which must be refused, and for each subject one batch of
    all pairs that are on, which passes only if every flag in it is on.
    """
    for key in ("f03", "f10", "f16"):
        probe_gate.kill(key)
    revision, service, rules = (
        probe_gate.settled(),
        probe_gate.service_token(),
        exported_rules(probe_gate),
    )
    keys, people = sorted(probe_gate.flags()), many_people()
    expected = {person: {key: is_on(rules, key, person) for key in keys} for person in people}
    stamps: set[int] = set()

    def read(person: Person) -> str:
        token = probe_gate.access_token(person)
        claims = jwt.decode(token, options={"verify_signature": False})
        minted, own = set(claims["entitlements"]), probe_gate.evaluate_all(token)
        named = probe_gate.evaluate_all(service, person.context())
        stamps.update({claims["rev"], own.revision, named.revision})
        for answer in (own, named):
            assert {flag["key"]: flag["variant"] == "on" for flag in answer.json["flags"]} == expected[person]
        assert minted == {key for key, value in expected[person].items() if value}
        assert verdicts(own)["f05"] == ("new" if expected[person]["f05"] else "old")
        return token

    tokens = dict(zip(people, in_parallel(read, people), strict=True))
    asked = [(person, key) for person in people for key in keys]
    explained = in_parallel(lambda pair: probe_gate.explain(pair[1], pair[0]), asked)
    assert [found["value"] for found in explained] == [expected[person][key] for person, key in asked]
    stamps.update(found["revision"] for found in explained)

    off = [(person, [key]) for person, key in asked if not expected[person][key]]
    on = [(person, [key for key in keys if expected[person][key]]) for person in people]

    def ask(pair: tuple[Person, list[str]]) -> Answer:
        person, named = pair
        return probe_gate.call("GET", "/trpc/" + ",".join(f"ask.{key}" for key in named), token=tokens[person])

    assert all(is_refused_at_the_gate(answer) for answer in in_parallel(ask, off))
    passed = in_parallel(ask, on)
    assert {answer.status for answer in passed} == {404}  # admitted: the worker has no such procedure
    stamps.update(answer.revision for answer in passed)
    assert stamps == {revision}
    assert len(asked) == 1_000
    assert 300 < len(off) < 700


GATES = ("page", "menu", "tRPC", "worker API", "dispatch", "mint")
LISTED = {"listed", "imported", "of an imported org"}
ADMITTED = {
    "ga": {"admin", "in percent", "out"} | LISTED,
    "percentage": {"admin", "in percent"} | LISTED,
    "allowlist": {"admin"} | LISTED,
    "killed": {"admin"},
}


def test_r07_r30_all_gates_agree(fresh: Gate) -> None:
    """Page and menu (evaluate), tRPC procedure, worker route, container dispatch, and token: six gates, six people.

    Everybody is admitted at GA first, so that those who are denied later have a token and a town to try with. All
    answers that contain a revision contain the same one.
    """
    access = "gastown-access"
    fresh.replace(access, salt="a matrix", stage="ga", percent=50)
    rules = exported_rules(fresh)
    draw = [Person() for _ in range(60)]
    is_inside = [is_in(rules.flags[access], person.user) for person in draw]
    inside, outside = draw[is_inside.index(True)], draw[is_inside.index(False)]
    listed = Person()
    imported, member = Person(), Person(orgs=("imported-org",))
    people = {"admin": Person(admin=True), "listed": listed, "in percent": inside, "out": outside,
              "imported": imported, "of an imported org": member}  # fmt: skip
    fresh.allow(access, users=[listed.user])
    bring_in(fresh, access, "user", imported.user)
    bring_in(fresh, access, "org", "imported-org")
    fresh.settled()
    tokens = {who: Credentials(fresh, person) for who, person in people.items()}
    for state, admitted in ADMITTED.items():
        if state == "killed":
            fresh.kill(access)
        elif state != "ga":
            fresh.stage(access, state, percent=50)
        revision = fresh.settled()
        for who, held in tokens.items():
            verdict, stamps = held.ask(access)
            assert verdict == dict.fromkeys(GATES, who in admitted), (state, who)
            assert stamps == {revision}, (state, who)


def bring_in(gate: Gate, key: str, kind: str, name: str) -> None:
    """Add one id to the long part of a list."""
    path, why = f"/admin/v1/flags/{key}/imports", {"reason": "a test"}
    gate.change("POST", path, {"id": kind, "kind": kind, "mode": "add", **why}).expect(201)
    staged = gate.change("POST", f"{path}/{kind}/members", {"at": 0, "ids": [name]}).expect(200)
    gate.change("POST", f"{path}/{kind}/commit", {"count": 1, "digest": staged.json["digest"], **why}).expect(200)


class Credentials:
    """Tokens issued while a person was admitted, and a town for each check."""

    def __init__(self, gate: Gate, person: Person) -> None:
        self._gate, self._person = gate, person
        self._token = gate.access_token(person)
        self._own, self._id_token = gate.evaluation_token(person), gate.id_token(person)
        self._towns = [gate.town(person, self._token) for _ in ADMITTED]

    def ask(self, key: str) -> tuple[dict[str, bool], set[int]]:
        """Each gate's verdict, and the revisions in the answers."""
        gate, token, cold = self._gate, self._token, self._towns.pop()
        page, menu = gate.evaluate(key, self._own).expect(200), gate.evaluate_all(self._own)
        acted = {
            "tRPC": gate.call("POST", "/trpc/gastown.createTown", token=token, body={}),
            "worker API": gate.create_town(self._person, token),
            "dispatch": gate.call("POST", f"/api/towns/{cold}/container", token=token, body={}),
            "mint": gate.exchange(self._id_token),
        }
        assert {answer.status for answer in acted.values()} <= {200, 201, 403}
        verdict = {"page": page.json["value"], "menu": verdicts(menu)[key]}
        verdict |= {name: answer.status != 403 for name, answer in acted.items()}
        answers = (page, menu, *acted.values())
        return verdict, {answer.revision for answer in answers if not is_refused_at_the_gate(answer)}
