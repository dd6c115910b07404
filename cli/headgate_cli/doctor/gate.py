"""What serves the gate: the newest deployment, or an older version that a release or an emergency kill left in place.

Source: AWS Lambda API reference, GetAlias and GetFunctionConfiguration.
"""

from collections.abc import Iterator
from typing import Any

from headgate_cli.doctor.checked import Checked
from headgate_cli.emergency.functions import ALIAS, LATEST, weights
from headgate_cli.emergency.variables import KILL

DEPLOYED = ("CodeSha256", "Environment", "Layers")
"""What a deployment changes in a function's configuration, as far as its decisions are concerned."""


def check_gate(api: Any, function: str) -> Iterator[Checked]:
    """Check that the authorizer's alias serves what was deployed."""
    alias = api.get_alias(FunctionName=function, Name=ALIAS)
    serving, shares = alias["FunctionVersion"], weights(alias)
    found = {
        version: api.get_function_configuration(FunctionName=function, **_qualifier(version))
        for version in (LATEST, serving, *shares)
    }
    latest, served = found[LATEST], found[serving]
    environments = [one.get("Environment", {}) for one in found.values()]
    if any("Error" in environment for environment in environments):
        yield Checked("gate", "its variables cannot be read, so whether a kill is in force is not known", failed=True)
    elif any(environment.get("Variables", {}).get(KILL) for environment in environments):
        told = "an emergency kill is in force: lift it when the table answers (docs/operate.md)"
        yield Checked("gate", told, failed=True)
    elif shares:
        yield Checked("gate", "a release is in progress, or was interrupted: run headgate release", failed=True)
    elif any(served.get(name) != latest.get(name) for name in DEPLOYED):
        told = f"version {serving} serves, not the newest deployment: run headgate release"
        yield Checked("gate", told, failed=True)
    else:
        yield Checked("gate", f"version {serving} serves the newest deployment")


def _qualifier(version: str) -> dict[str, str]:
    return {} if version == LATEST else {"Qualifier": version}
