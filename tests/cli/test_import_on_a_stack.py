"""An import of 3,000 ids whose command is killed halfway: applied once, completely, with one audit entry."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running_gate import Gate, Person
from running_gate.deadline import until

from headgate_cli.imports import ImportPlan, import_id
from headgate_cli.local.stack import Stack, running_stack
from headgate_cli.member_file import read_members

pytestmark = pytest.mark.system

ACCESS, COUNT = "gastown-access", 3_000
IMPORTS = f"/admin/v1/flags/{ACCESS}/imports"
Command = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack() as found:
        yield found


@pytest.fixture(scope="module")
def gate(stack: Stack) -> Iterator[Gate]:
    found = Gate(stack.ready)
    found.stage(ACCESS, "allowlist")
    yield found
    found.http.close()


@pytest.fixture
def start(stack: Stack, environment: dict[str, str]) -> Command:
    """Start the command as an editor."""

    def started(*args: str) -> "subprocess.Popen[str]":
        keys = stack.ready["editor"]
        env = {
            **environment, "HEADGATE_API": stack.api, "AWS_REGION": stack.ready["region"],
            "AWS_ACCESS_KEY_ID": keys["access_key_id"], "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
        }  # fmt: skip
        command = [sys.executable, "-m", "headgate_cli", *args]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return started


def done(running: "subprocess.Popen[str]", code: int = 0) -> Any:
    out, output = running.communicate(timeout=120)
    assert running.returncode == code, output
    return json.loads(out or output)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("import") / "people.txt"
    path.write_text("# the waiting list\n" + "".join(f"guest-{number}\n" for number in range(COUNT)))
    return path


def staged(gate: Gate, name: str) -> int:
    answer = gate.signed("GET", f"{IMPORTS}/{name}")
    return 0 if answer.status == 404 else int(answer.expect(200).json["staged"])


def listed(gate: Gate) -> set[str]:
    found: list[str] = []
    path: str | None = f"/admin/v1/flags/{ACCESS}/allow?limit=1000"
    while path is not None:
        page = gate.signed("GET", path).expect(200).json
        found += page["members"]
        path = None if page["next"] is None else f"/admin/v1/flags/{ACCESS}/allow?limit=1000&cursor={page['next']}"
    assert len(found) == len(set(found))
    return set(found)


def test_killed_import_continues_and_counts_each_id_once(gate: Gate, start: Command, people: Path) -> None:
    revision = gate.revision()
    whole = ("allow", "import", ACCESS, str(people), "--reason", "the waiting list", "--json")
    running = start(*whole)
    name = import_id(ImportPlan(ACCESS, "user", "add", ""), read_members(people).digest, 1)
    until(lambda: staged(gate, name), lambda count: count >= 500, within=60)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    state = gate.signed("GET", f"{IMPORTS}/{name}").expect(200).json
    assert state["state"] == "open"
    assert 0 < state["staged"] < COUNT
    assert gate.mint(Person("guest-0")).status == 403  # staged is not listed
    assert gate.revision() == revision

    output = done(start(*whole))
    assert (output["id"], output["added"], output["count"], output["changed"]) == (name, COUNT, COUNT, True)
    assert [(entry["action"], entry["reason"]) for entry in gate.audit(after=revision)] == [
        ("flag.import", "the waiting list")
    ]
    assert gate.mint(Person(f"guest-{COUNT - 1}")).status == 200
    assert gate.mint(Person(f"guest-{COUNT}")).status == 403
    assert listed(gate) == {f"guest-{number}" for number in range(COUNT)}

    again = done(start(*whole))
    assert {**output, "changed": False} == again
    assert gate.revision() == revision + 1
    assert done(start("audit", "verify", "--json"))["verified"] is True


def test_removed_user_is_denied_at_once(gate: Gate, start: Command, tmp_path: Path) -> None:
    leaving = Person("guest-7")
    token = gate.access_token(leaving)
    gate.create_town(leaving, token).expect(201)
    file = tmp_path / "leaving.txt"
    file.write_text("guest-7\nguest-8\nnever-there\n")
    args = ("allow", "import", ACCESS, str(file), "--remove", "--json")
    assert done(start(*args), 4)["type"] == "urn:headgate:would-shrink"
    assert gate.mint(leaving).status == 200
    output = done(start(*args, "--allow-shrink"))
    assert (output["removed"], output["count"]) == (2, 3)
    assert gate.mint(leaving).status == 403
    assert gate.create_town(leaving, token).status == 403  # an earlier token, on a route with a live decision
    assert gate.mint(Person("guest-9")).status == 200
    assert len(listed(gate)) == COUNT - 2


def test_list_is_carried_by_a_file(gate: Gate, start: Command, tmp_path: Path) -> None:
    """What `export` leaves out, `allow list` writes and `allow import` reads back."""
    output, told = start("export", "--json").communicate(timeout=60)
    (flag,) = (flag for flag in json.loads(output)["flags"] if flag["key"] == ACCESS)
    left_out = len(listed(gate)) - len(flag["allow"]["users"])
    assert f"{left_out:,} of the users" in told
    assert left_out > 0
    file = tmp_path / "list.txt"
    file.write_text(start("allow", "list", ACCESS).communicate(timeout=60)[0])
    assert set(file.read_text().split()) == listed(gate)
    assert done(start("allow", "import", ACCESS, str(file), "--json"))["added"] == 0
    assert done(start("allow", "has", ACCESS, "guest-9", "--json"))["listed"] is True


def test_import_is_abandoned(gate: Gate, start: Command, people: Path, tmp_path: Path) -> None:
    body = {"id": "by-hand", "kind": "user", "mode": "add", "reason": "x"}
    gate.change("POST", IMPORTS, body).expect(201)
    file = tmp_path / "one.txt"
    file.write_text("late-guest\n")
    output = done(start("allow", "import", ACCESS, str(file), "--json"), 4)
    assert (output["type"], output["import"]) == ("urn:headgate:import-open", "by-hand")
    assert done(start("allow", "import", ACCESS, "--abandon", "by-hand", "--json")) == {"abandoned": "by-hand"}
    assert done(start("allow", "import", ACCESS, str(file), "--json"))["added"] == 1
    # the same list as before, for those who were removed since
    assert done(start("allow", "import", ACCESS, str(people), "--again", "--json"))["added"] == 2


def test_email_address_is_reported_with_its_line(start: Command, tmp_path: Path) -> None:
    file = tmp_path / "mail.txt"
    file.write_text("# mail\nsomebody@example.com\n")
    output = done(start("allow", "import", ACCESS, str(file), "--json"), 3)
    assert output["type"] == "urn:headgate:invalid-body"
