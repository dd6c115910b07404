"""Imports that are overtaken: by a repetition of the same call, and by what is put away while it is looked for."""

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
    """Others come first, before the `at`th write to partitions whose names begin so."""

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
def test_a_call_that_stages_on_after_its_batch_was_begun_anew_drops_nothing() -> None:
    """Its repetition gave the batch up, another's import was switched on, and a third repetition began it again."""
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
def test_an_import_that_is_put_away_while_it_is_looked_for_is_found() -> None:
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
def test_a_call_whose_repetition_was_faster_has_its_answer_and_leaves_nothing_open(partition: str) -> None:
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
