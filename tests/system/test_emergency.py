"""The drill: the table is gone, the kill cannot be written, and one command shuts the gate all the same.

`max_stale` is 5 minutes here, so that without the command everybody would be let in by the last known rules all along.
What the command changes are the functions of a running stack, through the laptop's stand-in for Lambda's own API; the
environments that answer afterwards are cold, and never saw a rule.
"""

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from breakable import Breakable, breakable_stack
from running_gate import Answer, Gate, Person, until
from tcp_proxy import Fault

ACCESS = "gastown-access"
MANIFEST = Path(__file__).parents[2] / "examples/gastown/manifest.yaml"
BACK = 10.0
"""Seconds until all is as before: a breaker of 1.5 s, a soft TTL of 5 s, a cold start on a busy machine."""

Headgate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """A stack of this file's own; each test heals it and lifts what it killed."""
    with breakable_stack(tmp_path_factory.mktemp("project"), max_stale=300) as running:
        yield running


@pytest.fixture
def headgate(broken: Breakable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headgate]:
    """`headgate emergency` as the emergency's role, and nothing else than that role."""
    ready, nowhere = broken.stack.ready, str(tmp_path_factory.getbasetemp() / "none")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADGATE_"))}
    environment = {
        **inherited,
        "AWS_ENDPOINT_URL_LAMBDA": ready["control"], "AWS_ENDPOINT_URL_CLOUDFORMATION": ready["control"],
        "AWS_ACCESS_KEY_ID": ready["emergency"]["access_key_id"], "AWS_REGION": ready["region"],
        "AWS_SECRET_ACCESS_KEY": ready["emergency"]["secret_access_key"],
        "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip

    def run(*args: str) -> "subprocess.CompletedProcess[str]":
        changes = () if args[0] == "status" else ("--reason", "a drill", "--yes")
        command = [sys.executable, "-m", "headgate_cli", "emergency", *args, "--stack", "headgate-local", *changes]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    yield run
    broken.proxy.heal()
    assert run("lift").returncode == 0


@dataclass(frozen=True)
class People:
    """Who asks, with what they were given while all was well."""

    gate: Gate
    user: Person
    identity: str
    admins_identity: str
    token: str
    admins_token: str
    session: str

    @property
    def probes(self) -> Mapping[str, Callable[[], Answer]]:
        """One request of each kind."""
        gate, town = self.gate, f"/api/users/{self.user.user}/towns"
        return {
            "mint": lambda: gate.exchange(self.identity),
            "start": lambda: gate.session(self.token, f"town:{uuid.uuid4()}"),
            "renew": lambda: gate.session(self.session, "town:1"),
            "entry": lambda: gate.call("POST", town, token=self.token, body={}),
            "batch": lambda: gate.call("POST", "/trpc/gastown.updateBead,gastown.sling", token=self.token, body={}),
            "unlisted": lambda: gate.call("POST", "/trpc/gastown.unheardOf", token=self.token, body={}),
            "sub-feature": lambda: gate.call("POST", "/api/towns/1/agents/a/convoys", token=self.session, body={}),
            "observe": lambda: gate.call("GET", "/api/towns", token=self.token),
            "continue": lambda: gate.call("POST", "/trpc/gastown.updateBead", token=self.token, body={}),
            "asks": lambda: gate.call("PATCH", "/api/towns/1/config", token=self.token, body={}),
            "stop": lambda: gate.call("DELETE", "/api/towns/1", token=self.token),
            "stop by session": lambda: gate.call("DELETE", "/api/towns/1", token=self.session),
            "machine": lambda: gate.call("POST", "/api/towns/1/agents/a/heartbeat", token=self.session, body={}),
            "admin mint": lambda: gate.exchange(self.admins_identity),
            "admin entry": lambda: gate.call("POST", town, token=self.admins_token, body={}),
            "admin stop": lambda: gate.call("DELETE", "/api/towns/1", token=self.admins_token),
        }

    def statuses(self) -> dict[str, int]:
        """What each is answered."""
        return {name: probe().status for name, probe in self.probes.items()}


@pytest.fixture
def people(broken: Breakable, headgate: Headgate) -> People:
    """Two people with fresh tokens, on rules that let everybody in."""
    gate, user, admin = broken.gate, Person(), Person(admin=True)
    until(lambda: gate.mint(user), lambda answer: answer.status == 200, within=BACK)
    token = gate.access_token(user)
    found = People(
        gate=gate, user=user, identity=gate.id_token(user), admins_identity=gate.id_token(admin), token=token,
        admins_token=gate.access_token(admin), session=gate.session_token(token, "town:1"),
    )  # fmt: skip
    assert found.statuses() == {**dict.fromkeys(found.probes, 200), "unlisted": 200, "sub-feature": 403}
    return found


RUNNING = ("observe", "continue", "asks", "stop", "stop by session", "machine")
ADMINS = ("admin mint", "admin entry", "admin stop")
REFUSED = ("entry", "batch", "unlisted", "sub-feature")


def test_the_drill(broken: Breakable, people: People, headgate: Headgate) -> None:
    """Every environment is cold and the table is gone: admins, stop and sessions go on, nothing is begun."""
    gate, probes = people.gate, people.probes
    broken.proxy.break_by(Fault.REFUSED)
    kill = gate.signed("POST", f"/admin/v1/flags/{ACCESS}/kill", {"reason": "in the dark"})
    assert kill.status == 503, "the kill cannot be written"
    assert (probes["mint"]().status, probes["entry"]().status) == (200, 200), "and everybody is still let in"

    over, seen = threading.Event(), []

    def watch() -> None:
        while not over.is_set():
            at = time.monotonic()
            seen.append((at, probes["entry"]().status))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        began = time.monotonic()
        done = headgate("kill", "--manifest", str(MANIFEST))
        took = time.monotonic() - began
        over.set()
        watching.result()
    assert done.returncode == 0, done.stderr
    statuses = [status for _, status in seen]
    assert set(statuses) == {200, 403}, "nothing fails in between"
    assert statuses == sorted(statuses), "and nobody is let in again"
    refused = next(at for at, status in seen if status == 403) - began
    print(f"the command took {took:.2f} s; the first refusal was asked for {refused:.2f} s after it began")
    print(done.stdout)
    for at, status in seen:
        assert status == 403 or at < began + took

    found = people.statuses()
    assert {name: found[name] for name in RUNNING} == dict.fromkeys(RUNNING, 200)
    assert {name: found[name] for name in ADMINS} == dict.fromkeys(ADMINS, 200)
    assert {name: found[name] for name in REFUSED} == dict.fromkeys(REFUSED, 403)
    assert (found["mint"], found["start"], found["renew"]) == (503, 503, 503), "sessions are kept in the table"
    assert not any(probes["asks"]().json["asks"].values())
    assert headgate("status").stdout.count("*") == 3

    broken.proxy.heal()
    until(probes["renew"], lambda answer: answer.status == 200, within=BACK)
    until(probes["mint"], lambda answer: answer.status == 403, within=BACK)
    found = people.statuses()
    well = (*RUNNING, *ADMINS, "renew")
    assert {name: found[name] for name in well} == dict.fromkeys(well, 200), "the table's rules, under the kill"
    assert {name: found[name] for name in (*REFUSED, "start")} == dict.fromkeys((*REFUSED, "start"), 403)
    evaluation = gate.evaluation_token(people.user)
    shown = until(lambda: gate.evaluate(ACCESS, evaluation), lambda answer: answer.status == 200, within=BACK).json
    assert (shown["value"], shown["reason"], shown["metadata"]["reason"]) == (False, "DISABLED", "KILLED")
    assert gate.flag(ACCESS)["killed"] is None, "the record knows nothing of it"

    assert headgate("lift").returncode == 0
    until(probes["mint"], lambda answer: answer.status == 200, within=BACK)
    until(probes["entry"], lambda answer: answer.status == 200, within=BACK)
    assert set(headgate("status").stdout.split()) & {"*"} == set()


def test_without_the_manifest_a_cold_environment_knows_only_admins(
    broken: Breakable, people: People, headgate: Headgate
) -> None:
    broken.proxy.break_by(Fault.HANGING)
    assert headgate("kill").returncode == 0
    found = people.statuses()
    assert {found[name] for name in (*RUNNING, *REFUSED)} == {403}
    assert {found[name] for name in ADMINS} == {200}


def test_where_only_writing_fails_the_tables_rules_are_under_the_kill(
    broken: Breakable, people: People, headgate: Headgate
) -> None:
    broken.proxy.break_by(Fault.FAILING, only=("TransactWriteItems",))
    kill = people.gate.signed("POST", f"/admin/v1/flags/{ACCESS}/kill", {"reason": "no writes"})
    assert kill.status == 503
    assert people.probes["entry"]().status == 200
    assert headgate("kill", "--flag", ACCESS).returncode == 0
    found = people.statuses()
    assert {found[name] for name in (*RUNNING, *ADMINS)} == {200}
    assert {found[name] for name in (*REFUSED, "mint", "start")} == {403}
