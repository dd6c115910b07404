"""`headgate release`: no deployment, shift, or rollback moves the gate to a version without a standing emergency kill.

The rehearsals run on Lambda's API as its reference describes it, with the kill pressed at each call of a shift, and a
shift begun at each call of a kill. The command runs on moto, which knows no `RevisionId`.
"""

import contextlib
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from lambda_api import OWN, Lambda, error
from moto_functions import GATE, REGION, Aws
from typer.testing import CliRunner, Result

from headgate_cli.emergency.variables import KILL
from headgate_cli.main import app
from headgate_cli.release.shift import ALARMS as ALARMED
from headgate_cli.release.shift import Moved, Shift, Stopped

STEPS, SECONDS = (10, 50), 20.0


@dataclass
class Gate:
    """A function that a release was made of, or not, and that was deployed again since. `on`: alarms, look by look."""

    released: bool
    on: Iterator[list[str]] = field(default_factory=lambda: itertools.repeat([]))
    api: Lambda = field(default_factory=Lambda)
    acted: bool = False

    def __post_init__(self) -> None:
        if self.released:
            self.shift()
        self.api.deploy()

    def shift(self) -> list[Moved]:
        """Release what was deployed."""
        shift = Shift(self.api.functions, "f", lambda: next(self.on), lambda _seconds: self.api.before())
        return list(shift.run(STEPS, SECONDS))

    def try_shift(self) -> None:
        """Release, or stop."""
        with contextlib.suppress(Stopped):
            self.shift()

    def kill(self) -> None:
        """Press the emergency kill."""
        assert self.api.functions.kill("f", "*", None, "why").failure == ""

    def at_call(self, number: int, act: Callable[[], object]) -> None:
        """Do something before the call of this number."""
        calls = itertools.count()

        def before() -> None:
            if next(calls) == number:
                self.api.before = lambda: None
                self.acted = True
                act()

        self.api.before = before

    def is_killed(self) -> bool:
        """Whether every version that gets requests has the kill."""
        return all(variables[KILL] == "*" for variables in self.api.serving())


def looks(quiet: int) -> Iterator[list[str]]:
    """An alarm that goes off after some looks."""
    return itertools.chain([[]] * quiet, itertools.repeat(["AuthorizerErrorsAlarm"]))


ALARMS = {"quiet": lambda: itertools.repeat([]), "at 10 %": lambda: looks(1), "at 50 %": lambda: looks(3)}


Act = Callable[[Gate], object]


def is_killed_whenever(act: Act, during: Act, released: bool, alarms: str, calls: int) -> None:
    """Do something before each call in turn: afterward the kill is in force. `calls` is the least number of calls."""
    for number in itertools.count():
        gate = Gate(released)
        gate.on = ALARMS[alarms]()
        gate.at_call(number, lambda gate=gate: act(gate))  # type: ignore[misc]
        during(gate)
        if not gate.acted:
            break
        assert gate.is_killed(), f"at call {number}"
    assert number >= calls, "it made fewer calls than it must"


@pytest.mark.parametrize("alarms", ALARMS)
@pytest.mark.parametrize("released", [False, True])
def test_a_kill_pressed_at_any_call_of_a_shift_stays_in_force(released: bool, alarms: str) -> None:
    is_killed_whenever(Gate.kill, Gate.try_shift, released, alarms, calls=6)


@pytest.mark.parametrize("alarms", ALARMS)
@pytest.mark.parametrize("released", [False, True])
def test_a_shift_begun_at_any_call_of_a_kill_does_not_undo_it(released: bool, alarms: str) -> None:
    is_killed_whenever(Gate.try_shift, Gate.kill, released, alarms, calls=5)


@pytest.mark.parametrize("released", [False, True])
def test_a_deployment_at_any_call_of_a_kill_does_not_undo_it(released: bool) -> None:
    is_killed_whenever(lambda gate: gate.api.deploy(), Gate.kill, released, "quiet", calls=5)


@pytest.mark.parametrize("released", [False, True])
def test_a_deployment_or_its_rollback_leaves_the_kill_and_cannot_be_released(released: bool) -> None:
    """A deployment resets the function's variables and does not touch the alias, whose properties never change."""
    gate = Gate(released)
    gate.kill()
    for _deployed in ("the deployment", "its rollback"):
        gate.api.deploy()
        assert gate.is_killed()
        with pytest.raises(Stopped, match="an emergency kill is in force"):
            gate.shift()
        assert gate.is_killed()


def test_lifting_returns_to_the_released_version_and_not_to_what_was_deployed_since() -> None:
    gate = Gate(released=True)
    before = gate.api.serving()
    gate.kill()
    gate.kill()
    assert gate.api.functions.lift("f", "over").failure == ""
    assert gate.api.serving() == before
    assert gate.shift()[-1] == Moved("3")
    assert gate.api.serving() == [gate.api.variables]
    gate.kill()
    assert gate.api.functions.lift("f", "over").failure == ""
    assert gate.api.alias["FunctionVersion"] == "3"


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("between", ["nothing", "another kill", "a deployment and a kill"])
def test_lifting_leaves_no_kill_and_moves_nothing_the_second_time(released: bool, between: str) -> None:
    gate = Gate(released)
    before = gate.api.alias["FunctionVersion"]
    assert gate.api.functions.kill("f", "a", None, "why").failure == ""
    if between != "nothing":
        if "deployment" in between:
            gate.api.deploy()
        gate.kill()
    for _lifted in range(2):
        assert gate.api.functions.lift("f", "over").failure == ""
        assert gate.api.alias["FunctionVersion"] == before
        assert not any(variables[KILL] for variables in gate.api.serving())


