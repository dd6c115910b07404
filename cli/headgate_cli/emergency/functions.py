"""Sets and lifts a kill on the gate's functions through AWS Lambda's own API, without any function of Headgate.

For each function: read its variables -> set the kill -> wait until Lambda has applied the change. The authorizer is
called through an alias, which is then moved to a new version that no deployment changes. Lifting clears the kill and
moves the alias back to what served before: $LATEST, or a released version. Both are idempotent, and resume where they
stopped.

Source: AWS Lambda API reference; Developer Guide, "Lambda function states" (an update is in effect once its
`LastUpdateStatus` is `Successful`; until then the previous configuration serves).
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headgate.core.model import RoutePolicy
from headgate_cli.emergency.variables import KILL, ROUTES, Stuck, Variables, killed, lifted, variables_of

GATE = "AuthorizerFunction"
FUNCTIONS = (GATE, "TokenFunction", "EvaluateFunction")
"""Logical ids of the functions that read the kill, the gate first."""
ALIAS, LATEST = "live", "$LATEST"
PATIENCE, EVERY = 90.0, 0.5
"""Seconds to wait for Lambda to apply a change, and between two checks."""
ATTEMPTS = 5
"""Attempts to update the variables: others may change the function at the same time."""
MAX_TEXT = 256
"""The maximum length of a version's or an alias's description, in characters."""
NOBODY: Mapping[str, float] = {}
WAS = re.compile(r"\(was (\d+)\) ")
"""At the start of the alias's description: the released version that served before the kill, and serves after it."""
CONCURRENT_CHANGE = ("PreconditionFailedException", "ResourceConflictException")


@dataclass(frozen=True, slots=True)
class _State:
    """What serves requests to a function: its kill, the bytes of routes that it has, and its version."""

    function: str
    kill: str
    routes: int
    serves: str


@dataclass(slots=True)
class Report:
    """What was done to a function: each step with its seconds; the routes it has, None if it accepts none."""

    function: str
    steps: list[tuple[str, float]] = field(default_factory=list)
    carried: int | None = None
    failure: str = ""

    @property
    def seconds(self) -> float:
        """The seconds of all steps."""
        return sum(seconds for _, seconds in self.steps)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Record a step, even if it fails."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.steps.append((name, time.monotonic() - began))

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Record a failure instead of raising it, so that the other functions are changed anyway."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            self.failure = said(error)
        except Stuck as error:
            self.failure = str(error)


