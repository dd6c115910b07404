"""Whoever owns the table can rewrite it. The auditor's command finds every rewrite made behind the API.

A rewrite that keeps the chain intact, such as a truncation together with the head, is found only by a checkpoint.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from moto_child import CREDENTIALS, running_dynamodb
from running_gate import Gate
from running_gate.people import new_id
from typer.testing import CliRunner, Result

from headgate.core.audit import digest, sealed
from headgate.store.dynamo import DynamoTable
from headgate.store.items import AUDIT, Head, audit_sk, entry_item, head_item
from headgate_cli.local.declared import REGION, STACK_NAME
from headgate_cli.local.stack import running_stack
from headgate_cli.main import app

CHECKPOINTS, AUDIT_KEY = "/admin/v1/audit/checkpoints", "/admin/v1/audit/key"
TABLE = f"{STACK_NAME}-Table"
ROLES = ("admin", "viewer", "kill_operator", "editor", "auditor", "service")
Entries = list[dict[str, Any]]


class Forger:
    """Writes to the gate's table with the account's own rights."""

    def __init__(self, url: str) -> None:
        session = botocore.session.get_session()
        session.set_credentials(*CREDENTIALS)
        self._api = session.create_client("dynamodb", region_name=REGION, endpoint_url=url)
        self._table = DynamoTable(TABLE, self._api)

    def entries(self) -> Entries:
        return [json.loads(str(item["body"])) for item in self._table.query(AUDIT).items]

    def write(self, entries: Entries, head: Entries | None = None) -> None:
        """Write the whole stream with new positions. `head` ends with the entry that the head is to name."""
        for item in self._table.query(AUDIT).items:
            self._api.delete_item(TableName=TABLE, Key={"pk": {"S": AUDIT}, "sk": {"S": str(item["sk"])}})
        for place, entry in enumerate(entries, 1):
            self._put({**entry_item(entry), "sk": audit_sk(place)})
        if head is not None:
            self._put(head_item(Head(len(head), head[-1]["digest"], {})))

    def _put(self, item: Any) -> None:
        typed = {name: {"N" if isinstance(value, int) else "S": str(value)} for name, value in item.items()}
        self._api.put_item(TableName=TABLE, Item=typed)


@pytest.fixture(scope="module")
def forgeable_stack() -> Iterator[tuple[Gate, Forger]]:
    """A stack with a history, on a table that a forger can write to."""
    with running_dynamodb() as url, running_stack(empty=True, env={"AWS_ENDPOINT_URL_DYNAMODB": url}) as stack:
        gate = Gate(stack.ready)
        key = new_id("witnessed")
        gate.create(key)
        for percent in range(10, 80, 10):
            gate.stage(key, "percentage", percent=percent)
        yield gate, Forger(url)
        gate.http.close()


def audit(gate: Gate, *words: str) -> Result:
    """`headgate audit …` as the auditor."""
    keys = gate.ready["auditor"]
    signing = {"AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"]}
    env: dict[str, str | None] = {"HEADGATE_API": gate.api, "AWS_REGION": str(gate.ready["region"]), **signing}
    return CliRunner().invoke(app, ["audit", *words], env=env)


def chained(entries: Entries) -> Entries:
    """The entries as a complete new chain: numbers, links, and digests recomputed."""
    made: Entries = []
    for number, entry in enumerate(entries, 1):
        made.append(sealed({**entry, "revision": number, "prev": made[-1]["digest"] if made else "0" * 64}))
    return made


def edited(entries: Entries) -> Entries:
    entries[3]["reason"] = "another"
    return entries


def resealed(entries: Entries) -> Entries:
    entries[3]["reason"] = "another"
    entries[3]["digest"] = digest(entries[3])
    return entries


def inserted(entries: Entries) -> Entries:
    forged = sealed({**entries[3], "reason": "forged", "prev": entries[2]["digest"]})
    return [*entries[:3], forged, *entries[3:]]


def deleted(entries: Entries) -> Entries:
    return [*entries[:3], *entries[4:]]


def reordered(entries: Entries) -> Entries:
    return [*entries[:3], entries[4], entries[3], *entries[5:]]


def truncated(entries: Entries) -> Entries:
    return entries[:-2]


def rewritten(entries: Entries) -> Entries:
    entries[3]["reason"] = "another"
    return chained(entries)


def shortened(entries: Entries) -> Entries:
    """One change is removed, and all later ones move up."""
    return chained(deleted(entries))


WITHIN = {edited: 4, resealed: 5, inserted: 5, deleted: 4, reordered: 4}
"""What the links show, and at which revision."""
WHOLE = {truncated: None, rewritten: None, shortened: None}
"""What the links cannot show if the head is forged too."""


@pytest.mark.parametrize("tamper", [*WITHIN, *WHOLE], ids=lambda tamper: tamper.__name__)
def test_every_way_of_rewriting_the_table_is_detected(
    forgeable_stack: tuple[Gate, Forger], tmp_path: Path, tamper: Callable[[Entries], Entries]
) -> None:
    gate, forger = forgeable_stack
    file = str(tmp_path / "heads.jsonl")
    before = forger.entries()
    assert audit(gate, "checkpoint", file).exit_code == 0
    assert audit(gate, "verify", "--checkpoint", file).exit_code == 0
    forged = tamper(copy.deepcopy(before))
    try:
        forger.write(forged, head=forged if tamper in WHOLE else None)
        alone, witnessed = audit(gate, "verify"), audit(gate, "verify", "--checkpoint", file)
        assert (alone.exit_code, witnessed.exit_code) == (int(tamper in WITHIN), 1)
        if tamper in WITHIN:
            assert f"the chain breaks at revision {WITHIN[tamper]}:" in alone.stderr
        else:
            assert "verified" in alone.stdout
            assert audit(gate, "checkpoint", file).exit_code == 1
            assert len(Path(file).read_text().splitlines()) == 1
    finally:
        forger.write(before, head=before)
    assert audit(gate, "verify", "--checkpoint", file).exit_code == 0


@pytest.mark.parametrize("lie", ["digest", "entry", "ahead"])
def test_head_that_disagrees_with_its_entry_is_not_signed(forgeable_stack: tuple[Gate, Forger], lie: str) -> None:
    gate, forger = forgeable_stack
    before = forger.entries()
    forged = copy.deepcopy(before)
    forged[-1]["reason"] = "another"
    lies: dict[str, tuple[Entries, Entries]] = {
        "digest": (before, [*before[:-1], sealed(forged[-1])]),
        "entry": (forged, before),
        "ahead": (before, [*before, before[-1]]),
    }
    try:
        forger.write(*lies[lie])
        refused = gate.signed("POST", CHECKPOINTS, {}, role="auditor")
        assert (refused.status, refused.slug) == (409, "chain-broken")
    finally:
        forger.write(before, head=before)
    assert gate.signed("POST", CHECKPOINTS, {}, role="auditor").status == 201


def test_only_auditors_and_admins_may_request_a_checkpoint(forgeable_stack: tuple[Gate, Forger]) -> None:
    """No reason is required and no entry is made. Every role that may read may read the key."""
    gate, _ = forgeable_stack
    before = gate.revision()
    made = {role: gate.signed("POST", CHECKPOINTS, {}, role=role).status for role in ROLES}
    assert made == {"admin": 201, "viewer": 403, "kill_operator": 403, "editor": 403, "auditor": 201, "service": 403}
    assert gate.signed("POST", CHECKPOINTS, role="auditor").expect(201).revision == before
    assert gate.signed("POST", CHECKPOINTS, {"reason": "x"}, role="auditor").status == 400
    assert gate.revision() == before
    keys = {role: gate.signed("GET", AUDIT_KEY, role=role).status for role in ROLES}
    assert keys == {"admin": 200, "viewer": 200, "kill_operator": 403, "editor": 200, "auditor": 200, "service": 403}


def test_attack_checkpoint_is_not_a_token(forgeable_stack: tuple[Gate, Forger]) -> None:
    """It is signed by a key of the stack, and every endpoint rejects it as a token."""
    gate, _ = forgeable_stack
    text = gate.signed("POST", CHECKPOINTS, {}).expect(201).json["signature"]
    assert gate.call("GET", "/api/towns", token=text).status == 403
    assert gate.evaluate_all(text).status == 401
    kinds = ("id_token", "access_token")
    answers = [gate.exchange(text, f"urn:ietf:params:oauth:token-type:{kind}") for kind in kinds]
    assert {answer.status for answer in answers} <= {400, 403}
    published = gate.call("GET", "/.well-known/jwks.json").json["keys"]
    assert gate.signed("GET", AUDIT_KEY).json["key"]["kid"] not in {key["kid"] for key in published}


def test_head_covers_the_whole_log(forgeable_stack: tuple[Gate, Forger]) -> None:
    gate, _ = forgeable_stack
    found = gate.signed("POST", CHECKPOINTS, {}).expect(201).json
    assert (found["revision"], found["digest"]) == (gate.revision(), gate.audit()[-1]["digest"])
