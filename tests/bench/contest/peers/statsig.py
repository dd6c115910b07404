"""Statsig: its client core (Rust) on specs from a store in memory, with network and logging off."""

import json
from typing import Any

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from statsig_python_core import (
    DataStore,
    DataStoreResponse,
    FeatureGateEvaluationOptions,
    Statsig,
    StatsigOptions,
    StatsigUser,
)

NAME, NATIVE, KINDS = "statsig (core)", True, frozenset(Kind)


class InMemory(DataStore):
    """A store that holds one document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self._document = document

    def get(self, _key: str) -> DataStoreResponse:
        return DataStoreResponse(result=self._document, time=1_700_000_000_000)


def load(case: Case) -> Asking:
    """A client of its own."""
    conditions: dict[str, Any] = {}
    gates = {spec.key: gate(spec, conditions) for spec in case.specs}
    document = {"feature_gates": gates, "condition_map": conditions, "dynamic_configs": {}, "layer_configs": {},
                "experiment_to_layer": {}, "has_updates": True, "time": 1_700_000_000_000,
                "response_format": "dcs-v2"}  # fmt: skip
    options = StatsigOptions()
    options.data_store = InMemory(json.dumps(document))
    options.disable_network = options.disable_all_logging = True
    options.output_log_level = "none"
    client = Statsig("secret-bench", options)
    client.initialize().wait()
    users = [StatsigUser(person.user, custom=dict(person.attributes)) for person in case.crowd]
    quiet = FeatureGateEvaluationOptions(disable_exposure_logging=True)
    return Asking("client.check_gate(subject, key, quiet)", {"client": client, "quiet": quiet}, users)


def gate(spec: Spec, conditions: dict[str, Any]) -> dict[str, Any]:
    """One gate: one rule, whose conditions are named in a map beside the gates."""
    needed = [_condition("public", None)]
    match spec.kind:
        case Kind.LISTED:
            needed = [_condition("user_field", list(spec.users), "userID", "any")]
        case Kind.RULE:
            needed = [_condition("user_field", ["pro"], "plan", "any"), _condition("user_field", 10, "seats", "gt")]
        case Kind.CHILD:
            needed = [_condition("pass_gate", spec.parent)]
        case _:
            pass
    names = [f"{spec.key}-{index}" for index in range(len(needed))]
    conditions.update(zip(names, needed, strict=True))
    rule = {"name": "in", "groupName": "in", "id": "in", "salt": "in", "idType": "userID", "returnValue": True,
            "passPercentage": PERCENT if spec.kind is Kind.SPLIT else 100, "conditions": names}  # fmt: skip
    return {"name": spec.key, "type": "feature_gate", "entity": "feature_gate", "salt": f"salt-of-{spec.key}",
            "enabled": True, "defaultValue": False, "idType": "userID", "rules": [rule]}  # fmt: skip


def _condition(kind: str, value: Any, field: str | None = None, operator: str | None = None) -> dict[str, Any]:
    return {"type": kind, "targetValue": value, "field": field, "operator": operator,
            "additionalValues": {}, "idType": "userID"}  # fmt: skip
