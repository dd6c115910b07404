"""Two at once. A limit that the worker keeps (one rig without the flag, one container) holds whoever comes first.

moto answers one request at a time here, so a condition fails as it does on DynamoDB. That two look at the town before
either writes is no luck: the store's client waits for the other after the look.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from gastown import actions
from gastown.outcomes import BUSY, Done, Outcome, Refused
from gastown.service import ATTEMPTS, Action, Call, Gastown
from gastown.state import TownTable, dynamodb
from worker_calls.requests import Person, Reply, make_event

from headgate.sdk.caller import caller_from

Caller = Callable[..., Reply]
ON, OFF = {"gastown-multi-rig": True, "gastown-access": True}, {"gastown-multi-rig": False, "gastown-access": True}
GASTOWN = Path(__file__).parents[3] / "examples" / "gastown"
TOGETHER = 4


class MeetAfterLooking:
    """DynamoDB's client; each thread's first look at a town waits until all have looked."""

    def __init__(self, api: Any, meeting: threading.Barrier) -> None:
        self._api, self._meeting, self._looked = api, meeting, threading.local()

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._api, operation)

    def get_item(self, **request: Any) -> Any:
        found = self._api.get_item(**request)
        if not getattr(self._looked, "once", False):
            self._looked.once = True
            self._meeting.wait(timeout=20)
        return found


class Quicker:
    """DynamoDB's client where somebody else is quicker so many times: the conflict is as DynamoDB reports it."""

    def __init__(self, api: Any, times: int) -> None:
        self._api, self.times = api, times

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._api, operation)

    def transact_write_items(self, **request: Any) -> Any:
        if self.times:
            self.times -= 1
            error = {"Error": {"Code": "TransactionCanceledException", "Message": ""}}
            reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
            raise ClientError(error | {"CancellationReasons": reasons}, "TransactWriteItems")  # type: ignore[arg-type]
        return self._api.transact_write_items(**request)


def at_once(town: str, alice: Person, asks: dict[str, bool], action: Action) -> list[Outcome]:
    """What comes of it when several, in as many environments, do the same."""
    meeting = threading.Barrier(TOGETHER)
    caller = caller_from(make_event(alice, "POST /api/towns/{town}/rigs", {"town": town}, asks=asks))
    outcomes: list[Outcome] = []

    def environment() -> None:
        gastown = Gastown(TownTable("worker", MeetAfterLooking(dynamodb(), meeting)))
        outcomes.append(gastown.in_town(Call(caller, {}), town, action))

    threads = [threading.Thread(target=environment) for _ in range(TOGETHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(outcomes) == TOGETHER
    return outcomes


def test_of_several_first_rigs_one_is_first(call: Caller, alice: Person, town: str) -> None:
    outcomes = at_once(town, alice, OFF, actions.add_rig)
    assert Counter(outcome.status for outcome in outcomes) == {201: 1, 403: TOGETHER - 1}
    status = call(alice, "GET /api/towns/{town}/status", town=town).body
    assert len(status["rigs"]) == 1
    assert call(alice, "GET /api/towns/{town}", town=town).body["rig_count"] == 1


def test_with_the_flag_all_come_in(call: Caller, alice: Person, town: str) -> None:
    outcomes = at_once(town, alice, ON, actions.add_rig)
    assert [outcome.status for outcome in outcomes] == [201] * TOGETHER
    assert call(alice, "GET /api/towns/{town}", town=town).body["rig_count"] == TOGETHER


def test_of_several_dispatches_one_starts_the_container(call: Caller, alice: Person, town: str) -> None:
    outcomes = at_once(town, alice, ON, actions.start_container)
    assert Counter(outcome.status for outcome in outcomes) == {201: 1, 200: TOGETHER - 1}
    shown = {json.dumps(dict(outcome.body)) for outcome in outcomes if isinstance(outcome, Done)}
    assert len(shown) == 1, "all hear of the same container"


def test_of_several_deletions_one_deletes(call: Caller, alice: Person, town: str) -> None:
    call(alice, "POST /api/towns/{town}/convoys", town=town, body={})
    statuses = {outcome.status for outcome in at_once(town, alice, ON, actions.delete)}
    assert statuses <= {200, 404}
    assert call(alice, "GET /api/towns/{town}", town=town).status == 404


def test_nothing_is_added_to_a_town_that_goes_meanwhile(call: Caller, alice: Person, town: str) -> None:
    api = dynamodb()

    class GoesMeanwhile:
        """DynamoDB's client; the town is deleted after the first look."""

        def __getattr__(self, operation: str) -> Any:
            return getattr(api, operation)

        def get_item(self, **request: Any) -> Any:
            found = api.get_item(**request)
            call(alice, "DELETE /api/towns/{town}", town=town)
            return found

    for action in (actions.start_convoy, actions.add_rig, actions.start_container, actions.change_config):
        event = make_event(alice, "POST /api/towns/{town}/convoys", {"town": town}, asks=ON)
        fields = {"merge_strategy": "direct"} if action is actions.change_config else {}
        outcome = Gastown(TownTable("worker", GoesMeanwhile())).in_town(Call(caller_from(event), fields), town, action)
        assert isinstance(outcome, Refused)
        assert outcome.status == 404
    left = api.query(
        TableName="worker",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"TOWN#{town}"}},
    )
    assert left["Items"] == []


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1, ATTEMPTS])
def test_who_is_beaten_each_time_hears_so(alice: Person, town: str, times: int) -> None:
    caller = caller_from(make_event(alice, "POST /api/towns/{town}/rigs", {"town": town}, asks=OFF))
    api = Quicker(dynamodb(), times)
    outcome = Gastown(TownTable("worker", api)).in_town(Call(caller, {}), town, actions.add_rig)
    assert outcome is BUSY if times == ATTEMPTS else outcome.status == 201
    assert api.times == 0


