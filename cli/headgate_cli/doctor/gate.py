"""What serves the gate: the newest deployment, or an older version that a release or an emergency kill left in place.

Source: AWS Lambda API reference, GetAlias and GetFunctionConfiguration.
"""

from collections.abc import Iterator

from headgate_cli.doctor.checked import Checked
from headgate_cli.emergency.functions import LATEST, Functions, weights
from headgate_cli.emergency.variables import KILL, Stuck, variables_of

DEPLOYED = ("CodeSha256", "Environment", "Layers")
"""What a deployment changes in a function's configuration, as far as its decisions are concerned."""


def check_gate(functions: Functions, function: str) -> Iterator[Checked]:
    """Check that the authorizer's alias serves what was deployed."""
    alias = functions.alias(function)
    if alias is None:
        yield Checked("gate", "the authorizer has no alias: deploy again", failed=True)
        return
    serving, shares = alias["FunctionVersion"], weights(alias)
    found = {version: functions.configuration(function, version) for version in (LATEST, serving, *shares)}
    try:
        kills = [variables_of(one)[KILL] for one in found.values()]
    except Stuck as stuck:
        yield Checked("gate", f"whether a kill is in force is not known: {stuck}", failed=True)
        return
    if any(kills):
        told = "an emergency kill is in force: lift it when the table answers (docs/operate.md)"
        yield Checked("gate", told, failed=True)
    elif shares:
        yield Checked("gate", "a release is in progress, or was interrupted: run headgate release", failed=True)
    elif any(found[serving].get(name) != found[LATEST].get(name) for name in DEPLOYED):
        told = f"version {serving} serves, not the newest deployment: run headgate release"
        yield Checked("gate", told, failed=True)
    else:
        yield Checked("gate", f"version {serving} serves the newest deployment")
