"""GrowthBook: its evaluator on features in memory, with one context per user, as its clients call it."""

from typing import Any

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from growthbook.common_types import EvaluationContext, Feature, GlobalContext, Options, StackContext, UserContext
from growthbook.core import eval_feature

NAME, NATIVE, KINDS = "growthbook", False, frozenset(Kind)


def load(case: Case) -> Asking:
    """Features of one global context; an evaluation needs a context of its own, which guards against cycles."""
    shared = GlobalContext(Options(), {spec.key: Feature(**feature(spec)) for spec in case.specs})

    def context(user: UserContext) -> EvaluationContext:
        return EvaluationContext(user, shared, StackContext(evaluated_features=set()))

    users = [UserContext(attributes={"id": person.user, **person.attributes}) for person in case.crowd]
    names = {"eval_feature": eval_feature, "context": context}
    return Asking("eval_feature(key, context(subject)).on", names, users)


def feature(spec: Spec) -> dict[str, Any]:
    """One feature."""
    rule: dict[str, Any] = {"force": True}
    match spec.kind:
        case Kind.GA:
            return {"defaultValue": True}
        case Kind.SPLIT:
            rule |= {"coverage": PERCENT / 100, "hashAttribute": "id", "seed": spec.key}
        case Kind.LISTED:
            rule |= {"condition": {"id": {"$in": list(spec.users)}}}
        case Kind.RULE:
            rule |= {"condition": {"plan": "pro", "seats": {"$gt": 10}}}
        case Kind.CHILD:
            rule |= {"parentConditions": [{"id": spec.parent, "condition": {"value": True}, "gate": True}]}
    return {"defaultValue": False, "rules": [rule]}
