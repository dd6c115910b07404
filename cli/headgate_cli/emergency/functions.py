"""Tells the gate's functions of a kill, through AWS Lambda's own API: nothing of Headgate need answer for it.

For each function: read what it is told -> tell it the kill -> wait until Lambda has taken it. The gate itself is called
by an alias, which is then moved to a version of its own that no deployment changes. Lifting tells the functions of no
kill and brings the alias back. Doing it twice does no more than once, and goes on where it stopped.

Source: AWS Lambda API reference; Developer Guide, "Lambda function states" (an update is in force once its
`LastUpdateStatus` is `Successful`; until then the configuration before it serves).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headgate.core.model import RoutePolicy
from headgate_cli.emergency.variables import KILL, ROUTES, Stuck, Variables, killed, lifted, variables_of

FUNCTIONS = ("AuthorizerFunction", "TokenFunction", "EvaluateFunction")
"""Logical ids of the functions that know the kill, the gate first."""
ALIAS, LATEST = "live", "$LATEST"
PATIENCE, EVERY = 90.0, 0.5
"""Seconds to wait for Lambda to take a change, and between two looks."""
ATTEMPTS = 5
"""Changes of variables to try: others may change the function at the same time."""
MAX_TEXT = 256
"""Characters of the description of a version or an alias."""
CHANGED_MEANWHILE = ("PreconditionFailedException", "ResourceConflictException")


@dataclass(frozen=True, slots=True)
class _State:
    """What answers requests to a function: the kill that it knows of, the bytes of routes that it carries."""

    function: str
    kill: str
    routes: int
    serves: str


@dataclass(slots=True)
class Report:
    """What was done to a function: each step with its seconds; the routes carried, None where it takes none."""

    function: str
    steps: list[tuple[str, float]] = field(default_factory=list)
    carried: int | None = None
    failure: str = ""

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(seconds for _, seconds in self.steps)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note a step, a failed one too."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.steps.append((name, time.monotonic() - began))

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Note a failure instead of raising it: the other functions are told all the same."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            self.failure = said(error)
        except Stuck as error:
            self.failure = str(error)


class Functions:
    """Functions by name or ARN. Safe to use for several at once."""

    def __init__(self, api: Any, *, pause: Callable[[float], None] = time.sleep, patience: float = PATIENCE) -> None:
        self._api, self._pause, self._patience = api, pause, patience

    def state(self, function: str) -> _State:
        """What serves. Raises `Stuck`, `ClientError`, `BotoCoreError`."""
        alias = self._alias(function)
        serves = str(alias["FunctionVersion"]) if alias else LATEST
        variables = variables_of(self._configuration(function, serves))
        return _State(function, variables[KILL], len(variables.get(ROUTES, "")), serves)

    def kill(self, function: str, flags: str, work: Sequence[RoutePolicy] | None, reason: str) -> Report:
        """Tell a function of a kill. `work`: the route policies to carry, None to leave what it carries."""
        report = Report(function)

        def with_kill(held: Variables) -> Variables:
            told, report.carried = killed(held, flags, work)
            return told

        with report.failures():
            self._tell(report, with_kill)
            alias = self._alias(function)
            if alias is not None and not self._stands(function, alias):
                self._pin(report, alias, f"emergency kill of {flags}: {reason}"[:MAX_TEXT])
        return report

    def lift(self, function: str, reason: str) -> Report:
        """Tell a function that there is no kill."""
        report = Report(function)
        with report.failures():
            self._tell(report, lifted)
            alias = self._alias(function)
            if alias is not None and alias["FunctionVersion"] != LATEST:
                with report.step("alias"):
                    self._move(function, alias, LATEST, f"emergency lifted: {reason}"[:MAX_TEXT])
        return report

    def _tell(self, report: Report, wanted: Callable[[Variables], Variables]) -> None:
        for _attempt in range(ATTEMPTS):
            configuration = self._settled(report.function)
            held = variables_of(configuration)
            told = wanted(held)
            if told == held and configuration.get("LastUpdateStatus") != "Failed":
                return
            with report.step("variables"):
                self._update(report.function, told, _guard(configuration))
        raise Stuck("others change it at the same time")

    def _update(self, function: str, told: Variables, guard: Mapping[str, str]) -> None:
        try:
            self._api.update_function_configuration(
                FunctionName=function, Environment={"Variables": dict(told)}, **guard
            )
        except ClientError as error:
            if _code(error) not in CHANGED_MEANWHILE:
                raise
            self._pause(EVERY)
            return
        found = self._settled(function)
        if found.get("LastUpdateStatus") == "Failed":
            raise Stuck(f"Lambda could not take the change: {found.get('LastUpdateStatusReasonCode')}")

    def _pin(self, report: Report, alias: Mapping[str, Any], text: str) -> None:
        guard = _guard(self._settled(report.function))
        with report.step("version"):
            made = self._api.publish_version(FunctionName=report.function, Description=text, **guard)
            self._settled(report.function, made["Version"])
        with report.step("alias"):
            self._move(report.function, alias, made["Version"], text)

    def _move(self, function: str, alias: Mapping[str, Any], version: str, text: str) -> None:
        """Weights are taken away: a share of the requests would still go to another version."""
        alone: dict[str, Any] = {"RoutingConfig": {"AdditionalVersionWeights": {}}} if _weights(alias) else {}
        self._api.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=version, Description=text, **alone)

    def _stands(self, function: str, alias: Mapping[str, Any]) -> bool:
        """Whether the alias is on a version that knows what the function knows, and on that alone."""
        version = alias["FunctionVersion"]
        if version == LATEST or _weights(alias):
            return False
        return variables_of(self._configuration(function, version)) == variables_of(self._configuration(function))

    def _settled(self, function: str, version: str = LATEST) -> Mapping[str, Any]:
        """The configuration once no change of it is under way. Raises `Stuck` when that takes too long."""
        waited = 0.0
        while waited <= self._patience:
            found = self._configuration(function, version)
            if found.get("LastUpdateStatus") != "InProgress" and found.get("_State") != "Pending":
                return found
            self._pause(EVERY)
            waited += EVERY
        raise Stuck(f"a change of it is still under way after {self._patience:.0f} s")

    def _configuration(self, function: str, version: str = LATEST) -> Mapping[str, Any]:
        qualifier = {} if version == LATEST else {"Qualifier": version}
        found: Mapping[str, Any] = self._api.get_function_configuration(FunctionName=function, **qualifier)
        return found

    def _alias(self, function: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self._api.get_alias(FunctionName=function, Name=ALIAS)
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise
            return None
        return found


def find(stacks: Any, stack: str) -> list[str]:
    """The names of a stack's functions, from CloudFormation. Raises `ClientError`, `BotoCoreError`."""
    found = [stacks.describe_stack_resource(StackName=stack, LogicalResourceId=name) for name in FUNCTIONS]
    return [str(one["StackResourceDetail"]["PhysicalResourceId"]) for one in found]


def said(error: ClientError | BotoCoreError) -> str:
    """What went wrong with a call of AWS."""
    if isinstance(error, ClientError):
        return f"{_code(error)}: {error.response['Error'].get('Message', '')}"
    return f"{type(error).__name__}: {error}"


def _weights(alias: Mapping[str, Any]) -> Mapping[str, float]:
    """Versions that get a share of an alias's requests."""
    shares: Mapping[str, float] = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return shares


def _guard(configuration: Mapping[str, Any]) -> dict[str, str]:
    """What makes a call fail where the function was changed since it was read."""
    return {"RevisionId": configuration["RevisionId"]} if "RevisionId" in configuration else {}


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
