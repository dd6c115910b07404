"""Towns over the real handler: whose they are, what is in them, what the gate's answers decide."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from gastown.records import town_partition
from gastown.state import dynamodb
from worker_calls.requests import Person, Reply

Caller = Callable[..., Reply]
Env = dict[str, str]
CREATE, CREATE_ORG = "POST /api/users/{user}/towns", "POST /api/orgs/{org}/towns"
LIST, SHOW, STATUS = "GET /api/towns", "GET /api/towns/{town}", "GET /api/towns/{town}/status"
RIGS, CONVOYS, MOLECULES = (f"POST /api/towns/{{town}}/{what}" for what in ("rigs", "convoys", "molecules"))
CONFIG, DELETE = "PATCH /api/towns/{town}/config", "DELETE /api/towns/{town}"
START, STOP = "POST /api/towns/{town}/container", "DELETE /api/towns/{town}/container"
HEARTBEAT, MAIL, DONE, AGENT_CONVOYS = (
    f"POST /api/towns/{{town}}/agents/{{agent}}/{what}" for what in ("heartbeat", "mail", "done", "convoys")
)
MULTI_RIG, PR_MERGE, ACCESS = ({f"gastown-{name}": True} for name in ("multi-rig", "pr-merge", "access"))
NO_MULTI_RIG, NO_PR_MERGE, NO_ACCESS = ({f"gastown-{name}": False} for name in ("multi-rig", "pr-merge", "access"))


class TestOwning:
    def test_a_created_town_is_its_creator_s(self, call: Caller, alice: Person) -> None:
        made = call(alice, CREATE, user=alice.name, body={"name": "Ponderosa"})
        assert made.status == 201
        assert made.body["name"] == "Ponderosa"
        assert made.body["owner"] == {"user": alice.name}
        assert made.body["merge_strategy"] == "direct"
        assert made.body["container"]["state"] == "stopped"
        shown = call(alice, SHOW, town=made.body["id"])
        assert (shown.status, shown.body) == (200, made.body)
        assert [town["id"] for town in call(alice, LIST).body["towns"]] == [made.body["id"]]

    def test_nobody_makes_a_town_in_another_s_name(self, call: Caller, alice: Person) -> None:
        for other in ("bob", alice.name.upper(), alice.name + " ", ""):
            assert call(alice, CREATE, user=other, body={}).status == 403
        assert call(alice, LIST).body == {"towns": []}

    def test_an_org_s_town_is_its_members(self, call: Caller, alice: Person) -> None:
        org = f"org-{uuid.uuid4()}"
        member, mate = replace(alice, orgs=("other", org)), Person(f"mate-{org}", orgs=(org,))
        made = call(member, CREATE_ORG, org=org, body={"name": "Shared"})
        assert (made.status, made.body["owner"]) == (201, {"org": org})
        assert call(mate, SHOW, town=made.body["id"]).status == 200
        assert [town["id"] for town in call(mate, LIST).body["towns"]] == [made.body["id"]]
        assert call(alice, SHOW, town=made.body["id"]).status == 404, "who left the org has left its towns"

    def test_nobody_makes_a_town_for_an_org_of_others(self, call: Caller, alice: Person) -> None:
        assert call(replace(alice, orgs=("org-1",)), CREATE_ORG, org="org-2", body={}).status == 403
        assert call(alice, CREATE_ORG, org="org-1", body={}).status == 403

    def test_a_user_and_an_org_of_one_name_do_not_mix(self, call: Caller, alice: Person) -> None:
        made = call(alice, CREATE, user=alice.name, body={}).body["id"]
        namesake = Person("mallory", orgs=(alice.name,))
        assert call(namesake, SHOW, town=made).status == 404
        assert call(namesake, LIST).body == {"towns": []}

    @pytest.mark.parametrize("user", ["a#TOWN#1", "org#x", "user|äöü", "é", "e\u0301", "😀", "a" * 256])
    def test_any_id_owns_its_own_towns_only(self, call: Caller, user: str) -> None:
        somebody = Person(user + str(uuid.uuid4()))
        made = call(somebody, CREATE, user=somebody.name, body={"name": "x"})
        assert made.status == 201
        assert [town["id"] for town in call(somebody, LIST).body["towns"]] == [made.body["id"]]

    @pytest.mark.parametrize(
        "key",
        [SHOW, STATUS, RIGS, CONVOYS, MOLECULES, CONFIG, START, STOP, DELETE, HEARTBEAT, MAIL, DONE, AGENT_CONVOYS],
    )
    def test_another_s_town_is_none(self, call: Caller, town: str, key: str) -> None:
        everything = MULTI_RIG | PR_MERGE | ACCESS
        for mallory in (Person("mallory"), Person("mallory", admin=True), Person("mallory").within(town)):
            reply = call(mallory, key, town=town, agent="a", asks=everything, body={})
            assert (reply.status, reply.slug) == (404, "not-found")
            absent = call(mallory, key, town=str(uuid.uuid4()), agent="a", asks=everything, body={})
            assert reply == absent, "not even whether it exists"

    @pytest.mark.parametrize("odd", ["", "TOWN", "a#b", "../x", "x" * 65, "{town}", "é", "a b", "\x00"])
    def test_an_odd_town_id_is_none(self, call: Caller, alice: Person, odd: str) -> None:
        assert call(alice, SHOW, town=odd).status == 404


class TestRigs:
    def test_the_first_rig_needs_no_further_flag(self, call: Caller, alice: Person, town: str) -> None:
        rig = call(alice, RIGS, town=town, body={"name": "repo"}, asks=NO_MULTI_RIG)
        assert (rig.status, rig.body["name"], rig.body["town"]) == (201, "repo", town)

    @pytest.mark.parametrize("asks", [NO_MULTI_RIG, {}])
    def test_the_second_needs_it(self, call: Caller, alice: Person, town: str, asks: dict[str, bool]) -> None:
        call(alice, RIGS, town=town, body={}, asks=NO_MULTI_RIG)
        entitled = replace(alice, entitlements=("gastown-access", "gastown-multi-rig"))
        for person in (alice, entitled):
            second = call(person, RIGS, town=town, body={}, asks=asks)
            assert (second.status, second.slug) == (403, "forbidden")
        assert call(alice, SHOW, town=town).body["rig_count"] == 1

    def test_with_it_there_are_as_many_as_wanted_and_they_stay(self, call: Caller, alice: Person, town: str) -> None:
        rigs = [call(alice, RIGS, town=town, body={}, asks=MULTI_RIG) for _ in range(3)]
        assert [rig.status for rig in rigs] == [201, 201, 201]
        status = call(alice, STATUS, town=town).body
        assert {rig["id"] for rig in status["rigs"]} == {rig.body["id"] for rig in rigs}
        assert call(alice, RIGS, town=town, body={}, asks=NO_MULTI_RIG).status == 403
        assert len(call(alice, STATUS, town=town).body["rigs"]) == 3


class TestMergeStrategy:
    def test_unset_is_direct(self, call: Caller, alice: Person, town: str) -> None:
        shown = call(alice, SHOW, town=town).body
        assert (shown["merge_strategy"], shown["merge_strategy_set"]) == ("direct", None)
        assert call(alice, CONFIG, town=town, body={}, asks=PR_MERGE).body["merge_strategy"] == "direct"

    @pytest.mark.parametrize("asks", [NO_PR_MERGE, {}])
    def test_pr_needs_the_flag(self, call: Caller, alice: Person, town: str, asks: dict[str, bool]) -> None:
        refused = call(alice, CONFIG, town=town, body={"merge_strategy": "pr"}, asks=asks)
        assert (refused.status, refused.slug) == (403, "forbidden")
        assert call(alice, SHOW, town=town).body["merge_strategy_set"] is None

    def test_with_it_pr_is_taken(self, call: Caller, alice: Person, town: str) -> None:
        taken = call(alice, CONFIG, town=town, body={"merge_strategy": "pr"}, asks=PR_MERGE)
        assert (taken.status, taken.body["merge_strategy"]) == (200, "pr")
        assert call(alice, SHOW, town=town).body["merge_strategy"] == "pr"
        assert call(alice.within(town), STATUS, town=town).body["merge_strategy"] == "pr"

    def test_off_again_it_reads_direct_and_the_choice_is_kept(self, call: Caller, alice: Person, town: str) -> None:
        call(alice, CONFIG, town=town, body={"merge_strategy": "pr"}, asks=PR_MERGE)
        later = replace(alice, revision=alice.revision + 1)  # the flag went off: one revision more
        for reply in (
            call(later, CONFIG, town=town, body={}, asks=NO_PR_MERGE),
            call(later, SHOW, town=town),
            call(later, STATUS, town=town),
            call(later.within(town), STATUS, town=town),
        ):
            assert (reply.status, reply.body["merge_strategy"], reply.body["merge_strategy_set"]) == (
                200,
                "direct",
                "pr",
            )
        entitled = replace(later, entitlements=("gastown-access", "gastown-pr-merge"))
        assert call(entitled, SHOW, town=town).body["merge_strategy"] == "pr", "something else had changed"
        assert call(entitled, CONFIG, town=town, body={}, asks=NO_PR_MERGE).body["merge_strategy"] == "direct"
        assert call(later, CONFIG, town=town, body={}, asks=PR_MERGE).body["merge_strategy"] == "pr"

    def test_everybody_may_go_back(self, call: Caller, alice: Person, town: str) -> None:
        call(alice, CONFIG, town=town, body={"merge_strategy": "pr"}, asks=PR_MERGE)
        back = call(alice, CONFIG, town=town, body={"merge_strategy": "direct"}, asks=NO_PR_MERGE)
        assert (back.status, back.body["merge_strategy_set"]) == (200, "direct")
        unset = call(alice, CONFIG, town=town, body={"merge_strategy": None}, asks=NO_PR_MERGE)
        assert (unset.status, unset.body["merge_strategy_set"]) == (200, None)
        assert call(alice, SHOW, town=town).body["merge_strategy"] == "direct"

    @pytest.mark.parametrize("value", ["PR", "", "pr ", True, 1, ["pr"], {"on": "pr"}, "squash"])
    def test_another_value_is_refused_and_nothing_changes(
        self, call: Caller, alice: Person, town: str, value: Any
    ) -> None:
        refused = call(alice, CONFIG, town=town, body={"merge_strategy": value}, asks=PR_MERGE)
        assert (refused.status, refused.slug) == (400, "invalid-body")
        assert refused.body["errors"][0]["path"] == "merge_strategy"
        assert call(alice, SHOW, town=town).body["merge_strategy_set"] is None

    def test_a_misspelt_setting_is_not_taken_for_done(self, call: Caller, alice: Person, town: str) -> None:
        assert call(alice, CONFIG, town=town, body={"mergeStrategy": "direct"}, asks=PR_MERGE).status == 400


class TestContainer:
    def test_a_dispatch_needs_the_flag(self, call: Caller, alice: Person, town: str) -> None:
        for asks in (NO_ACCESS, {}):
            for person in (alice, alice.within(town)):
                refused = call(person, START, town=town, asks=asks)
                assert (refused.status, refused.slug) == (403, "forbidden")
        assert call(alice, SHOW, town=town).body["container"]["state"] == "stopped"
        started = call(alice, START, town=town, asks=ACCESS)
        assert (started.status, started.body["state"]) == (201, "running")
        assert started.body["id"]

    def test_one_that_runs_is_left_alone_whatever_the_flag(self, call: Caller, alice: Person, town: str) -> None:
        started = call(alice, START, town=town, asks=ACCESS)
        for asks in (NO_ACCESS, {}, ACCESS):
            again = call(alice.within(town), START, town=town, asks=asks)
            assert (again.status, again.body) == (200, started.body)

    def test_it_stops_without_any_flag_and_twice(self, call: Caller, alice: Person, town: str) -> None:
        call(alice, START, town=town, asks=ACCESS)
        for _ in range(2):
            stopped = call(alice.within(town), STOP, town=town, asks={})
            assert (stopped.status, stopped.body) == (200, {"town": town, "state": "stopped"})
        assert call(alice, START, town=town, asks=NO_ACCESS).status == 403


class TestAgents:
    def test_they_speak_for_their_town(self, call: Caller, alice: Person, town: str) -> None:
        agent = alice.within(town)
        alive = call(agent, HEARTBEAT, town=town, agent="polecat-1")
        assert (alive.status, alive.body["id"]) == (200, "polecat-1")
        assert alive.body["last_heartbeat"]
        letter = {"to": "refinery", "subject": "done", "body": "two\nlines"}
        assert call(agent, MAIL, town=town, agent="polecat-1", body=letter).status == 200
        finished = call(agent, DONE, town=town, agent="polecat-1", body={})
        assert finished.body == alive.body | {"done_at": finished.body["done_at"]}
        assert call(agent, STATUS, town=town).body["agents"] == [finished.body]

    def test_a_convoy_of_an_agent_is_the_town_s(self, call: Caller, alice: Person, town: str) -> None:
        made = call(alice.within(town), AGENT_CONVOYS, town=town, agent="mayor", body={"name": "batch"})
        assert (made.status, made.body["created_by"]) == (201, "mayor")
        assert call(alice, STATUS, town=town).body["convoys"] == [made.body]

    @pytest.mark.parametrize("key", [HEARTBEAT, MAIL, DONE, AGENT_CONVOYS])
    def test_only_a_session_of_that_town_may(self, call: Caller, alice: Person, town: str, key: str) -> None:
        other = call(alice, CREATE, user=alice.name, body={}).body["id"]
        for person in (alice, alice.within(other), replace(alice, session=town), replace(alice, session=f"rig:{town}")):
            refused = call(person, key, town=town, agent="a", body={})
            assert (refused.status, refused.slug) == (403, "forbidden")
        status = call(alice, STATUS, town=town).body
        assert (status["agents"], status["convoys"]) == ([], [])

    @pytest.mark.parametrize("odd", ["", "a#b", "a/b", "x" * 129, "é", "a b", "\n"])
    def test_an_odd_agent_id_is_none(self, call: Caller, alice: Person, town: str, odd: str) -> None:
        assert call(alice.within(town), HEARTBEAT, town=town, agent=odd).status == 404

    def test_old_agents_are_dropped_in_time(self, call: Caller, environment: Env, alice: Person, town: str) -> None:
        call(alice.within(town), HEARTBEAT, town=town, agent="a")
        key = {"pk": {"S": town_partition(town)}, "sk": {"S": "AGENT#a"}}
        item = dynamodb().get_item(TableName=environment["GASTOWN_TABLE"], Key=key)["Item"]
        assert int(item["expires"]["N"]) > 1_700_000_000


class TestConvoysAndMolecules:
    @pytest.mark.parametrize(("key", "held"), [(CONVOYS, "convoys"), (MOLECULES, "molecules")])
    def test_they_are_made_in_the_town(self, call: Caller, alice: Person, town: str, key: str, held: str) -> None:
        made = call(alice, key, town=town, body={"name": "batch"})
        assert (made.status, made.body["name"], made.body["created_by"]) == (201, "batch", alice.name)
        assert call(alice, STATUS, town=town).body[held] == [made.body]

    def test_a_name_may_be_left_out(self, call: Caller, alice: Person, town: str) -> None:
        assert call(alice, CONVOYS, town=town).body["name"] == "convoy"


class TestDeleting:
    def test_everything_goes_with_the_town(self, call: Caller, environment: Env, alice: Person, town: str) -> None:
        agent = alice.within(town)
        call(alice, RIGS, town=town, body={}, asks=MULTI_RIG)
        call(alice, CONVOYS, town=town, body={})
        call(alice, START, town=town, asks=ACCESS)
        call(agent, HEARTBEAT, town=town, agent="a")
        call(agent, MAIL, town=town, agent="a", body={"body": "hello"})
        gone = call(agent, DELETE, town=town)
        assert (gone.status, gone.body) == (200, {"id": town, "deleted": True})
        assert call(alice, DELETE, town=town).status == 404
        assert call(alice, LIST).body == {"towns": []}
        left = dynamodb().scan(TableName=environment["GASTOWN_TABLE"])["Items"]
        assert [item for item in left if town in item["pk"]["S"] + item["sk"]["S"]] == []

    def test_a_large_town_goes_too(self, call: Caller, alice: Person, town: str) -> None:
        agent = alice.within(town)
        for number in range(30):
            assert call(agent, HEARTBEAT, town=town, agent=f"a{number}").status == 200
        assert call(alice, DELETE, town=town).status == 200
        assert call(alice, SHOW, town=town).status == 404
