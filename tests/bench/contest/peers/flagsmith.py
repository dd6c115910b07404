"""Flagsmith: its evaluation engine. It evaluates a whole environment at a time, whatever is asked."""

from typing import Any

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from flag_engine.engine import get_evaluation_result

NAME, NATIVE, KINDS = "flagsmith (engine)", False, frozenset(Kind) - {Kind.CHILD}


def load(case: Case) -> Asking:
    """One context per user, over the same features and segments."""
    shared = {
        "environment": {"key": "bench", "name": "bench"},
        "features": {
            spec.key: {"key": spec.key, "name": spec.key, "enabled": spec.kind is Kind.GA, "value": None}
            for spec in case.specs
        },
        "segments": {spec.key: segment(spec) for spec in case.specs if spec.kind is not Kind.GA},
    }
    contexts = [
        {**shared, "identity": {"identifier": person.user, "key": person.user, "traits": dict(person.attributes)}}
        for person in case.crowd
    ]
    one, everything = "evaluate(subject)['flags'][key]['enabled']", "evaluate(subject)['flags']"
    return Asking(one, {"evaluate": get_evaluation_result}, contexts, all=everything, read=_enabled)


def _enabled(answer: Any) -> bool:
    return bool(answer["enabled"] if isinstance(answer, dict) else answer)


def segment(spec: Spec) -> dict[str, Any]:
    """Who is in, and the override that turns the flag on for them."""
    conditions: list[dict[str, Any]] = []
    match spec.kind:
        case Kind.SPLIT:
            conditions = [{"property": "$.identity.key", "operator": "PERCENTAGE_SPLIT", "value": str(PERCENT)}]
        case Kind.LISTED:
            conditions = [{"property": "$.identity.identifier", "operator": "IN", "value": list(spec.users)}]
        case _:
            conditions = [{"property": "plan", "operator": "EQUAL", "value": "pro"},
                          {"property": "seats", "operator": "GREATER_THAN", "value": "10"}]  # fmt: skip
    return {"key": spec.key, "name": spec.key, "rules": [{"type": "ALL", "conditions": conditions}],
            "overrides": [{"key": spec.key, "name": spec.key, "enabled": True, "value": None}]}  # fmt: skip
