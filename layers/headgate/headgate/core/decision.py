"""START HERE. The decision: is this flag on for this subject?

One pure function, used by mint, evaluate, authorizer, preview, explain, the CLI, and the SDK. The first match wins:

    1 no such flag          off  FLAG_NOT_FOUND   (at a gate: on for admins, off for everyone else)
    2 a parent is off       off  PREREQUISITE_FAILED
    3 subject is admin      on   ADMIN
    4 killed                off  KILLED
    5 stage admin_only      off  ADMIN_ONLY
    6 listed                on   ALLOWLIST        (user, org, or a rule on attributes)
    7 stage allowlist       off  NOT_LISTED
    8 stage percentage      on or off  SPLIT      (bucket below the threshold)
    9 stage ga              on   GA

`decide` applies steps 1 and 2. `steps` holds 3 to 9, the only copy of that order. A flag's steps are compiled into one
closure at its first decision. Nothing here validates, reads a clock, or raises.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headgate.core import bucket, clauses
from headgate.core.model import Decision, Evaluator, Flag, Reason, Stage, Subject, Test
from headgate.core.ruleset import Ruleset


def decide(rules: Ruleset, key: str, subject: Subject, *, gate: bool = False) -> Decision:
    """Decide one flag. Set `gate` where access depends on it (mint, authorizer): a missing flag then lets admins in."""
    try:
        return rules.evaluators[key](subject)
    except KeyError:  # not compiled yet, or no such flag
        return _decide_first(rules, key, subject, gate=gate)


def decide_all(rules: Ruleset, keys: Iterable[str], subject: Subject) -> dict[str, Decision]:
    """Decide several flags at a gate."""
    return {key: decide(rules, key, subject, gate=True) for key in keys}


def _decide_first(rules: Ruleset, key: str, subject: Subject, *, gate: bool) -> Decision:
    if key in rules.flags:
        rules.evaluators[key] = compile_flag(rules, key)
        return rules.evaluators[key](subject)
    if gate and subject.admin:
        return Decision(True, Reason.ADMIN, key, rules.revision)
    return Decision(False, Reason.FLAG_NOT_FOUND, key, rules.revision)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the order. `applies` and `value` are constants derived from the flag, or tests of the subject."""

    name: str
    applies: bool | Test
    value: bool | Test
    reason: Reason


def steps(flag: Flag) -> tuple[Step, ...]:
    """Return steps 3 to 9 for one flag. The first that applies decides."""
    stage, by_share = flag.stage, flag.stage is Stage.PERCENTAGE
    return (
        Step("admin", _is_admin, True, Reason.ADMIN),
        Step("killed", flag.killed is not None, False, Reason.KILLED),
        Step("admin_only", stage is Stage.ADMIN_ONLY, False, Reason.ADMIN_ONLY),
        Step("listed", _is_listed(flag), True, Reason.ALLOWLIST),
        Step("allowlist", stage is Stage.ALLOWLIST, False, Reason.NOT_LISTED),
        Step("percentage", by_share, by_share and bucket.compile_share(flag), Reason.SPLIT),
        Step("ga", stage is Stage.GA, True, Reason.GA),
    )


def _is_admin(subject: Subject) -> bool:
    return subject.admin


def _is_listed(flag: Flag) -> bool | Test:
    """Return a test of whether a subject is on the flag's list, or False if the list is empty."""
    key, users, is_disjoint, is_long = flag.key, flag.allow.users, flag.allow.orgs.isdisjoint, flag.members is not None
    rules = tuple(map(clauses.compile_rule, flag.allow.rules))
    if not is_long and not flag.allow.orgs and len(rules) <= 1:  # the common cases, each as one test
        if not users:
            return rules[0] if rules else False
        if not rules:
            return lambda subject: subject.user in users

    def is_listed(subject: Subject) -> bool:
        if subject.user in users or (is_long and key in subject.listed):
            return True
        acting = subject.acting_org
        if not is_disjoint((acting,) if acting else subject.orgs):
            return True
        for holds in rules:  # noqa: SIM110 - a generator takes 150 ns more
            if holds(subject):
                return True
        return False

    return is_listed


def trace(rules: Ruleset, key: str, subject: Subject) -> Iterator[tuple[str, str, Decision | None]]:
    """Yield each step of a decision at a gate: flag, step, and the decision, or None if the step does not apply."""
    if key not in rules.flags:
        yield key, "exists", decide(rules, key, subject, gate=True)
        return
    yield key, "exists", None
    for parent in rules.lineage[key]:
        is_on = _own(rules, parent)(subject).value
        failed = Decision(False, Reason.PREREQUISITE_FAILED, key, rules.revision)
        yield parent, "requires", None if is_on else failed
        if not is_on:
            return
    for step in steps(rules.flags[key]):
        if step.applies(subject) if callable(step.applies) else step.applies:
            value = step.value(subject) if callable(step.value) else step.value
            yield key, step.name, Decision(value, step.reason, key, rules.revision)
            return
        yield key, step.name, None


def compile_flag(rules: Ruleset, key: str) -> Evaluator:
    """Compile steps 2 to 9 into one closure. `lineage` holds every ancestor, so only their own steps are checked."""
    own = _own(rules, key)
    parents = tuple(_own(rules, parent) for parent in rules.lineage[key])
    if not parents:
        return own
    failed = Decision(False, Reason.PREREQUISITE_FAILED, key, rules.revision)
    if len(parents) == 1:  # 60 ns less than the loop
        first = parents[0]
        return lambda subject: own(subject) if first(subject).value else failed

    def evaluate(subject: Subject) -> Decision:
        for parent in parents:
            if not parent(subject).value:
                return failed
        return own(subject)

    return evaluate


def _own(rules: Ruleset, key: str) -> Evaluator:
    """Return steps 3 to 9 of a flag, compiled once for all flags that depend on it."""
    own = rules.own.get(key)
    if own is None:
        own = rules.own[key] = _compile_own(rules, key)
    return own


def _compile_own(rules: Ruleset, key: str) -> Evaluator:
    """Compile steps 3 to 9 into the smallest closure: what depends only on the flag is resolved here.

    A parent that does not exist counts as stage `admin_only`.
    """
    admin, *listed, last = _reached(rules.flags.get(key) or Flag(key=key, salt=""))
    on_admin, inside = (Decision(True, step.reason, key, rules.revision) for step in (admin, last))
    outside = Decision(False, last.reason, key, rules.revision)
    is_listed = next((step.applies for step in listed if callable(step.applies)), None)
    on_list = Decision(True, Reason.ALLOWLIST, key, rules.revision)
    is_inside, others = last.value, inside if last.value else outside
    if callable(is_inside):

        def share(subject: Subject) -> Decision:
            if subject.admin:
                return on_admin
            if is_listed is not None and is_listed(subject):
                return on_list
            return inside if is_inside(subject) else outside

        return share

    def evaluate(subject: Subject) -> Decision:
        if subject.admin:
            return on_admin
        if is_listed is not None and is_listed(subject):
            return on_list
        return others

    return evaluate


def _reached(flag: Flag) -> list[Step]:
    """Return the steps that can apply, up to the first that always does: `admin`, perhaps `listed`, and a last one."""
    reached = []
    for step in steps(flag):
        if step.applies is not False:
            reached.append(step)
        if step.applies is True:
            break
    return reached
