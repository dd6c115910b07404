"""Thirty-two admins at once over sockets, each with its own client, on a separately started DynamoDB.

Runs only if HEADGATE_TEST_DYNAMODB is set (`make dynamodb-local`): moto has neither locks nor conflicts. Each admin
adds its own members to the lists, so a lost update shows as a missing member.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
from desk import Ask, Desk, Reply, quiet
from dynamodb_tables import tables_at
from operators import check
from proofs import Tally, many
from reference_table import ReferenceTable

from headgate.store.port import Item, Table

pytestmark = pytest.mark.skipif("HEADGATE_TEST_DYNAMODB" not in os.environ, reason="make dynamodb-local runs it")

ADMINS, FLAGS = 32, [f"f{number}" for number in range(20)]
OPERATIONS = many(50, 500)
WHY = {"reason": "a test", "allow_shrink": True}


class RealClock:
    """Real time in place of the tests' clock."""

    def __call__(self) -> float:
        return time.time()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


class Admin:
    """One admin: its calls and their answers."""

    def __init__(self, table: Table, number: int) -> None:
        self.name, self._source = f"admin-{number}", Random(number)
        self._desk = Desk(table, RealClock(), budget=60.0, jitter=self._source.random)
        self._versions = dict.fromkeys(FLAGS, 1)
        self.outcomes: Counter[str] = Counter()
        self.added: list[tuple[str, str]] = []

    def works(self) -> None:
        """All its operations."""
        for number in range(OPERATIONS):
            key = self._source.choice(FLAGS)
            member = f"{self.name}-{number}"
            ask = self._ask(key, member)
            reply = self._desk.answers(ask)
            self.outcomes[reply.slug or "done"] += 1
            if reply.status == 200 and "added" in reply.body:
                self.added.append((key, member))
            self._learns(key, reply)

    def _ask(self, key: str, member: str) -> Ask:
        route = self._source.choice(("stage", "stage", "allow", "allow", "allow", "kill", "restore"))
        body: dict[str, Any] = {"reason": "a test"}
        if route == "stage":
            body = {**WHY, "stage": "percentage", "percent": self._source.randrange(100)}
        if route == "allow":
            body = {**WHY, "add": {"users": [member]}}
        headers = {"if-match": f'"{self._versions[key]}"'} if route in ("stage", "allow") else {}
        return Ask(f"POST /admin/v1/flags/{{key}}/{route}", body, {"key": key}, headers, caller=self.name)

    def _learns(self, key: str, reply: Reply) -> None:
        """Take the version from a success, or from a refusal that has it."""
        if "etag" in reply.headers:
            self._versions[key] = int(reply.etag.strip('"'))


def copied(table: Table) -> ReferenceTable:
    """A copy of the relevant partitions as a reference table."""
    copy = ReferenceTable()
    for pk in ("head", "rules", "audit"):
        copy.partition(pk).update({str(item["sk"]): item for item in walked(table, pk)})
    return copy


def walked(table: Table, pk: str) -> Iterator[Item]:
    """A partition, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        page = table.query(pk, after=cursor)
        yield from page.items
        cursor = page.next


@pytest.mark.proof("32 admins at once on 20 flags, over sockets on DynamoDB Local")
@quiet()
def test_concurrent_changes_of_many_admins_over_sockets_are_all_kept(tally: Tally) -> None:
    with tables_at(os.environ["HEADGATE_TEST_DYNAMODB"]) as tables:
        looker, *clients = tables.new(users=ADMINS + 1)
        first = Desk(looker, RealClock())
        for key in FLAGS:
            create = Ask(
                "PUT /admin/v1/flags/{key}", {"stage": "allowlist", **WHY}, {"key": key}, {"if-none-match": "*"}
            )
            first.must(create)
        admins = [Admin(client, number) for number, client in enumerate(clients)]
        began = time.monotonic()
        with ThreadPoolExecutor(ADMINS) as pool:
            for job in [pool.submit(admin.works) for admin in admins]:
                job.result()
        took = time.monotonic() - began
        table = copied(looker)
    outcomes = sum((admin.outcomes for admin in admins), Counter[str]())
    assert set(outcomes) <= {"done", "precondition-failed", "busy"}, outcomes
    assert sum(outcomes.values()) == ADMINS * OPERATIONS
    assert check(table) == len(FLAGS) + outcomes["done"]
    lists = {key: members(table, key) for key in FLAGS}
    added = [(key, member) for admin in admins for key, member in admin.added]
    assert all(member in lists[key] for key, member in added), "an update was lost"
    assert sum(map(len, lists.values())) == len(added)
    tally.add(operations=ADMINS * OPERATIONS, changes=outcomes["done"], refused=ADMINS * OPERATIONS - outcomes["done"])
    tally.most(seconds=round(took))


def members(table: ReferenceTable, key: str) -> set[str]:
    """Who is on a flag's list."""
    reply = Desk(table, RealClock()).must(Ask("GET /admin/v1/flags/{key}", path={"key": key}))
    return set(reply.body["allow"]["users"])
