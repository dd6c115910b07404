"""Reading a list that the flag does not hold: one id costs one read, and an export says how many it leaves out."""

from dataclasses import replace

import pytest
from desk import Ask, quiet
from fake_clock import FakeClock
from members_desk import ALLOW, MembersDesk
from reference_table import ReferenceTable


@pytest.fixture
def desk() -> MembersDesk:
    made = MembersDesk(ReferenceTable(), FakeClock(), inline=2)
    with quiet():
        made.creates()
        made.changes(add=["a", "b", "c", "d"])
        made.changes(add=["acme"], kind="orgs")
        made.changes(remove=["d"])
    return made


@quiet()
@pytest.mark.parametrize(
    ("query", "members"),
    [
        ({"id": "a"}, ["a"]),
        ({"id": "b", "kind": "user"}, ["b"]),
        ({"id": "c", "limit": "1"}, ["c"]),
        ({"id": "d"}, []),
        ({"id": "A"}, []),
        ({"id": "acme"}, []),
        ({"id": "acme", "kind": "org"}, ["acme"]),
        ({"id": "a", "kind": "org"}, []),
    ],
)
def test_one_id_is_looked_up(desk: MembersDesk, query: dict[str, str], members: list[str]) -> None:
    reply = desk.desk.must(replace(desk.ask(f"GET {ALLOW}"), query=query))
    assert (reply.body["members"], reply.body["next"]) == (members, None)
    assert reply.body["counts"] == {"users": 3, "orgs": 1}


@quiet()
@pytest.mark.parametrize("name", ["", "a b", "x" * 257, "a\n"])
def test_what_cannot_be_an_id_is_refused(desk: MembersDesk, name: str) -> None:
    reply = desk.desk.answers(replace(desk.ask(f"GET {ALLOW}"), query={"id": name}))
    assert (reply.status, reply.slug) == (400, "invalid-body")


@quiet()
def test_export_counts_the_ids_that_it_leaves_out(desk: MembersDesk) -> None:
    export = Ask("GET /admin/v1/manifest")
    reply = desk.desk.must(export)
    (flag,) = reply.body["flags"]
    held = len(flag["allow"]["users"]) + len(flag["allow"]["orgs"])
    assert reply.headers["x-headgate-left-out"] == str(4 - held)
    assert 0 < held < 4
    assert "x-headgate-left-out" not in desk.desk.must(replace(export, query={"as_of": "1"})).headers
