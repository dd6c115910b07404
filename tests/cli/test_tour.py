"""The tour runs to its end, restores what it changed, and fails with a message if an answer differs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from headgate_cli.failures import unavailable
from headgate_cli.local.stack import Stack, running_stack
from headgate_cli.tour.run import line_of, play, sum_line
from headgate_cli.tour.scene import Chapter, Note, Scene


def test_differing_answer_is_shown_and_counted_and_the_story_continues() -> None:
    def differing(_cast: Any) -> Iterator[Scene]:
        yield Scene("carol", "POST /v1/token", 200, "let in\x1b[2J", False, "status 403")
        raise unavailable("no answer from 127.0.0.1:9")

    def fine(_cast: Any) -> Iterator[Scene | Note]:
        yield Note("a note")
        yield Scene("root", "POST /v1/token", 200, "token", True)

    said: list[str] = []
    story: list[Chapter[Any]] = [Chapter("One", differing), Chapter("Two", fine)]
    outcome = play(None, story, said.append)  # type: ignore[arg-type]
    assert (len(outcome.scenes), outcome.failed) == (3, 2)
    assert "2 of 3 answers not as expected" in sum_line(outcome)
    text = "\n".join(said)
    assert "let in\\x1b[2J" in text
    assert "expected status 403" in text
    assert "no answer from 127.0.0.1:9" in text
    assert outcome.as_document()["chapters"][1]["scenes"][0]["told"] == "token"
    assert "     a note" in line_of(Note("a note"))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack() as found:
        yield found


def _tour(stack: Stack, environment: dict[str, str], *args: str, by: str = "admin") -> Any:
    keys = stack.ready[by]
    env = {
        **environment, "AWS_REGION": stack.ready["region"], "HEADGATE_IDP": stack.idp,
        "AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
    }  # fmt: skip
    command = [sys.executable, "-m", "headgate_cli", *args]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.system
def test_tour_on_a_running_stack_succeeds_and_restores_everything(stack: Stack, environment: dict[str, str]) -> None:
    def flags() -> list[dict[str, Any]]:
        listed = _tour(stack, environment, "--api", stack.api, "flags", "--json")
        moving = ("version", "revision", "updated_at", "updated_by")
        return [{k: v for k, v in flag.items() if k not in moving} for flag in json.loads(listed.stdout)["flags"]]

    before = flags()
    done = _tour(stack, environment, "tour", "--api", stack.api, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["differ"] == 0
    assert document["held"] == sum(len(chapter["scenes"]) for chapter in document["chapters"]) >= 40
    assert document["seconds"] < 60
    assert "eyJ" not in done.stdout  # no token is printed
    assert flags() == before


@pytest.mark.system
def test_tour_refuses_to_start_on_an_unsuitable_stack(stack: Stack, environment: dict[str, str]) -> None:
    assert _tour(stack, environment, "tour", "--api", "https://gate.example").returncode == 2
    assert _tour(stack, environment, "tour", "--api", stack.api, by="kill_operator").returncode == 6
    used = ("--api", stack.api, "allow", "gastown-convoys", "--user", "eve", "--reason", "x")
    assert _tour(stack, environment, *used).returncode == 0
    refused = _tour(stack, environment, "tour", "--api", stack.api)
    assert refused.returncode == 4
    assert "gastown-convoys is in use on this stack" in refused.stderr


@pytest.mark.system
def test_tour_starts_and_stops_its_own_stack(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "headgate_cli", "tour"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Headgate: ")
    assert lines[-1].split(" answers")[0] in {f"{n} of {n}" for n in range(40, 60)}
    assert "\x1b" not in done.stdout
    assert all(len(line) <= 112 for line in lines)
