"""Headgate: `decide` on a compiled ruleset, with reason and revision, down to the boolean."""

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking

from headgate.core.decision import decide
from headgate.core.limits import PERCENT_STEPS
from headgate.core.model import Allow, Clause, Flag, Rule, Stage, Subject
from headgate.core.ruleset import ruleset

NAME, NATIVE, KINDS = "headgate", False, frozenset(Kind)
RULE = Rule((Clause("plan", "equals", "pro"), Clause("seats", "greater", 10)))


def load(case: Case) -> Asking:
    """The case as a ruleset."""
    rules = ruleset({spec.key: flag(spec) for spec in case.specs}, revision=1)
    subjects = [Subject(user=person.user, attributes=person.attributes) for person in case.crowd]
    return Asking("decide(rules, key, subject).value", {"decide": decide, "rules": rules}, subjects)


def flag(spec: Spec) -> Flag:
    """One flag."""
    salt = f"salt-of-{spec.key}"
    match spec.kind:
        case Kind.SPLIT:
            return Flag(spec.key, salt, stage=Stage.PERCENTAGE, steps=PERCENT * PERCENT_STEPS // 100)
        case Kind.LISTED:
            return Flag(spec.key, salt, stage=Stage.ALLOWLIST, allow=Allow(users=frozenset(spec.users)))
        case Kind.RULE:
            return Flag(spec.key, salt, stage=Stage.ALLOWLIST, allow=Allow(rules=(RULE,)))
        case _:
            return Flag(spec.key, salt, stage=Stage.GA, requires=(spec.parent,) if spec.parent else ())
