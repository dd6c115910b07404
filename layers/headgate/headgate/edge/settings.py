"""What each function reads from its environment, once, at startup. A failure lists every fault."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from headgate.core.emergency import Emergency, read_emergency
from headgate.edge import telemetry

IDENTITY_ISSUERS, LEGACY_ISSUER = "HEADGATE_IDENTITY_ISSUERS", "HEADGATE_LEGACY_ISSUER"
KILL, ROUTES = "HEADGATE_EMERGENCY_KILL", "HEADGATE_EMERGENCY_ROUTES"


class Misconfigured(RuntimeError):
    """The function cannot start. Lists every variable that is missing or blank."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Settings of token, evaluate, and authorizer. An empty `issuer` means the request's origin.

    `origins` are digests of the secrets that the API's front sends; empty if there is no front (see
    `http.Request.came_through_front`).
    """

    table: str
    signing_keys: tuple[str, ...]
    audience: str
    issuer: str = ""
    origins: tuple[str, ...] = ()


def gate_settings(environment: Mapping[str, str] = os.environ) -> GateSettings:
    """Read the settings that these functions share. Raises `Misconfigured`."""
    needed = required("HEADGATE_TABLE", "HEADGATE_SIGNING_KEYS", "HEADGATE_AUDIENCE", environment=environment)
    return GateSettings(
        needed["HEADGATE_TABLE"],
        key_ids(needed["HEADGATE_SIGNING_KEYS"]),
        needed["HEADGATE_AUDIENCE"],
        environment.get("HEADGATE_ISSUER", ""),
        tuple(filter(None, environment.get("HEADGATE_ORIGIN_DIGESTS", "").split(","))),
    )


def home(environment: Mapping[str, str] = os.environ) -> str:
    """Return what the head of the stack's table must say (`store.port.Table.home`): by default, the table's name."""
    return environment.get("HEADGATE_HOME", "") or environment["HEADGATE_TABLE"]


def key_ids(text: str) -> tuple[str, ...]:
    """Return the ids of KMS keys given by id or ARN, separated by commas. Tokens name their key by its id."""
    return tuple(key.strip().rpartition("/")[2] for key in text.split(",") if key.strip())


def emergency_kill(function: str, environment: Mapping[str, str] = os.environ) -> Emergency:
    """Read the emergency kill from the environment. Log and count it at every cold start, so that nobody forgets it."""
    found = read_emergency(environment.get(KILL, ""), environment.get(ROUTES, ""))
    if found.flags:
        malformed = ",".join(found.malformed)
        telemetry.log("emergency", function=function, flag=",".join(sorted(found.flags)),
                      code=f"malformed:{malformed}" if malformed else None)  # fmt: skip
        telemetry.count("EmergencyKill", function=function)
    return found


def required(*names: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables. Raises `Misconfigured`, which names every one that is missing or blank."""
    missing = [name for name in names if not environment.get(name, "").strip()]
    if missing:
        raise Misconfigured("environment variables not set: " + ", ".join(missing))
    return {name: environment[name] for name in names}