def test_lifting_without_a_kill_does_not_disturb_a_release() -> None:
    gate = Gate(released=True)
    shift = Shift(gate.api.functions, "f", list, lambda _seconds: None)
    next(shift.run(STEPS, SECONDS))
    before = gate.api.serving()
    assert gate.api.functions.lift("f", "over").failure == ""
    assert gate.api.serving() == before


def test_alarms_that_cannot_be_read_move_everything_back() -> None:
    gate = Gate(released=True)
    before, looks = gate.api.serving(), itertools.count()

    def alarms() -> list[str]:
        if next(looks):
            raise error("ExpiredTokenException")
        return []

    shift = Shift(gate.api.functions, "f", alarms, lambda _seconds: None)
    with pytest.raises(Stopped, match="reading the alarms failed: all requests go to version 1 again"):
        list(shift.run(STEPS, 0))
    assert gate.api.serving() == before


def test_a_shift_grows_step_by_step_and_ends_at_the_new_version() -> None:
    gate = Gate(released=True)
    assert gate.shift() == [Moved("1", "2", 10), Moved("1", "2", 50), Moved("2")]
    assert gate.shift() == [], "it serves the newest deployment already"
    assert Gate(released=False).shift() == [Moved("1")], "$LATEST cannot be weighted"


@pytest.mark.parametrize(("quiet", "moves"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_an_alarm_moves_all_requests_back(quiet: int, moves: int) -> None:
    gate = Gate(released=True)
    before = gate.api.serving()
    gate.on = looks(quiet)
    made: list[Moved] = []
    shift = Shift(gate.api.functions, "f", lambda: next(gate.on), lambda _seconds: None)
    with pytest.raises(Stopped, match="AuthorizerErrorsAlarm: all requests go to version 1 again"):
        made.extend(shift.run(STEPS, SECONDS))
    assert gate.api.serving() == before


def test_an_alarm_that_is_on_already_stops_the_release() -> None:
    gate = Gate(released=True)
    gate.on = looks(0)
    with pytest.raises(Stopped, match="already in alarm: AuthorizerErrorsAlarm"):
        gate.shift()
    assert len(gate.api.serving()) == 1


def test_a_shift_that_was_interrupted_is_resumed() -> None:
    gate = Gate(released=True)
    shift = Shift(gate.api.functions, "f", list, lambda _seconds: None)
    next(shift.run(STEPS, SECONDS))
    assert len(gate.api.serving()) == 2
    assert gate.shift()[-1] == Moved("2")
    assert gate.api.serving() == [{**OWN, "CODE": "0"}]


# -- the command, on moto


SHAPE = {"MetricName": "x", "Namespace": "x", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1,
         "Statistic": "Sum", "ComparisonOperator": "GreaterThanThreshold"}  # fmt: skip


@pytest.fixture
def aws(moto: str) -> Aws:
    """A stack with its alarms, named as CloudFormation names them."""
    stack = Aws(moto, f"stack-{uuid.uuid4().hex[:8]}")
    for name in ALARMED:
        cloudwatch(stack).put_metric_alarm(AlarmName=f"{stack.stack}-{name}-ABCDEFGH1234", **SHAPE)
    return stack


def cloudwatch(aws: Aws) -> Any:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name=REGION)
    return session.client("cloudwatch", endpoint_url=aws.url)


@pytest.fixture
def release(environment: dict[str, str], aws: Aws) -> Callable[..., Result]:
    def run(*args: str) -> Result:
        given: dict[str, str | None] = {**environment, "AWS_ENDPOINT_URL": aws.url}
        return CliRunner().invoke(app, ["release", "--stack", aws.stack, "--minutes", "0", *args], env=given)

    return run


def deploy(aws: Aws) -> None:
    """New code."""
    aws.api.update_function_code(FunctionName=aws.name(GATE), ZipFile=uuid.uuid4().bytes)


def test_the_command_shifts_the_alias(aws: Aws, release: Callable[..., Result]) -> None:
    first = release()
    assert (first.exit_code, first.stdout) == (0, "version 1 gets all requests\n"), first.output
    deploy(aws)
    second = release("--steps", "5,25")
    assert second.stdout.splitlines() == [
        "version 2 gets 5 %, version 1 the rest", "version 2 gets 25 %, version 1 the rest",
        "version 2 gets all requests",
    ]  # fmt: skip
    assert aws.alias["FunctionVersion"] == "2"
    deploy(aws)
    moves = json.loads(release("--json").stdout)["moves"]
    assert moves[-1] == {"version": "3", "other": "", "percent": 0}


def test_the_command_stops_at_an_alarm_and_at_a_kill(aws: Aws, release: Any, environment: dict[str, str]) -> None:
    name, alarms = f"{aws.stack}-VerifierFaultAlarm-ABCDEFGH1234", cloudwatch(aws)
    alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    done = release()
    assert (done.exit_code, "already in alarm: VerifierFaultAlarm" in done.output) == (4, True)
    alarms.delete_alarms(AlarmNames=[name])
    done = release()
    assert (done.exit_code, "VerifierFaultAlarm" in done.output, aws.versions) == (4, True, [])
    alarms.put_metric_alarm(AlarmName=name, **SHAPE)
    given: dict[str, str | None] = {**environment, "AWS_ENDPOINT_URL": aws.url}
    pressed = ["emergency", "kill", "--stack", aws.stack, "--reason", "drill", "--yes"]
    assert CliRunner().invoke(app, pressed, env=given).exit_code == 0
    done = release()
    assert (done.exit_code, "lift it first" in done.output) == (4, True)
    assert aws.serves()[KILL] == "*"


@pytest.mark.parametrize("steps", ["0", "100", "50,10", "10,10", "ten", "10;50"])
def test_steps_must_grow(release: Callable[..., Result], steps: str) -> None:
    assert release("--steps", steps).exit_code == 2
