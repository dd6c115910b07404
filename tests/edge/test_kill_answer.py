"""What a kill operator learns: the kill's answer and the list of kills hold no list, no salt, and no other member."""

import json

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from in_memory_gate import InMemoryGate
from reference_table import ReferenceTable

from headgate.store.port import Put

SECRETS = ("salt-of-f", "alice", "acme", "spring", "a-description")
FLAG = {"stage": "percentage", "percent": 25, "salt": "salt-of-f", "description": "a-description", "reason": "why",
        "allow": {"users": ["alice"], "orgs": ["acme"], "rules": [
            {"clauses": [{"attribute": "season", "op": "equals", "value": "spring"}]}]}}  # fmt: skip
ANSWER = set("key stage percent killed version revision sessions_inside last_leaves_at".split())
NEW = {"if-none-match": "*"}


def kill(key: str, **members: str) -> Ask:
    return Ask("POST /admin/v1/flags/{key}/kill", {"reason": "drill", **members}, {"key": key})


@pytest.fixture
def desk() -> Desk:
    made = Desk(ReferenceTable(), FakeClock())
    with quiet():
        made.must(Ask("POST /admin/v1/manifest", {"access": "f", "flags": [{"key": "f"}], "reason": "why"}))
        made.must(Ask("PUT /admin/v1/flags/{key}", FLAG, {"key": "f"}, {"if-match": '"1"'}))
        made.must(Ask("PUT /admin/v1/flags/{key}", {**FLAG, "requires": ["f"]}, {"key": "g"}, NEW))
    return made


@quiet()
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("readable", [True, False], ids=["readable", "unreadable"])
def test_the_answer_of_a_kill_has_exactly_its_members(desk: Desk, times: int, readable: bool) -> None:
    if not readable:
        place = ("rules", "flag#f")
        item = desk.admin.table.get([place])[place]
        desk.admin.table.write([Put({**item, "body": str(item["body"]).replace('"unit":', '"unti":')})])
    for _ in range(times):
        body = desk.must(kill("f")).body
    assert body.keys() == ANSWER
    assert not [word for word in SECRETS if word in json.dumps(body)]
    stage = ("percentage", 25) if readable else ("admin_only", 0)
    assert (body["key"], body["stage"], body["percent"], body["killed"]["reach"]) == ("f", *stage, "gate")
    assert body["version"] == (3 if readable else 2 + times)


@quiet()
@pytest.mark.parametrize("reach", [{}, {"reach": "sever"}], ids=["gate", "sever"])
def test_a_cold_environment_kills_without_loading_the_rules(reach: dict[str, str]) -> None:
    gate = InMemoryGate()
    flags = [{"key": "f"}, *({"key": f"f{number}"} for number in range(300))]
    gate.desk().must(Ask("POST /admin/v1/manifest", {"access": "f", "flags": flags, "reason": "why"}))
    gate.table.calls.clear()
    assert gate.desk().must(kill("f", **reach)).body["sessions_inside"] == 0
    operations = [call.op for call in gate.table.calls]
    before = operations.index("write")
    assert operations[:before] == ["get", *["get"] * len(reach)]
    assert operations[before + 1 :] == ["get", *["query"] * (0 if reach else 16)]  # sever leaves nobody to count


@quiet()
def test_kills_are_listed_in_pages_with_three_members_each(desk: Desk) -> None:
    desk.must(kill("g"))
    found, cursor = [], None
    while not found or cursor:
        query = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        page = desk.must(Ask("GET /admin/v1/kills", query=query)).body
        assert (page["revision"], len(page["flags"])) == (5, 1)
        found, cursor = found + page["flags"], page["next"]
    assert [(one.keys(), one["key"], one["stage"]) for one in found] == [
        ({"key", "stage", "killed"}, "f", "percentage"), ({"key", "stage", "killed"}, "g", "percentage"),
    ]  # fmt: skip
    assert [one["killed"] and one["killed"]["reach"] for one in found] == [None, "gate"]
