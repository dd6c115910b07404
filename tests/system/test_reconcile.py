"""A restore drill on a running stack: an operator finds what a restore changed, and repairs it through the API."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest
from moto_child import CREDENTIALS, running_dynamodb
from running_gate import Gate
from running_gate.gate import in_parallel
from running_gate.people import new_id
from typer.testing import CliRunner, Result

from headgate.store.dynamo import DynamoTable
from headgate.store.items import HEAD_KEY, flag_key
from headgate.store.port import Item, Key
from headgate_cli.local.declared import REGION, STACK_NAME
from headgate_cli.local.stack import running_stack
from headgate_cli.main import app

RECONCILE = "/admin/v1/audit/reconcile"
TABLE = f"{STACK_NAME}-Table"


class Restored:
    """A stack and its table, whose items can be reset to earlier values."""

    def __init__(self, gate: Gate, url: str) -> None:
        session = botocore.session.get_session()
        session.set_credentials(*CREDENTIALS)
        self.gate, self._url = gate, url
        self._api = session.create_client("dynamodb", region_name=REGION, endpoint_url=url)
        self._table = DynamoTable(TABLE, self._api)

    def item(self, key: Key) -> Item:
        return self._table.get((key,))[key]

    def put_back(self, item: Item) -> None:
        typed = {name: {"N" if isinstance(value, int) else "S": str(value)} for name, value in item.items()}
        self._api.put_item(TableName=TABLE, Item=typed)

    def found(self) -> list[tuple[str, str]]:
        """The API's findings, as a viewer."""
        answer = self.gate.signed("GET", RECONCILE, role="viewer").expect(200).json
        assert answer["consistent"] == (answer["findings"] == [])
        return [(finding["what"], finding["record"]) for finding in answer["findings"]]

    def headgate(self, *words: str, role: str = "admin") -> Result:
        """The command, with one of the stack's roles; or directly on the table."""
        keys: Mapping[str, str] = self.gate.ready[role]
        env: dict[str, str | None] = {
            "HEADGATE_API": self.gate.api, "AWS_REGION": REGION, "AWS_ENDPOINT_URL_DYNAMODB": self._url,
            "AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
        }  # fmt: skip
        return CliRunner().invoke(app, list(words), env=env)


@pytest.fixture(scope="module")
def restored() -> Iterator[Restored]:
    with running_dynamodb() as url, running_stack(env={"AWS_ENDPOINT_URL_DYNAMODB": url}) as stack:
        gate = Gate(stack.ready)
        yield Restored(gate, url)
        gate.http.close()


def test_lost_change_is_found_and_repaired(restored: Restored) -> None:
    """A flag is old while its entry and the head are current. Making the change again brings all three in line."""
    gate, key = restored.gate, new_id("restored")
    gate.create(key)
    before = restored.item(flag_key(key))
    gate.stage(key, "ga")
    assert restored.found() == []
    restored.put_back(before)
    assert restored.found() == [("state-older", f"flag#{key}")]
    done = restored.headgate("audit", "reconcile")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1].split() == ["state-older", f"flag#{key}", str(gate.revision()), "1", "2"]
    assert restored.headgate("stage", key, "ga", "--reason", "as it was", "--if-match", "1").exit_code == 0
    assert restored.found() == []
    assert restored.headgate("audit", "verify").exit_code == 0


def test_lost_kill_is_found_and_repaired(restored: Restored) -> None:
    gate, key = restored.gate, new_id("killed")
    gate.create(key, stage="ga")
    before = restored.item(flag_key(key))
    gate.kill(key)
    restored.put_back(before)
    assert restored.found() == [("state-older", f"flag#{key}")]
    assert restored.headgate("kill", key, "--reason", "as it was", role="kill_operator").exit_code == 0
    assert restored.found() == []


def test_stale_head_is_found_before_the_table_is_used(restored: Restored) -> None:
    """Such a table accepts no change, not even a kill, and must be restored to another second. The command reads
    the table without the API."""
    gate, key = restored.gate, new_id("headless")
    gate.create(key)
    before, newest = restored.item(HEAD_KEY), gate.revision()
    gate.kill(key)
    after = restored.item(HEAD_KEY)
    restored.put_back(before)
    try:
        done = restored.headgate("audit", "reconcile", "--table", TABLE, "--json")
        assert done.exit_code == 1
        findings = json.loads(done.stdout)["findings"]
        assert [(found["what"], found["revision"], found["flag"]) for found in findings] == [
            ("head-behind", newest, None), ("kill-differs", newest, key)
        ]  # fmt: skip
    finally:
        restored.put_back(after)
    assert restored.headgate("audit", "reconcile", "--table", TABLE).exit_code == 0


def test_concurrent_changes_are_not_reported(restored: Restored) -> None:
    """Four operators change flags without a pause. Reconcile finds nothing."""
    gate, keys, stop = restored.gate, [new_id("busy") for _ in range(4)], threading.Event()
    for key in keys:
        gate.create(key)

    def change(key: str) -> int:
        count = 0
        while not stop.is_set():
            gate.kill(key)
            gate.restore(key)
            count += 2
        return count

    def look(_: Any) -> list[list[tuple[str, str]]]:
        try:
            return [restored.found() for _ in range(12)]
        finally:
            stop.set()

    *counts, looks = in_parallel(lambda work: work[0](work[1]), [*((change, key) for key in keys), (look, None)])
    assert looks == [[]] * 12
    assert sum(counts) > 24, "no change was made during the runs"
    print(f"12 runs during {sum(counts)} changes: no findings")


def test_every_role_that_may_read_may_reconcile(restored: Restored) -> None:
    """Permissions by role."""
    roles = ("admin", "viewer", "kill_operator", "editor", "auditor", "service")
    asked = {role: restored.gate.signed("GET", RECONCILE, role=role).status for role in roles}
    assert asked == {"admin": 200, "viewer": 200, "kill_operator": 403, "editor": 200, "auditor": 200, "service": 403}
