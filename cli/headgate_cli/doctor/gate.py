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
    latest = api.get_function_configuration(FunctionName=function)
    served = latest if serving == LATEST else api.get_function_configuration(FunctionName=function, Qualifier=serving)
    if served.get("Environment", {}).get("Variables", {}).get(KILL):
        told = "an emergency kill is in force: lift it when the table answers (docs/operate.md)"
        yield Checked("gate", told, failed=True)
    elif shares:
        yield Checked("gate", "a release is in progress, or was interrupted: run headgate release", failed=True)
    elif any(served.get(name) != latest.get(name) for name in DEPLOYED):
        told = f"version {serving} serves, which is not what was deployed: run headgate release"
        yield Checked("gate", told, failed=True)
    else:
        yield Checked("gate", f"version {serving} serves what was deployed")
