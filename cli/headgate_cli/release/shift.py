"""Shifts the gate's alias to a new version by growing shares of its requests, and back if an alarm goes off.

    publish $LATEST -> for each step: set the share, watch the alarms -> point the alias at the new version

Every move of the alias names the revision of the alias that it was decided on. Lambda refuses it if the alias was moved
since, and the shift ends. So a shift cannot replace an emergency kill, whenever that is made: the kill's own move is
unconditional. A version that carries a kill is never shifted to, nor one from which a kill would be lost.

Source: AWS Lambda API reference, PublishVersion and UpdateAlias (`RevisionId`); Developer Guide, "Create a Lambda
function alias" (no weights over $LATEST).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headgate_cli.emergency.functions import CONCURRENT_CHANGE, LATEST, MAX_TEXT, NOBODY, Functions, code_of, weights
from headgate_cli.emergency.variables import KILL, variables_of

ALARMS = (
    *("AuthorizerErrorsAlarm", "AuthorizerThrottlesAlarm", "VerifierFaultAlarm", "StoreUnavailableAlarm"),
    "KeyUnavailableAlarm",
)
"""Logical ids of the alarms that stop a shift."""
BY_RELEASE = "headgate release"
"""The description of the versions and of the alias."""
CHANGED = "the alias was changed during the release, perhaps by an emergency kill: run headgate emergency status"
LOOK_EVERY = 10.0
"""Seconds between two checks of the alarms."""


class Stopped(Exception):
    """The shift was not made, or was undone. The text says why."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What the alias points to after a move: a version, and the percentage of requests that another one gets."""

    version: str
    other: str = ""
    percent: int = 0


class Shift:
    """Shifts one function's alias. `alarms` returns those of `ALARMS` that are on."""

    def __init__(
        self, functions: Functions, function: str, alarms: Callable[[], Sequence[str]], pause: Callable[[float], None]
    ) -> None:
        self._functions, self._function = functions, function
        self._alarms, self._pause = alarms, pause

    def run(self, steps: Sequence[int], seconds: float) -> Iterator[Moved]:
        """Publish what was deployed and shift to it, in steps of percent, each watched for `seconds`.

        Yields each move. Raises `Stopped`, `Stuck`, `ClientError`, `BotoCoreError`.
        """
        alias = self._functions.alias(self._function)
        if alias is None:
            raise Stopped("the function has no alias: deploy with this version's template")
        serving = (alias["FunctionVersion"], *weights(alias))
        if any(self._kill(version) for version in (LATEST, *serving)):
            raise Stopped("an emergency kill is in force: lift it first")
        if on := self._alarms():
            raise Stopped(f"already in alarm: {', '.join(on)}; fix the cause, then run the command again")
        version = self._published()
        if serving == (version,):
            return
        if alias["FunctionVersion"] != LATEST:  # $LATEST has the new code already, and cannot be weighted
            for percent in steps:
                alias = self._move(alias, alias["FunctionVersion"], BY_RELEASE, {version: percent / 100})
                yield Moved(alias["FunctionVersion"], version, percent)
                self._watch(alias, seconds)
        self._move(alias, version, BY_RELEASE)
        yield Moved(version)

    def _kill(self, version: str) -> str:
        return variables_of(self._functions.configuration(self._function, version))[KILL]

    def _published(self) -> str:
        """Publish $LATEST as it was when its kill was read. Return the version, once it can serve."""
        latest = self._functions.settled(self._function)
        if variables_of(latest)[KILL]:
            raise Stopped("an emergency kill is in force: lift it first")
        version = self._functions.publish(self._function, latest, BY_RELEASE)
        if version is None:
            raise Stopped("the function was changed meanwhile: run the command again")
        return version

    def _watch(self, alias: Mapping[str, Any], seconds: float) -> None:
        """Check the alarms, at least once. Move everything back if one is on, or if they cannot be read."""
        waited = 0.0
        while True:
            if waited < seconds:
                self._pause(min(LOOK_EVERY, seconds - waited))
                waited += LOOK_EVERY
            try:
                on = ", ".join(self._alarms())
            except (BotoCoreError, ClientError):
                on = "reading the alarms failed"
            if on:
                self._move(alias, alias["FunctionVersion"], f"rolled back: {on}"[:MAX_TEXT])
                raise Stopped(f"{on}: all requests go to version {alias['FunctionVersion']} again")
            if waited >= seconds:
                return

    def _move(self, alias: Mapping[str, Any], version: str, text: str, shares: Mapping[str, float] = NOBODY) -> Any:
        guard = {"RevisionId": str(alias["RevisionId"])}
        try:
            return self._functions.move(self._function, alias, version, text, shares, **guard)
        except ClientError as error:
            if code_of(error) not in CONCURRENT_CHANGE:
                raise
            found = self._functions.alias(self._function) or {}  # the answer to our own update may have been lost
            if found.get("FunctionVersion") == version and weights(found) == shares:
                return found
            told = (
                "the alias was changed during the release, perhaps by an emergency kill: run headgate emergency status"
            )
            raise Stopped(told) from None
