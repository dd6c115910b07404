"""Shifts the gate's alias to a new version by growing shares of its requests, and back if an alarm goes off.

    publish $LATEST -> for each step: set the share, watch the alarms -> point the alias at the new version

Every move of the alias names the revision of the alias that it was decided on. Lambda refuses it if the alias was moved
since, and the shift ends. So a shift cannot replace an emergency kill, whenever that is made: the kill's own move is
unconditional. A version that carries a kill is never shifted to, nor one from which a kill would be lost.

Source: AWS Lambda API reference, PublishVersion and UpdateAlias (`RevisionId`); Developer Guide, "Create a Lambda
function alias" (no weights over $LATEST).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from headgate_cli.emergency.functions import (
    ALIAS,
    CONCURRENT_CHANGE,
    LATEST,
    MAX_TEXT,
    Functions,
    code_of,
    if_unchanged,
    weights,
)
from headgate_cli.emergency.variables import KILL, variables_of

ALARMS = (
    *("AuthorizerErrorsAlarm", "AuthorizerThrottlesAlarm", "VerifierFaultAlarm", "StoreUnavailableAlarm"),
    "KeyUnavailableAlarm",
)
"""Logical ids of the alarms that stop a shift."""
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
        self, api: Any, functions: Functions, function: str, alarms: Callable[[], Sequence[str]],
        pause: Callable[[float], None],
    ) -> None:  # fmt: skip
        self._api, self._functions, self._function = api, functions, function
        self._alarms, self._pause = alarms, pause

    def run(self, steps: Sequence[int], seconds: float, text: str) -> Iterator[Moved]:
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
        version = self._published(text)
        if serving == (version,):
            return
        if alias["FunctionVersion"] != LATEST:  # $LATEST has the new code already, and cannot be weighted
            for percent in steps:
                alias = self._move(alias, alias["FunctionVersion"], text, {version: percent / 100})
                yield Moved(alias["FunctionVersion"], version, percent)
                self._watch(alias, seconds)
        self._move(alias, version, text)
        yield Moved(version)

    def _kill(self, version: str) -> str:
        return variables_of(self._functions.configuration(self._function, version))[KILL]

    def _published(self, text: str) -> str:
        """Publish $LATEST as it was when its kill was read. Return the version, once it can serve."""
        latest = self._functions.settled(self._function)
        if variables_of(latest)[KILL]:
            raise Stopped("an emergency kill is in force: lift it first")
        try:
            made = self._api.publish_version(FunctionName=self._function, Description=text, **if_unchanged(latest))
        except ClientError as error:
            if code_of(error) not in CONCURRENT_CHANGE:
                raise
            raise Stopped("the function was changed meanwhile: run the command again") from None
        self._functions.settled(self._function, made["Version"])
        return str(made["Version"])

    def _watch(self, alias: Any, seconds: float) -> None:
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

    def _move(self, alias: Any, version: str, text: str, shares: dict[str, float] | None = None) -> Any:
        try:
            return self._api.update_alias(
                FunctionName=self._function, Name=ALIAS, FunctionVersion=version, Description=text,
                RoutingConfig={"AdditionalVersionWeights": shares or {}}, RevisionId=alias["RevisionId"],
            )  # fmt: skip
        except ClientError as error:
            if code_of(error) not in CONCURRENT_CHANGE:
                raise
            found = self._functions.alias(self._function) or {}  # the answer to our own update may have been lost
            if found.get("FunctionVersion") == version and weights(found) == (shares or {}):
                return found
            text = (
                "the alias was changed during the release, perhaps by an emergency kill: run headgate emergency status"
            )
            raise Stopped(text) from None
