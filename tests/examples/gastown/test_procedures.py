"""Procedure calls (`/trpc/a,b`): the form of the answer, and the same effects as the routes."""

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
    """POST procedures with their inputs: a single one plain, several (or `batch`) by index."""

    def send(person: Person, *calls: tuple[str, Any], batch: bool = False, asks: dict[str, bool] = ON) -> Reply:
        names = ",".join(f"gastown.{name}" for name, _ in calls)
        inputs = {str(index): given for index, (_, given) in enumerate(calls) if given is not None}
        body = inputs if batch or len(calls) > 1 else calls[0][1]
        query = {"batch": "1"} if batch else None
        return call(person, "POST /trpc/{procedures}", procedures=names, body=body, asks=asks, query=query)

    return send


@pytest.fixture
def get(call: Caller) -> Callable[..., Reply]:
    """GET procedures, with the inputs in the query as a browser encodes them."""

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
    def test_single_call_answers_itself_and_batch_answers_a_list(self, get: Caller, alice: Person) -> None:
        assert get(alice, "gastown.listTowns").body == {"result": {"data": []}}
        assert get(alice, "gastown.listTowns", batch=True).body == [{"result": {"data": []}}]
        assert get(alice, "gastown.listTowns,gastown.listTowns").body == [{"result": {"data": []}}] * 2

    def test_inputs_are_by_index_and_answers_in_order(self, post: Caller, get: Caller, alice: Person) -> None:
        reply = post(alice, ("createTown", {"name": "a"}), ("listTowns", None), ("createTown", {"name": "b"}))
        assert reply.status == 200
        first, listed, second = (item["result"]["data"] for item in reply.body)
        assert (first["name"], [town["name"] for town in listed], second["name"]) == ("a", ["a"], "b")
        towns = get(
            alice, "gastown.getTown,gastown.getTown", {"0": {"townId": second["id"]}, "1": {"townId": first["id"]}}
        )
        assert [item["result"]["data"]["name"] for item in towns.body] == ["b", "a"]

    def test_each_procedure_of_a_batch_succeeds_or_fails_alone(self, post: Caller, alice: Person) -> None:
        calls = [("listTowns", None), ("getTown", {"townId": "t"}), ("sling", {}), ("getTown", {}), ("noSuch", {})]
        reply = post(alice, *calls, batch=True)
        assert reply.status == 207
        assert codes(reply) == ["OK", "NOT_FOUND", "NOT_IMPLEMENTED", "BAD_REQUEST", "NOT_FOUND"]
        assert [item["error"]["data"]["httpStatus"] for item in reply.body[1:]] == [404, 501, 400, 404]
        assert reply.body[2]["error"]["data"]["path"] == "gastown.sling"
        assert reply.body[2]["error"]["message"]

    def test_shared_status_is_the_status_of_the_call(self, post: Caller, alice: Person) -> None:
        assert post(alice, ("sling", {}), ("startBead", {})).status == 501
        assert post(alice, ("getTown", {"townId": "t"})).status == 404
        assert post(alice, ("noSuch", {})).body["error"]["code"] == -32004

    @pytest.mark.parametrize("given", ["{", "[]", '"x"', '{"0":{},"0":{}}', "NaN", "1"])
    def test_unreadable_inputs_fail_the_whole_call(self, call: Caller, alice: Person, given: str) -> None:
        named = {"procedures": "gastown.createTown,gastown.createTown"}
        assert call(alice, "POST /trpc/{procedures}", **named, body=given).status == 400
        assert call(alice, "GET /trpc/{procedures}", **named, query={"input": given}).status == 400
        assert call(alice, "GET /api/towns").body == {"towns": []}

    @pytest.mark.parametrize("given", [[], "x", 1, True])
    def test_input_must_be_an_object(self, post: Caller, alice: Person, given: Any) -> None:
        assert codes(post(alice, ("createTown", given), ("listTowns", given))) == ["BAD_REQUEST"] * 2

    @pytest.mark.parametrize(
        "names", ["", ",", "gastown.listTowns,", ",gastown.listTowns", ",".join(["gastown.x"] * 21)]
    )
    def test_malformed_call_is_rejected(self, get: Caller, alice: Person, names: str) -> None:
        refused = get(alice, names)
        assert (refused.status, refused.slug) == (400, "invalid-body")

    @pytest.mark.parametrize(
        "name", ["gastown.ListTowns", "listTowns", "gastown.listTowns ", "gastown.__class__", "gastown.", "x"]
    )
    def test_procedure_names_are_exact(self, get: Caller, alice: Person, name: str) -> None:
        assert get(alice, name).status == 404

    def test_mutation_by_get_is_rejected(self, get: Caller, alice: Person) -> None:
        mutations = [name for name, procedure in SERVED.items() if procedure.mutation]
        for name in mutations:
            assert get(alice, name, {"name": "x", "townId": "t"}).status == 405, name
        assert data(get(alice, "gastown.listTowns")) == []


