"""Each examples/gastown/events/*.json against the handler, as `sam local invoke -e` would send it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gastown.state import TownTable, dynamodb
from gastown.towns import Kind, Owner, OwnerKind, Thing, Town
from worker_calls.requests import read

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
EVENTS = sorted((Path(__file__).parents[3] / "examples/gastown/events").glob("*.json"))
STATUSES = {
    "batch-of-procedures": 207,
    "create-town": 201,
    "heartbeat-after-kill": 200,
    "no-gate": 401,
    "second-rig-refused": 403,
}
TOWN = Town("7d1c2f1e-3a52-4e0b-9a53-0c9f6a1e4b21", "Old", Owner(OwnerKind.USER, "alice"), "alice", "2026-11-20")


@pytest.fixture(scope="module")
def old_town(environment: dict[str, str], table: None) -> None:
    """The town that the stories speak of, with its one rig."""
    towns = TownTable(environment["GASTOWN_TABLE"], dynamodb())
    towns.create(TOWN)
    assert towns.add_rig(TOWN, Thing(Kind.RIG, "r", "repository", "alice", "2026-11-20"), only_first=True)


def test_each_story_has_its_end_here() -> None:
    assert {path.stem for path in EVENTS} == STATUSES.keys()


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_the_story_ends_as_it_should(path: Path, handler: Handler, old_town: None) -> None:
    event = json.loads(path.read_text(encoding="utf-8"))
    reply = read(handler(event, None))
    assert reply.status == STATUSES[path.stem], reply.body
    context = event["requestContext"].get("authorizer", {}).get("lambda")
    assert reply.headers.get("x-headgate-revision") == (str(context["revision"]) if context else None)
