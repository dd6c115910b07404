"""flagd: the core of its in-process provider, without the OpenFeature client around it."""

from typing import Any

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

NAME, NATIVE, KINDS = "flagd (core)", False, frozenset(Kind) - {Kind.CHILD}


def load(case: Case) -> Asking:
    """A core with the flags."""
    core = FlagdCore()
    core.set_flags({"flags": {spec.key: flag(spec) for spec in case.specs}})
    contexts = [EvaluationContext(person.user, dict(person.attributes)) for person in case.crowd]
    return Asking("core.resolve_boolean_value(key, False, subject).value", {"core": core}, contexts)


def flag(spec: Spec) -> dict[str, Any]:
    """One flag: JsonLogic."""
    targeting: dict[str, Any] = {}
    match spec.kind:
        case Kind.SPLIT:
            targeting = {"fractional": [["on", PERCENT], ["off", 100 - PERCENT]]}
        case Kind.LISTED:
            targeting = {"if": [{"in": [{"var": "targetingKey"}, list(spec.users)]}, "on", "off"]}
        case Kind.RULE:
            both = [{"==": [{"var": "plan"}, "pro"]}, {">": [{"var": "seats"}, 10]}]
            targeting = {"if": [{"and": both}, "on", "off"]}
        case _:
            pass
    default = "on" if spec.kind is Kind.GA else "off"
    variants = {"on": True, "off": False}
    return {"state": "ENABLED", "variants": variants, "defaultVariant": default, "targeting": targeting}
