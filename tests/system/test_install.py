"""An empty stack is closed until it is opened. A new stack with the same salts gives the same answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from exported_rules import exported_rules, those_on
from running_gate import Gate, Person, until
from running_gate.gate import in_parallel, verdicts

from headgate_cli.local.stack import running_stack

ACCESS = "gastown-access"
pytestmark = pytest.mark.own_stack  # it exports every flag

BYPASSES = {
    name: value
    for name in ("ENV", "ENVIRONMENT", "NODE_ENV", "STAGE", "APP_ENV", "PYTHON_ENV")
    for value in ("development",)
} | {"HEADGATE_DEV": "1", "HEADGATE_BYPASS": "true", "HEADGATE_ENV": "dev", "DEBUG": "1", "HEADGATE_DEBUG": "1"}


@pytest.fixture(scope="module")
def empty() -> Iterator[Gate]:
    """A stack without flags, with environment variables that try to disable the gate."""
    with running_stack(empty=True, env=BYPASSES) as stack:
        yield Gate(stack.ready)


def test_r36_r43_r48_empty_table_is_stage_0(empty: Gate, alice: Person, root: Person) -> None:
    """Without an import or a seed, only admins are admitted, nothing fails, and health says what is missing."""
    assert empty.flags() == {}
    empty.mint(alice).expect(403)
    token = empty.access_token(root)
    empty.create_town(root, token).expect(201)
    assert empty.evaluate_all(empty.evaluation_token(alice)).expect(200).json["flags"] == []
    assert empty.evaluate(ACCESS, empty.evaluation_token(alice)).status == 404
    health = empty.signed("GET", "/admin/v1/health").expect(200).json
    assert health["status"] == "degraded"
    assert ACCESS in health["missing_flags"]


def test_r41_r48_created_flag_is_closed_and_deleted_flag_denies(empty: Gate, alice: Person, root: Person) -> None:
    """A new flag opens nothing. Deleting one at GA denies, also with an earlier token, and never causes a 5xx."""
    empty.create(ACCESS)
    empty.mint(alice).expect(403)
    empty.stage(ACCESS, "ga")
    token = empty.access_token(alice)
    empty.create_town(alice, token).expect(201)
    empty.delete(ACCESS)
    empty.mint(alice).expect(403)
    empty.create_town(alice, token).expect(403)
    empty.call("POST", "/trpc/gastown.createTown", token=token, body={}).expect(403)
    empty.call("GET", "/api/towns", token=token).expect(200)  # reading one's own towns continues
    own = empty.evaluation_token(alice)
    gone = until(lambda: empty.evaluate(ACCESS, own), lambda answer: answer.status == 404, within=6)
    assert gone.json["errorCode"] == "FLAG_NOT_FOUND"
    empty.mint(root).expect(200)


def test_r02_restart_keeps_every_decision(fresh: Gate, tmp_path: Path) -> None:
    """A second stack starts with the first one's export, salts included: the same 300 subjects are on, over HTTP."""
    key = "kept-over-a-restart"
    fresh.have(key, stage="percentage", percent=40, salt="a salt of its own")
    fresh.stage(ACCESS, "percentage", percent=25)
    people = [Person(f"id-{number}") for number in range(300)]

    def on(gate: Gate) -> dict[str, set[str]]:
        gate.settled()
        service = gate.service_token()
        answers = in_parallel(lambda person: verdicts(gate.evaluate_all(service, person.context())), people)
        pairs = list(zip(people, answers, strict=True))
        return {flag: {person.user for person, values in pairs if values[flag]} for flag in (key, ACCESS)}

    before = on(fresh)
    exported = fresh.signed("GET", "/admin/v1/manifest").expect(200).json
    path = tmp_path / "exported.yaml"
    path.write_text(json.dumps({name: value for name, value in exported.items() if name != "revision"}))
    with running_stack(manifest=path) as stack:
        again = Gate(stack.ready)
        assert on(again) == before
        assert again.signed("GET", "/admin/v1/manifest").expect(200).json == exported
    rules = exported_rules(fresh)
    assert before == {flag: those_on(rules, flag, people) for flag in before}
    assert 0 < len(before[ACCESS]) < len(before[key]) < len(people)
