"""Unleash: Yggdrasil, the engine inside UnleashClient (Rust), asked without the client and without metrics."""

import json
from typing import Any

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from yggdrasil_engine.engine import UnleashEngine

NAME, NATIVE, KINDS = "unleash (engine)", True, frozenset(Kind)


def load(case: Case) -> Asking:
    """An engine with the flags as its state."""
    engine = UnleashEngine()
    engine.take_state(json.dumps({"version": 2, "features": [feature(spec) for spec in case.specs]}))
    contexts = [
        {"userId": person.user, "properties": {name: str(value) for name, value in person.attributes.items()}}
        for person in case.crowd
    ]
    return Asking("engine.check_enabled(key, subject).is_enabled", {"engine": engine}, contexts)


def feature(spec: Spec) -> dict[str, Any]:
    """One feature: one strategy."""
    strategy: dict[str, Any] = {"name": "default", "parameters": {}, "constraints": []}
    match spec.kind:
        case Kind.SPLIT:
            parameters = {"rollout": str(PERCENT), "stickiness": "userId", "groupId": spec.key}
            strategy |= {"name": "flexibleRollout", "parameters": parameters}
        case Kind.LISTED:
            strategy |= {"name": "userWithId", "parameters": {"userIds": ",".join(spec.users)}}
        case Kind.RULE:
            strategy["constraints"] = [{"contextName": "plan", "operator": "IN", "values": ["pro"]},
                                       {"contextName": "seats", "operator": "NUM_GT", "value": "10"}]  # fmt: skip
        case _:
            pass
    depends = [{"feature": spec.parent, "enabled": True}] if spec.parent else []
    return {"name": spec.key, "enabled": True, "strategies": [strategy], "dependencies": depends}