class TestManifest:
    def test_exactly_the_procedures_of_the_manifest_are_known(self, pytestconfig: pytest.Config) -> None:
        listed = yaml.safe_load((pytestconfig.rootpath / "examples/gastown/manifest.yaml").read_text(encoding="utf-8"))[
            "routes"
        ]
        names = {entry["procedure"] for entry in listed if "procedure" in entry}
        assert set(SERVED) | NAMED_ONLY == names
        assert not set(SERVED) & NAMED_ONLY

    def test_known_procedure_without_implementation_is_501(self, call: Caller, alice: Person) -> None:
        for name in sorted(NAMED_ONLY):
            for key in ("GET /trpc/{procedures}", "POST /trpc/{procedures}"):
                reply = call(alice, key, procedures=name)
                assert (reply.status, reply.body["error"]["data"]["code"]) == (501, "NOT_IMPLEMENTED")


class TestEffects:
    def test_town_procedures_match_the_routes(self, post: Caller, get: Caller, alice: Person) -> None:
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

    def test_second_rig_in_one_call_needs_the_flag(self, post: Caller, get: Caller, alice: Person, town: str) -> None:
        rig = ("createRig", {"townId": town, "name": "repo", "gitUrl": "https://example.test/repo.git"})
        assert codes(post(alice, rig, rig, asks=OFF)) == ["OK", "FORBIDDEN"]
        assert codes(post(alice, rig, ("createOrgRig", rig[1]), asks=ON)) == ["OK", "OK"]
        assert len(data(get(alice, "gastown.listRigs", {"townId": town}))) == 3

    def test_config_procedures_match_the_routes(self, post: Caller, get: Caller, alice: Person, town: str) -> None:
        choose = ("updateTownConfig", {"townId": town, "config": {"merge_strategy": "pr"}})
        assert post(alice, choose, asks=OFF).status == 403
        assert data(get(alice, "gastown.getTownConfig", {"townId": town}))["merge_strategy"] == "direct"
        assert data(post(alice, choose, asks=ON))["merge_strategy"] == "pr"
        assert data(get(alice, "gastown.getTownConfig", {"townId": town}))["merge_strategy"] == "pr"
        for wrong in ({"townId": town}, {"townId": town, "config": []}, {"townId": town, "config": {"x": 1}}):
            assert post(alice, ("updateTownConfig", wrong)).status == 400

    def test_convoy_procedures_match_the_routes(self, post: Caller, get: Caller, alice: Person, town: str) -> None:
        convoy = data(post(alice, ("startConvoy", {"townId": town, "name": "batch"})))
        assert data(get(alice, "gastown.listConvoys", {"townId": town})) == [convoy]

    def test_starting_the_mayor_needs_the_flag(self, post: Caller, get: Caller, alice: Person, town: str) -> None:
        given = {"townId": town, "message": "hello\nthere"}
        assert codes(post(alice, ("ensureMayor", given), ("sendMessage", given), asks=OFF)) == ["FORBIDDEN"] * 2
        assert data(get(alice, "gastown.getMayorStatus", given))["state"] == "stopped"
        assert codes(post(alice, ("sendMessage", given), asks=ON)) == ["OK"]
        running = data(post(alice.within(town), ("ensureMayor", given), asks=OFF))
        assert running["state"] == "running", "running work continues, also with a session token"
        assert codes(post(alice.within(town), ("sendMessage", given), batch=True, asks=OFF)) == ["OK"]
        assert data(post(alice.within(town), ("destroyContainer", given), asks=OFF))["state"] == "stopped"

    @pytest.mark.parametrize("name", sorted(set(SERVED) - IN_NO_TOWN))
    def test_another_subjects_town_is_404(self, call: Caller, town: str, name: str) -> None:
        key = "POST /trpc/{procedures}"
        given = {"townId": town, "message": "x", "config": {}}
        reply = call(Person("mallory"), key, procedures=name, body=given, asks=ON)
        assert reply.status == 404

    @pytest.mark.parametrize(
        "given", [{}, {"townId": 1}, {"townId": None}, {"townId": ""}, {"townId": ["t"]}, {"town": "t"}]
    )
    def test_town_is_required(self, post: Caller, alice: Person, given: dict[str, Any]) -> None:
        reply = post(alice, ("getTown", given))
        assert (reply.status, reply.body["error"]["data"]["code"]) == (400, "BAD_REQUEST")
        assert "townId" in reply.body["error"]["message"]
