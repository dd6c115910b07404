"""The requests of `headgate preview`, and how it describes who gains and loses access; the same for a plan."""

import json
from pathlib import Path
from typing import Any

import pytest

ASK = "POST /admin/v1/preview"


def sample(user: str | None, orgs: list[str], before: str, after: str, source: str = "listed") -> dict[str, Any]:
    verdicts = [{"value": text.startswith("on"), "reason": text.partition(" ")[2]} for text in (before, after)]
    subject = {"user": user, "orgs": orgs, "admin": False}
    return {"subject": subject, "source": source, "before": verdicts[0], "after": verdicts[1]}


ANSWER = {
    "flag": "gastown-access", "gains": 1, "loses": 2, "shrinks": True,
    "samples": {
        "gains": [sample("carol", ["acme", "example"], "off NOT_LISTED", "on ALLOWLIST", "session")],
        "loses": [sample("bob", [], "on ALLOWLIST", "off NOT_LISTED"), sample(None, ["x"], "on GA", "off KILLED")],
    },
    "share": {"before": {"percent": 12.5, "unit": "user"}, "after": {"percent": 10, "unit": "user"},
              "gains": 0, "loses": 2.5},
    "affects": [{"flag": "gastown-convoys", "gains": 0, "loses": 2}],
    "known": {"named": 0, "sessions": 1, "listed": 3, "complete": False},
    "revision": 9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("args", "change"),
    [
        (("--stage", "percentage", "--percent", "12.5", "--unit", "org"),
         {"stage": "percentage", "percent": 12.5, "unit": "org"}),
        (("--user", "a", "--user", "b", "--remove-org", "o"),
         {"add": {"users": ["a", "b"], "orgs": []}, "remove": {"users": [], "orgs": ["o"]}}),
        (("--org", "o"), {"add": {"users": [], "orgs": ["o"]}}),
        (("--kill",), {"kill": True}),
        (("--restore",), {"restore": True}),
        (("--delete",), {"delete": True}),
    ],
)  # fmt: skip
def test_change_options_become_the_api_request(
    invoke: Any, upstream: Any, reply: Any, args: tuple[str, ...], change: Any
) -> None:
    upstream.on(ASK, reply(body=ANSWER))
    assert invoke("preview", "gastown-access", *args).exit_code == 0
    assert upstream.asked[0].json == {"flag": "gastown-access", "change": change}
    assert "idempotency-key" not in upstream.asked[0].headers


def test_flag_and_subjects_are_read_from_files(invoke: Any, upstream: Any, reply: Any, tmp_path: Path) -> None:
    flag, people = tmp_path / "flag.yaml", tmp_path / "people.json"
    flag.write_text("stage: ga\nvalues: {on: yes, off: no}\n")
    people.write_text('{"subjects": ["alice", {"user": "bob", "orgs": ["acme"], "attributes": {"plan": "pro"}}]}')
    upstream.on(ASK, reply(body=ANSWER))
    assert invoke("preview", "f", "--put", str(flag), "--subjects", str(people)).exit_code == 0
    assert upstream.asked[0].json == {
        "flag": "f", "change": {"put": {"stage": "ga", "values": {"on": "yes", "off": "no"}}},
        "subjects": [{"user": "alice"}, {"user": "bob", "orgs": ["acme"], "attributes": {"plan": "pro"}}],
    }  # fmt: skip


def test_output_is_text_or_the_json_answer(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(ASK, reply(body=ANSWER))
    done = invoke("preview", "gastown-access", "--stage", "percentage", "--percent", "10")
    lines = done.stdout.splitlines()
    assert lines[0] == "1 gains, 2 lose, of 4 checked (1 with a session, 3 listed; there are more)"
    assert lines[1] == "everyone else, by user: 12.5 % → 10 %, 2.5 % lose"
    assert [line.split("  ") for line in (" ".join(line.split()) for line in lines[3:7])] == [
        ["SUBJECT SOURCE BEFORE AFTER"],
        ["gains carol of acme, example session off NOT_LISTED on ALLOWLIST"],
        ["loses bob listed on ALLOWLIST off NOT_LISTED"],
        ["loses anyone of x listed on GA off KILLED"],
    ]
    assert lines[8] == "also: gastown-convoys: 0 gain, 2 lose"
    assert "--allow-shrink" in lines[10]
    assert json.loads(invoke("preview", "gastown-access", "--kill", "--json").stdout) == ANSWER


def test_preview_without_changes_says_so(invoke: Any, upstream: Any, reply: Any) -> None:
    nothing = {"gains": 0, "loses": 0, "samples": {"gains": [], "loses": []}, "shrinks": False, "affects": []}
    upstream.on(ASK, reply(body={**ANSWER, **nothing}))
    assert invoke("preview", "f", "--stage", "ga").stdout.count("\n") == 2


@pytest.mark.parametrize("args", [(), ("--stage", "wide"), ("--stage", "ga", "--put", "/nowhere/f.yaml")])
def test_wrong_usage_is_reported_before_any_request(invoke: Any, upstream: Any, args: tuple[str, ...]) -> None:
    assert invoke("preview", "gastown-access", *args).exit_code == 2
    assert upstream.asked == []


def test_subjects_file_must_be_a_list(invoke: Any, upstream: Any, tmp_path: Path) -> None:
    people = tmp_path / "people.yaml"
    people.write_text("subjects: alice")
    assert invoke("preview", "f", "--kill", "--subjects", str(people)).exit_code == 2
    assert upstream.asked == []


def test_api_rejection_is_shown(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(ASK, reply(404, {"type": "urn:headgate:unknown-flag", "title": "There is no such flag", "status": 404}))
    assert invoke("preview", "never-made", "--kill").exit_code == 5


def test_plan_shows_the_effect_of_each_flag(invoke: Any, upstream: Any, reply: Any, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("flags: []")
    flag = {"target": "flag", "action": "replace", "flag": "gastown-access", "shrinks": False, "gains": 3, "loses": 0,
            "samples": {"gains": [], "loses": []}}  # fmt: skip
    routes = {"target": "routes", "action": "replace", "flag": None, "shrinks": False}
    affects = [{"flag": "gastown-convoys", "gains": 1, "loses": 0}]
    body = {"changes": [flag, routes], "affects": affects, "shrinks": False, "revision": 3}
    upstream.on("POST /admin/v1/manifest/plan", reply(body=body))
    lines = invoke("plan", str(file)).stdout.splitlines()
    assert " ".join(lines[1].split()) == "replace gastown-access 3 gain, 0 lose"
    assert " ".join(lines[2].split()) == "replace routes"
    assert lines[-1] == "also: gastown-convoys: 1 gains, 0 lose"