class AnswerLost:
    """DynamoDB's client over a bad line: a transaction is carried out, its answer is lost, and it is sent again."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._api, operation)

    def transact_write_items(self, **request: Any) -> Any:
        self._api.transact_write_items(**request)
        return self._api.transact_write_items(**request)


@pytest.mark.parametrize("asks", [OFF, ON])
def test_what_was_carried_out_twice_counts_once(call: Caller, alice: Person, town: str, asks: dict[str, bool]) -> None:
    caller = caller_from(make_event(alice, "POST /api/towns/{town}/rigs", {"town": town}, asks=asks))
    outcome = Gastown(TownTable("worker", AnswerLost(dynamodb()))).in_town(Call(caller, {}), town, actions.add_rig)
    assert outcome.status == 201
    status = call(alice, "GET /api/towns/{town}/status", town=town).body
    assert (status["rig_count"], len(status["rigs"])) == (1, 1)


ENVIRONMENT = """
import json, sys
import app
for line in sys.stdin:
    answer = app.handler(json.loads(line), None)
    print("status", answer["statusCode"], flush=True)
"""


def test_two_real_environments_agree_on_the_first_rig(environment: dict[str, str], call: Caller, alice: Person) -> None:
    command = [sys.executable, "-c", ENVIRONMENT]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": GASTOWN}
    rounds = 8
    towns = [call(alice, "POST /api/users/{user}/towns", user=alice.name, body={}).body["id"] for _ in range(rounds)]
    events = [make_event(alice, "POST /api/towns/{town}/rigs", {"town": town}, body={}, asks=OFF) for town in towns]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    children = [subprocess.Popen(command, **pipes) for _ in range(2)]
    outputs: list[str] = ["", ""]

    def feed(index: int) -> None:
        outputs[index] = children[index].communicate(lines, timeout=60)[0]

    threads = [threading.Thread(target=feed, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [[line.split()[1] for line in output.splitlines() if line.startswith("status")] for output in outputs]
    assert [sorted(pair) for pair in zip(*said, strict=True)] == [["201", "403"]] * rounds