class Functions:
    """Reads and changes functions by name or ARN. Safe to use from several threads."""

    def __init__(self, api: Any, *, pause: Callable[[float], None] = time.sleep, patience: float = PATIENCE) -> None:
        self._api, self._pause, self._patience = api, pause, patience

    def state(self, function: str) -> _State:
        """Return what serves a function's requests. Raises `Stuck`, `ClientError`, `BotoCoreError`."""
        alias = self.alias(function)
        serves = str(alias["FunctionVersion"]) if alias else LATEST
        variables = variables_of(self.configuration(function, serves))
        return _State(function, variables[KILL], len(variables.get(ROUTES, "")), serves)

    def kill(self, function: str, flags: str, work: Sequence[RoutePolicy] | None, reason: str) -> Report:
        """Set a kill on a function. `work` are the route policies to give it; None leaves them as they are."""
        report = Report(function)

        def with_kill(held: Variables) -> Variables:
            changed, report.carried = killed(held, flags, work)
            return changed

        with report.failures():
            for _attempt in range(ATTEMPTS):
                held = self._apply(report, with_kill)
                alias = self.alias(function)
                if alias is None or self._is_pinned(function, alias, held):
                    return report
                text = f"{self._origin(function, alias)}emergency kill of {flags}: {reason}"[:MAX_TEXT]
                if self._pin(report, alias, held, text):
                    return report
            raise Stuck("it keeps being changed by others")
        return report

    def lift(self, function: str, reason: str) -> Report:
        """Lift the kill on a function."""
        report = Report(function)
        with report.failures():
            self._apply(report, lifted)
            alias = self.alias(function)
            if alias is None:
                return report
            before = WAS.match(alias.get("Description", ""))
            if before or self._is_killed(function, alias):
                with report.step("alias"):
                    text = f"emergency lifted: {reason}"[:MAX_TEXT]
                    self.move(function, alias, before[1] if before else LATEST, text)
        return report

    def _apply(self, report: Report, wanted: Callable[[Variables], Variables]) -> Mapping[str, Any]:
        """Return the function's configuration once it has the wanted variables."""
        for _attempt in range(ATTEMPTS):
            configuration = self.settled(report.function)
            held = variables_of(configuration)
            changed = wanted(held)
            if changed == held and configuration.get("LastUpdateStatus") != "Failed":
                return configuration
            with report.step("variables"):
                self._update(report.function, changed, if_unchanged(configuration))
        raise Stuck("it keeps being changed by others")

    def _update(self, function: str, changed: Variables, guard: Mapping[str, str]) -> None:
        try:
            self._api.update_function_configuration(
                FunctionName=function, Environment={"Variables": dict(changed)}, **guard
            )
        except ClientError as error:
            if code_of(error) not in CONCURRENT_CHANGE:
                raise
            self._pause(EVERY)
            return
        found = self.settled(function)
        if found.get("LastUpdateStatus") == "Failed":
            raise Stuck(f"Lambda could not apply the change: {found.get('LastUpdateStatusReasonCode')}")

    def _pin(self, report: Report, alias: Mapping[str, Any], held: Mapping[str, Any], text: str) -> bool:
        """Publish the function as it was read, and serve that version. Return False if it has changed since."""
        with report.step("version"):
            version = self.publish(report.function, held, text)
        if version is None:
            return False
        with report.step("alias"):
            self.move(report.function, alias, version, text)
        return True

    def publish(self, function: str, held: Mapping[str, Any], text: str) -> str | None:
        """Publish a function and return the version once it can serve; None if it is not as it was read (`held`)."""
        try:
            made = self._api.publish_version(FunctionName=function, Description=text, **if_unchanged(held))
        except ClientError as error:
            if code_of(error) not in CONCURRENT_CHANGE:
                raise
            return None
        self.settled(function, made["Version"])
        return str(made["Version"])

    def move(
        self, function: str, alias: Mapping[str, Any], version: str, text: str,
        shares: Mapping[str, float] = NOBODY, **guard: str,
    ) -> Mapping[str, Any]:  # fmt: skip
        """Point the alias at a version, and at others only for their `shares` of the requests. Return it as it is then.

        Without a `guard` (`RevisionId`), it overrides whatever moves the alias at the same time (docs/decisions/0021).
        """
        weighted = version != LATEST or weights(alias)  # else there is nothing to clear
        routing = {"RoutingConfig": {"AdditionalVersionWeights": dict(shares)}} if weighted else {}
        moved: Mapping[str, Any] = self._api.update_alias(
            FunctionName=function, Name=ALIAS, FunctionVersion=version, Description=text, **routing, **guard
        )
        return moved

    def _is_pinned(self, function: str, alias: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
        """Return whether the alias points only at a version with these variables."""
        version = alias["FunctionVersion"]
        if version == LATEST or weights(alias):
            return False
        return variables_of(self.configuration(function, version)) == variables_of(held)

    def _is_killed(self, function: str, alias: Mapping[str, Any]) -> bool:
        """Return whether the alias points at a version with a kill."""
        version = alias["FunctionVersion"]
        return version != LATEST and bool(variables_of(self.configuration(function, version))[KILL])

    def _origin(self, function: str, alias: Mapping[str, Any]) -> str:
        """Return what `WAS` reads, for an alias that is about to be moved; empty if it followed $LATEST."""
        before = WAS.match(alias.get("Description", ""))
        if before:
            return before[0]
        version = alias["FunctionVersion"]
        return "" if version == LATEST or self._is_killed(function, alias) else f"(was {version}) "

    def settled(self, function: str, version: str = LATEST) -> Mapping[str, Any]:
        """Return a version's configuration once no change is in progress. Raises `Stuck` if that takes too long."""
        waited = 0.0
        while waited <= self._patience:
            found = self.configuration(function, version)
            if found.get("LastUpdateStatus") != "InProgress" and found.get("State") != "Pending":
                return found
            self._pause(EVERY)
            waited += EVERY
        raise Stuck(f"a change is still in progress after {self._patience:.0f} s")

    def configuration(self, function: str, version: str = LATEST) -> Mapping[str, Any]:
        """Return a version's configuration."""
        qualifier = {} if version == LATEST else {"Qualifier": version}
        found: Mapping[str, Any] = self._api.get_function_configuration(FunctionName=function, **qualifier)
        return found

    def alias(self, function: str) -> Mapping[str, Any] | None:
        """Return what the alias points to; None if the function has none."""
        try:
            found: Mapping[str, Any] = self._api.get_alias(FunctionName=function, Name=ALIAS)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            return None
        return found


def find(stacks: Any, stack: str) -> list[str]:
    """Return the names of a stack's functions, from CloudFormation. Raises `ClientError`, `BotoCoreError`."""
    found = [stacks.describe_stack_resource(StackName=stack, LogicalResourceId=name) for name in FUNCTIONS]
    return [str(one["StackResourceDetail"]["PhysicalResourceId"]) for one in found]


def said(error: ClientError | BotoCoreError) -> str:
    """Describe a failed AWS call."""
    if isinstance(error, ClientError):
        return f"{code_of(error)}: {error.response['Error'].get('Message', '')}"
    return f"{type(error).__name__}: {error}"


def weights(alias: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the share of an alias's requests that other versions get."""
    shares: Mapping[str, float] = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return shares


def if_unchanged(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Return the arguments that make a call fail if the function was changed since it was read."""
    return {"RevisionId": configuration["RevisionId"]} if "RevisionId" in configuration else {}


def code_of(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
