"""PostHog: the function with which its client evaluates locally, without the client around it."""

from typing import Any

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from posthog.feature_flags import match_feature_flag_properties

NAME, NATIVE, KINDS = "posthog", False, frozenset(Kind)


def load(case: Case) -> Asking:
    """Definitions by key, as the client holds them."""
    flags = {spec.key: flag(spec) for spec in case.specs}
    users = [(person.user, {"distinct_id": person.user, **person.attributes}) for person in case.crowd]
    call = (
        "match(flags[key], subject[0], subject[1], bucketing_value=subject[0], flags_by_key=flags, evaluation_cache={})"
    )
    return Asking(call, {"match": match_feature_flag_properties, "flags": flags}, users)


def flag(spec: Spec) -> dict[str, Any]:
    """One definition: one group of conditions."""
    properties: list[dict[str, Any]] = []
    match spec.kind:
        case Kind.LISTED:
            properties = [_person("distinct_id", "exact", list(spec.users))]
        case Kind.RULE:
            properties = [_person("plan", "exact", "pro"), _person("seats", "gt", 10)]
        case Kind.CHILD:
            properties = [{"type": "flag", "key": spec.parent, "operator": "flag_evaluates_to", "value": True,
                           "dependency_chain": [spec.parent]}]  # fmt: skip
        case _:
            pass
    percent = PERCENT if spec.kind is Kind.SPLIT else 100
    return {"key": spec.key, "active": True,
            "filters": {"groups": [{"properties": properties, "rollout_percentage": percent}]}}  # fmt: skip


def _person(key: str, operator: str, value: Any) -> dict[str, Any]:
    return {"type": "person", "key": key, "operator": operator, "value": value}
