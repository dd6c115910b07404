"""`headgate emergency` against moto's Lambda and CloudFormation, on a socket.

What moto does not implement (RevisionId, a slow or failing change) is in `test_emergency_faults`.
"""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from moto_functions import EVALUATE, GATE, KILL, OWN, ROUTES, TOKEN, Aws
from typer.testing import CliRunner, Result

from headgate.core.emergency import read_emergency, running_work
from headgate.core.routes import parse_routes
from headgate_cli.emergency.variables import MAX_BYTES, size
from headgate_cli.main import app
from headgate_cli.manifest_file import read_manifest

MANIFEST = Path(__file__).parents[2] / "examples/gastown/manifest.yaml"
Run = Callable[..., Result]


@pytest.fixture
def aws(moto: str) -> Aws:
    """A stack for each test."""
    return Aws(moto, f"stack-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def emergency(environment: dict[str, str], aws: Aws) -> Run:
    """Run the command in this process."""

    def run(*args: str, env: Mapping[str, str] | None = None) -> Result:
        given: dict[str, str | None] = {**environment, "AWS_ENDPOINT_URL": aws.url, **(env or {})}
        return CliRunner().invoke(app, ["emergency", *args], env=given)

    return run


WHY = ("--reason", "the table is silent", "--yes")


def test_kill_and_lift_set_and_remove_the_variables(
    aws: Aws, headgate: Any, emergency: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    args = ("kill", "--stack", aws.stack, *WHY, "--manifest", str(MANIFEST), "--json")
    done = headgate("emergency", *args, env={"AWS_ENDPOINT_URL": aws.url}, api=False)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    for name in (TOKEN, EVALUATE):
        assert aws.variables(name) == {**OWN[name], KILL: "*"}
    assert aws.alias["FunctionVersion"] == "1"
    served = aws.serves()
    work = running_work(parse_routes(read_manifest(MANIFEST)["routes"]))
    assert set(read_emergency(served[KILL], served[ROUTES]).routes.policies()) == set(work)
    assert f"{len(work)} of {len(work)} routes" in done.stderr
    assert "EmergencyKill='*'" in done.stderr
    assert aws.variables("WorkerFunction") == OWN["WorkerFunction"]
    steps = {one["function"]: one["steps"] for one in json.loads(done.stdout)["functions"]}
    assert [step["step"] for step in steps[aws.name(GATE)]] == ["variables", "version", "alias"]
    with capsys.disabled():
        print(f"\nemergency kill against moto: {took:.2f} s for the command, of which {steps}")

    lifted = emergency("lift", "--stack", aws.stack, "--reason", "over", "--yes")
    assert lifted.exit_code == 0, lifted.stderr
    assert aws.alias["FunctionVersion"] == "$LATEST"
    for name, variables in OWN.items():
        assert aws.variables(name) == variables, "the variables are as before"


def test_reason_is_stored_in_the_version_description(aws: Aws, emergency: Run) -> None:
    reason = "the table is silent, " * 20
    assert emergency("kill", "--stack", aws.stack, "--flag", "a-flag", "--reason", reason, "--yes").exit_code == 0
    held = aws.api.get_function_configuration(FunctionName=aws.name(GATE), Qualifier="1")["Description"]
    assert held == f"emergency kill of a-flag: {reason}"[:256]


def test_repeated_kill_changes_nothing(aws: Aws, emergency: Run) -> None:
    for _ in range(2):
        done = emergency("kill", "--stack", aws.stack, *WHY, "--manifest", str(MANIFEST))
        assert done.exit_code == 0, done.stderr
    assert done.stdout.count("unchanged") == 3
    assert aws.versions == ["1"]
    again = emergency("kill", "--stack", aws.stack, *WHY)
    assert again.stdout.count("unchanged") == 3, "without a manifest, the carried policies stay"
    for _ in range(2):
        done = emergency("lift", "--stack", aws.stack, *WHY)
    assert done.stdout.count("unchanged") == 3


def test_kill_of_other_flags_publishes_another_version(aws: Aws, emergency: Run) -> None:
    assert emergency("kill", "--stack", aws.stack, *WHY, "--flag", "b", "--flag", "a").exit_code == 0
    assert aws.serves()[KILL] == "a,b"
    assert emergency("kill", "--stack", aws.stack, *WHY).exit_code == 0
    assert (aws.serves()[KILL], aws.alias["FunctionVersion"]) == ("*", "2")


def test_weighted_alias_routing_is_removed(aws: Aws, emergency: Run) -> None:
    aws.api.publish_version(FunctionName=aws.name(GATE))
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    assert emergency("kill", "--stack", aws.stack, *WHY).exit_code == 0
    aws.api.update_alias(FunctionName=aws.name(GATE), Name="live", RoutingConfig=weights)
    assert emergency("kill", "--stack", aws.stack, *WHY).exit_code == 0
    assert aws.alias["RoutingConfig"]["AdditionalVersionWeights"] == {}


def test_functions_can_be_named_without_cloudformation(aws: Aws, emergency: Run) -> None:
    names = [word for name in (GATE, TOKEN, EVALUATE) for word in ("--function", aws.name(name))]
    silent = {"AWS_ENDPOINT_URL_CLOUDFORMATION": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    by_stack = emergency("kill", "--stack", aws.stack, *WHY, env=silent)
    assert by_stack.exit_code == 7
    assert "--function" in by_stack.stderr
    assert emergency("kill", *names, *WHY, env=silent).exit_code == 0
    assert aws.serves()[KILL] == "*"
    assert emergency("status", *names, env=silent).stdout.count("*") == 3


def test_partial_failure_is_reported_and_the_same_command_continues(aws: Aws, emergency: Run) -> None:
    names = ["--function", aws.name(GATE), "--function", aws.name("WorkerFunction"), "--function", aws.name("Nothing")]
    done = emergency("kill", *names, *WHY)
    assert done.exit_code == 7
    assert "1 of 3 functions are done" in done.stderr
    assert "ResourceNotFoundException" in done.stderr
    assert f"it has no variable {KILL}" in done.stderr
    assert aws.variables("WorkerFunction") == OWN["WorkerFunction"]
    assert aws.serves()[KILL] == "*"
    differs = emergency("status", "--stack", aws.stack)
    assert (differs.exit_code, "different" in differs.stderr) == (1, True)
    assert emergency("kill", "--stack", aws.stack, *WHY).exit_code == 0
    assert emergency("status", "--stack", aws.stack).exit_code == 0


def test_status_shows_each_function(aws: Aws, emergency: Run) -> None:
    before = json.loads(emergency("status", "--stack", aws.stack, "--json").stdout)["functions"]
    assert [(one["kill"], one["serves"]) for one in before] == [("", "$LATEST")] * 3
    emergency("kill", "--stack", aws.stack, *WHY, "--manifest", str(MANIFEST))
    after = json.loads(emergency("status", "--stack", aws.stack, "--json").stdout)["functions"]
    assert [(one["kill"], one["serves"], one["routes"] > 1_000) for one in after] == [
        ("*", "1", True), ("*", "$LATEST", False), ("*", "$LATEST", False),
    ]  # fmt: skip


def test_deployment_that_drops_the_kill_is_reported_and_the_gate_stays_killed(aws: Aws, emergency: Run) -> None:
    assert emergency("kill", "--stack", aws.stack, *WHY).exit_code == 0
    for name in (GATE, TOKEN, EVALUATE):
        aws.api.update_function_configuration(FunctionName=aws.name(name), Environment={"Variables": OWN[name]})
    assert aws.serves()[KILL] == "*", "the alias points to a version"
    assert emergency("status", "--stack", aws.stack).exit_code == 1
    assert emergency("kill", "--stack", aws.stack, *WHY).exit_code == 0
    assert emergency("status", "--stack", aws.stack).exit_code == 0


def test_policies_that_do_not_fit_are_left_out_and_reported(aws: Aws, emergency: Run, tmp_path: Path) -> None:
    numbers = [f"{number * 2_654_435_761 % 2**32:08x}" for number in range(900)]
    routes = [{"route": f"GET /api/{number}/{number[::-1]}", "class": "observe"} for number in numbers]
    routes += [{"route": f"DELETE /api/{number}", "class": "stop"} for number in numbers[:50]]
    manifest = tmp_path / "many.yaml"
    manifest.write_text(json.dumps({"routes": routes}))
    done = emergency("kill", "--stack", aws.stack, *WHY, "--manifest", str(manifest))
    assert done.exit_code == 0, done.stderr
    served = aws.serves()
    carried = read_emergency(served[KILL], served[ROUTES]).routes.routes
    assert size(served) <= MAX_BYTES
    assert 100 < len(carried) < 950
    assert sum(name.startswith("DELETE") for name in carried) == 50, "the most important policies first"
    assert f"{len(carried)} of 950 routes" in done.stderr
    assert f"{950 - len(carried)} do not fit" in done.stderr


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("kill", *WHY), "either --stack NAME or --function"),
        (("kill", "--stack", "s", "--function", "f", *WHY), "either --stack NAME or --function"),
        (("kill", "--stack", "s", "--reason", "r"), "--yes"),
        (("kill", "--stack", "s", "--yes"), "--reason"),
        (("kill", "--stack", "s", *WHY, "--flag", "No Key"), "a flag key"),
        (("kill", "--stack", "s", *WHY, "--flag", "gone", "--manifest", str(MANIFEST)), "no flag gone"),
        (("kill", "--stack", "s", *WHY, "--manifest", "nowhere.yaml"), "nowhere.yaml"),
        (("lift", "--stack", "s", "--reason", "r"), "--yes"),
    ],
)
def test_wrong_usage_is_reported_before_any_request(emergency: Run, args: tuple[str, ...], says: str) -> None:
    """Functions are named here: for a stack, the first request is where its functions are."""
    words = args if "--function" in args else [word.replace("--stack", "--function") for word in args]
    done = emergency(*words, env={"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"})
    assert done.exit_code == 2, done.stderr
    assert says in " ".join(done.stderr.split())


def test_missing_credentials_are_reported(emergency: Run) -> None:
    done = emergency("kill", "--function", "f", *WHY, env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert done.exit_code == 6
    assert "no AWS credentials" in done.stderr
