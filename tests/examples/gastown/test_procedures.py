"""Calls of procedures (`/trpc/a,b`): the answer's form, and that they do what the routes do, no more."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import yaml
from gastown.procedures import NAMED_ONLY, SERVED
from worker_calls.requests import Person, Reply

Caller = Callable[..., Reply]
ON = {f"gastown-{name}": True for name in ("access", "multi-rig", "pr-merge")}
OFF = dict.fromkeys(ON, False)
IN_NO_TOWN = {f"gastown.{name}" for name in ("createTown", "createOrgTown", "listTowns", "listOrgTowns")}


@pytest.fixture
def post(call: Caller) -> Callable[..., Reply]:
    """Post procedures with their inputs: one as it is, several (or `batch`) by index."""

    def send(person: Person, *calls: tuple[str, Any], batch: bool = False, asks: dict[str, bool] = ON) -> Reply:
        names = ",".join(f"gastown.{name}" for name, _ in calls)
        inputs = {str(index): given for index, (_, given) in enumerate(calls) if given is not None}
        body = inputs if batch or len(calls) > 1 else calls[0][1]
        query = {"batch": "1"} if batch else None
        return call(person, "POST /trpc/{procedures}", procedures=names, body=body, asks=asks, query=query)

    return send


@pytest.fixture
def get(call: Caller) -> Callable[..., Reply]:
    """Get procedures, the inputs in the query as a browser writes them."""

    def send(person: Person, names: str, given: Any = None, *, batch: bool = False) -> Reply:
        query = ({"input": json.dumps(given)} if given is not None else {}) | ({"batch": "1"} if batch else {})
        query = dict(parse_qsl(urlencode(query)))
        return call(person, "GET /trpc/{procedures}", procedures=names, query=query or None)

    return send


def data(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return reply.body["result"]["data"]


def codes(reply: Reply) -> list[str]:
    return [item["error"]["data"]["code"] if "error" in item else "OK" for item in reply.body]


class TestForm:
    def test_one_answers_itself_and_a_batch_a_list(self, get: Caller, alice: Person) -> None:
        assert get(alice, "gastown.listTowns").body == {"result": {"data": []}}
        assert get(alice, "gastown.listTowns", batch=True).body == [{"result": {"data": []}}]
        assert get(alice, "gastown.listTowns,gastown.listTowns").body == [{"result": {"data": []}}] * 2

    def test_inputs_go_by_index_and_answers_come_in_order(self, post: Caller, get: Caller, alice: Person) -> None:
        reply = post(alice, ("createTown", {"name": "a"}), ("listTowns", None), ("createTown", {"name": "b"}))
        assert reply.status == 200
        first, listed, second = (item["result"]["data"] for item in reply.body)
        assert (first["name"], [town["name"] for town in listed], second["name"]) == ("a", ["a"], "b")
        towns = get(
            alice, "gastown.getTown,gastown.getTown", {"0": {"townId": second["id"]}, "1": {"townId": first["id"]}}
        )
        assert [item["result"]["data"]["name"] for item in towns.body] == ["b", "a"]

    def test_each_has_its_own_fate(self, post: Caller, alice: Person) -> None:
        calls = [("listTowns", None), ("getTown", {"townId": "t"}), ("sling", {}), ("getTown", {}), ("noSuch", {})]
        reply = post(alice, *calls, batch=True)
        assert reply.status == 207
        assert codes(reply) == ["OK", "NOT_FOUND", "NOT_IMPLEMENTED", "BAD_REQUEST", "NOT_FOUND"]
        assert [item["error"]["data"]["httpStatus"] for item in reply.body[1:]] == [404, 501, 400, 404]
        assert reply.body[2]["error"]["data"]["path"] == "gastown.sling"
        assert reply.body[2]["error"]["message"]

    def test_a_status_that_all_share_is_the_call_s(self, post: Caller, alice: Person) -> None:
        assert post(alice, ("sling", {}), ("startBead", {})).status == 501
        assert post(alice, ("getTown", {"townId": "t"})).status == 404
        assert post(alice, ("noSuch", {})).body["error"]["code"] == -32004

    @pytest.mark.parametrize("given", ["{", "[]", '"x"', '{"0":{},"0":{}}', "NaN", "1"])
    def test_unreadable_inputs_refuse_the_whole_call(self, call: Caller, alice: Person, given: str) -> None:
        named = {"procedures": "gastown.createTown,gastown.createTown"}
        assert call(alice, "POST /trpc/{procedures}", **named, body=given).status == 400
        assert call(alice, "GET /trpc/{procedures}", **named, query={"input": given}).status == 400
        assert call(alice, "GET /api/towns").body == {"towns": []}

    @pytest.mark.parametrize("given", [[], "x", 1, True])
    def test_an_input_is_an_object(self, post: Caller, alice: Person, given: Any) -> None:
        assert codes(post(alice, ("createTown", given), ("listTowns", given))) == ["BAD_REQUEST"] * 2

    @pytest.mark.parametrize(
        "names", ["", ",", "gastown.listTowns,", ",gastown.listTowns", ",".join(["gastown.x"] * 21)]
    )
    def test_a_malformed_call_is_refused(self, get: Caller, alice: Person, names: str) -> None:
        refused = get(alice, names)
        assert (refused.status, refused.slug) == (400, "invalid-body")

    @pytest.mark.parametrize(
        "name", ["gastown.ListTowns", "listTowns", "gastown.listTowns ", "gastown.__class__", "gastown.", "x"]
    )
    def test_names_are_exact(self, get: Caller, alice: Person, name: str) -> None:
        assert get(alice, name).status == 404

    def test_a_mutation_is_not_carried_out_by_get(self, get: Caller, alice: Person) -> None:
        mutations = [name for name, procedure in SERVED.items() if procedure.mutation]
        for name in mutations:
            assert get(alice, name, {"name": "x", "townId": "t"}).status == 405, name
        assert data(get(alice, "gastown.listTowns")) == []


class TestTheGateKnowsThem:
    def test_all_of_the_manifest_are_known_and_no_other(self, pytestconfig: pytest.Config) -> None:
        listed = yaml.safe_load((pytestconfig.rootpath / "examples/gastown/manifest.yaml").read_text(encoding="utf-8"))[
            "routes"
        ]
        names = {entry["procedure"] for entry in listed if "procedure" in entry}
        assert set(SERVED) | NAMED_ONLY == names
        assert not set(SERVED) & NAMED_ONLY

    def test_what_it_only_knows_by_name_it_says_so(self, call: Caller, alice: Person) -> None:
        for name in sorted(NAMED_ONLY):
            for key in ("GET /trpc/{procedures}", "POST /trpc/{procedures}"):
                reply = call(alice, key, procedures=name)
                assert (reply.status, reply.body["error"]["data"]["code"]) == (501, "NOT_IMPLEMENTED")


class TestWhatTheyDo:
    def test_towns(self, post: Caller, get: Caller, alice: Person) -> None:
        mine = data(post(alice, ("createTown", {"name": "Ponderosa"})))
        assert mine["owner"] == {"user": alice.name}
        member = replace(alice, orgs=(f"org-of-{alice.name}",))
        shared = data(post(member, ("createOrgTown", {"organizationId": member.orgs[0], "name": "Shared"})))
        assert shared["owner"] == {"org": member.orgs[0]}
        assert [town["id"] for town in data(get(member, "gastown.listTowns"))] == [mine["id"]]
        org = {"organizationId": member.orgs[0]}
        assert [town["id"] for town in data(get(member, "gastown.listOrgTowns", org))] == [shared["id"]]
        assert get(alice, "gastown.listOrgTowns", org).status == 403
        assert post(alice, ("createOrgTown", org | {"name": "x"})).status == 403
        assert get(alice, "gastown.getTown", {"townId": shared["id"]}).status == 404
        assert data(post(member, ("deleteOrgTown", {"townId": shared["id"]})))["deleted"] is True
        assert data(post(alice, ("deleteTown", {"townId": mine["id"]})))["deleted"] is True
        assert data(get(alice, "gastown.listTowns")) == []

    def test_the_second_rig_of_one_call_needs_the_flag(
        self, post: Caller, get: Caller, alice: Person, town: str
    ) -> None:
        rig = ("createRig", {"townId": town, "name": "repo", "gitUrl": "https://example.test/repo.git"})
        assert codes(post(alice, rig, rig, asks=OFF)) == ["OK", "FORBIDDEN"]
        assert codes(post(alice, rig, ("createOrgRig", rig[1]), asks=ON)) == ["OK", "OK"]
        assert len(data(get(alice, "gastown.listRigs", {"townId": town}))) == 3

    def test_config(self, post: Caller, get: Caller, alice: Person, town: str) -> None:
        choose = ("updateTownConfig", {"townId": town, "config": {"merge_strategy": "pr"}})
        assert post(alice, choose, asks=OFF).status == 403
        assert data(get(alice, "gastown.getTownConfig", {"townId": town}))["merge_strategy"] == "direct"
        assert data(post(alice, choose, asks=ON))["merge_strategy"] == "pr"
        assert data(get(alice, "gastown.getTownConfig", {"townId": town}))["merge_strategy"] == "pr"
        for wrong in ({"townId": town}, {"townId": town, "config": []}, {"townId": town, "config": {"x": 1}}):
            assert post(alice, ("updateTownConfig", wrong)).status == 400

    def test_convoys(self, post: Caller, get: Caller, alice: Person, town: str) -> None:
        convoy = data(post(alice, ("startConvoy", {"townId": town, "name": "batch"})))
        assert data(get(alice, "gastown.listConvoys", {"townId": town})) == [convoy]

    def test_the_mayor_is_woken_only_with_the_flag(self, post: Caller, get: Caller, alice: Person, town: str) -> None:
        given = {"townId": town, "message": "hello\nthere"}
        assert codes(post(alice, ("ensureMayor", given), ("sendMessage", given), asks=OFF)) == ["FORBIDDEN"] * 2
        assert data(get(alice, "gastown.getMayorStatus", given))["state"] == "stopped"
        assert codes(post(alice, ("sendMessage", given), asks=ON)) == ["OK"]
        running = data(post(alice.within(town), ("ensureMayor", given), asks=OFF))
        assert running["state"] == "running", "what runs goes on, by a session token too"
        assert codes(post(alice.within(town), ("sendMessage", given), batch=True, asks=OFF)) == ["OK"]
        assert data(post(alice.within(town), ("destroyContainer", given), asks=OFF))["state"] == "stopped"

    @pytest.mark.parametrize("name", sorted(set(SERVED) - IN_NO_TOWN))
    def test_another_s_town_is_none(self, call: Caller, town: str, name: str) -> None:
        key = "POST /trpc/{procedures}"
        given = {"townId": town, "message": "x", "config": {}}
        reply = call(Person("mallory"), key, procedures=name, body=given, asks=ON)
        assert reply.status == 404

    @pytest.mark.parametrize(
        "given", [{}, {"townId": 1}, {"townId": None}, {"townId": ""}, {"townId": ["t"]}, {"town": "t"}]
    )
    def test_which_town_must_be_said(self, post: Caller, alice: Person, given: dict[str, Any]) -> None:
        reply = post(alice, ("getTown", given))
        assert (reply.status, reply.body["error"]["data"]["code"]) == (400, "BAD_REQUEST")
        assert "townId" in reply.body["error"]["message"]
