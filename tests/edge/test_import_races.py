"""Races of imports: with a repetition of the same call, and with an import that is archived during a lookup."""

from collections.abc import Callable, Sequence

import pytest
from desk import Reply, quiet
from fake_clock import FakeClock
from members_desk import IMPORT, MembersDesk
from operators import check
from reference_table import ReferenceTable

from headgate.core.changes.list_import import Import
from headgate.store.imports import current
from headgate.store.port import Put

IDS = [f"u{number:03}" for number in range(200)]


class Overtaken(ReferenceTable):
    """A table that calls others before the `at`th write to partitions with this prefix."""

    of = "members#"
    at = 0
    before_writing: Callable[[], object]

    def write(self, puts: Sequence[Put]) -> None:
        if any(str(put.item["pk"]).startswith(self.of) for put in puts):
            self.at -= 1
            if self.at == 0:
                self.before_writing()
        super().write(puts)


@quiet()
def test_staging_after_a_repeated_call_restarted_the_batch_loses_no_id() -> None:
    """A repetition abandoned the batch, another import was committed, a third repetition restarted the batch."""
    clock, table = FakeClock(), Overtaken()
    desk, other = (MembersDesk(table, clock, inline=0) for _ in range(2))
    desk.creates()

    def overtake() -> None:
        held = current(table, "f")
        assert held is not None
        other.desk.admin.imports.abandon("f", held.id, None)
        assert other.imports("i", IDS[150:160]).status == 200
        other.desk.admin.imports.begin("f", Import(held.id, "", "", 0, int(clock())))

    table.before_writing, table.at = overtake, 2
    assert desk.changes(add=IDS).slug == "precondition-failed"
    assert sorted(other.members()) == IDS[150:160]
    assert other.flag["members"]["users"] == 10
    check(table)


@quiet()
def test_an_import_archived_during_a_lookup_is_found() -> None:
    clock, table = FakeClock(), Overtaken()
    desk, other = (MembersDesk(table, clock) for _ in range(2))
    desk.creates()
    desk.imports("first", ["a"])
    turns = iter((lambda: None, lambda: other.opens("second")))  # between two items of one read
    table.order, table.turn = reversed, lambda: next(turns, lambda: None)()
    reply = desk.does(f"GET {IMPORT}", name="first")
    assert (reply.status, reply.body.get("state")) == (200, "committed")


@pytest.mark.parametrize("partition", ["imports#", "members#"])
@quiet()
def test_a_call_overtaken_by_its_repetition_gets_its_answer_and_leaves_no_open_import(partition: str) -> None:
    clock, table = FakeClock(), Overtaken()
    desk, other = (MembersDesk(table, clock, inline=0) for _ in range(2))
    desk.creates()
    answers: list[Reply] = []
    call = {"add": IDS, "match": '"1"', "idem": "one-call"}
    table.of, table.at, table.before_writing = partition, 1, lambda: answers.append(other.changes(**call))
    answers.append(desk.changes(**call))
    assert [reply.status for reply in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    assert desk.opens("next").status == 201
    assert sorted(desk.members()) == IDS
    check(table)
