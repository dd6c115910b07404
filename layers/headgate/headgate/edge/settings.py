"""What each function reads from its environment: once, at start, failing with every fault listed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from headgate.core.emergency import Emergency, read_emergency
from headgate.edge import telemetry

KILL, ROUTES = "HEADGATE_EMERGENCY_KILL", "HEADGATE_EMERGENCY_ROUTES"


class Misconfigured(RuntimeError):
    """The function cannot start. Lists every variable that is missing or empty."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Token, evaluate and authorizer. An empty `issuer` means the request's origin."""

    table: str
    signing_keys: tuple[str, ...]
    audience: str
    issuer: str = ""


def gate_settings(environment: Mapping[str, str] = os.environ) -> GateSettings:
    """Read what the gate functions share. Raises `Misconfigured`."""
    needed = required("HEADGATE_TABLE", "HEADGATE_SIGNING_KEYS", "HEADGATE_AUDIENCE", environment=environment)
    keys = tuple(key.strip() for key in needed["HEADGATE_SIGNING_KEYS"].split(",") if key.strip())
    return GateSettings(
        needed["HEADGATE_TABLE"], keys, needed["HEADGATE_AUDIENCE"], environment.get("HEADGATE_ISSUER", "")
    )


def emergency_kill(function: str, environment: Mapping[str, str] = os.environ) -> Emergency:
    """The emergency kill that the environment tells of. Said and counted at every cold start, lest it be forgotten."""
    found = read_emergency(environment.get(KILL, ""), environment.get(ROUTES, ""))
    if found.flags:
        malformed = ",".join(found.malformed)
        telemetry.log("emergency", function=function, flag=",".join(sorted(found.flags)),
                      code=f"malformed:{malformed}" if malformed else None)  # fmt: skip
        telemetry.count("EmergencyKill", function=function)
    return found


def required(*names: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables, all of them there and not blank. Raises `Misconfigured` naming those that are not."""
    missing = [name for name in names if not environment.get(name, "").strip()]
    if missing:
        raise Misconfigured("not set: " + ", ".join(missing))
    return {name: environment[name] for name in names}
