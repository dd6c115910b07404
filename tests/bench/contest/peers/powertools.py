"""AWS Lambda Powertools: its feature flags on a store in memory, whose schema it checks once.

It hashes nothing: its percentage is a numeric attribute modulo 100.
"""

from typing import Any

from aws_lambda_powertools.utilities.feature_flags import FeatureFlags, RuleAction
from aws_lambda_powertools.utilities.feature_flags.base import StoreProvider
from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking

NAME, NATIVE, KINDS = "powertools", False, frozenset(Kind) - {Kind.CHILD}


class InMemory(StoreProvider):
    """A store that holds what it was given."""

    def __init__(self, features: dict[str, Any]) -> None:
        self._features = features

    @property
    def get_raw_configuration(self) -> dict[str, Any]:
        return self._features

    def get_configuration(self) -> dict[str, Any]:
        return self._features


def load(case: Case) -> Asking:
    """Features on a store of their own."""
    flags = FeatureFlags(store=InMemory({spec.key: feature(spec) for spec in case.specs}))
    contexts = [{"user": person.user, "number": person.number, **person.attributes} for person in case.crowd]
    everything = "dict.fromkeys(keys, False) | dict.fromkeys(flags.get_enabled_features(context=subject), True)"
    one = "flags.evaluate(name=key, context=subject, default=False)"
    return Asking(one, {"flags": flags}, contexts, all=everything)


def feature(spec: Spec) -> dict[str, Any]:
    """One feature."""
    conditions: list[dict[str, Any]] = []
    match spec.kind:
        case Kind.SPLIT:
            conditions = [_test(RuleAction.MODULO_RANGE, "number", {"BASE": 100, "START": 0, "END": PERCENT - 1})]
        case Kind.LISTED:
            conditions = [_test(RuleAction.KEY_IN_VALUE, "user", list(spec.users))]
        case Kind.RULE:
            conditions = [_test(RuleAction.EQUALS, "plan", "pro"),
                          _test(RuleAction.KEY_GREATER_THAN_VALUE, "seats", 10)]  # fmt: skip
        case _:
            return {"default": True}
    return {"default": False, "rules": {"in": {"when_match": True, "conditions": conditions}}}


def _test(action: RuleAction, key: str, value: Any) -> dict[str, Any]:
    return {"action": action.value, "key": key, "value": value}
