"""START HERE. The decision: is this flag on for this subject?

One pure function, used by mint, evaluate, authorizer, admin explain and CLI alike. First match wins:

    1 no such flag          off  FLAG_NOT_FOUND   (at a gate: admins in, all others out)
    2 a parent is off       off  PREREQUISITE_FAILED
    3 subject is admin      on   ADMIN
    4 killed                off  KILLED
    5 stage admin_only      off  ADMIN_ONLY
    6 listed                on   ALLOWLIST        (user, org, or a rule on attributes)
    7 stage allowlist       off  NOT_LISTED
    8 stage percentage      on or off  SPLIT      (bucket below the threshold)
    9 stage ga              on   GA

It reads its arguments and nothing else, validates nothing and never raises. `STEPS` below is the order as code;
`compile` has the same order with all that is known of a flag decided beforehand, and a test holds the two together.
"""

from collections.abc import Callable, Iterator

from headgate.core import bucket, clauses
from headgate.core.model import Decision, Flag, Reason, Stage, Subject
from headgate.core.ruleset import Ruleset

Verdict = tuple[bool, Reason]


def decide(rules: Ruleset, key: str, subject: Subject, *, gate: bool = False) -> Decision:
    """Decide one flag. `gate` is true where access hangs on it (mint, authorizer): a missing flag lets admins in."""
    try:
        return rules.evaluators[key](subject)
    except KeyError:  # not asked for before, or not there
        return _first(rules, key, subject, gate=gate)


def _first(rules: Ruleset, key: str, subject: Subject, *, gate: bool) -> Decision:
    if key in rules.flags:
        return rules.compiled(key)(subject)
    if gate and subject.admin:
        return Decision(True, Reason.ADMIN, key, rules.revision)
    return Decision(False, Reason.FLAG_NOT_FOUND, key, rules.revision)


def trace(rules: Ruleset, key: str, subject: Subject) -> Iterator[tuple[str, str, Verdict | None]]:
    """The same decision at a gate, step by step: (flag, step, verdict, or None where the step passed on)."""
    flag = rules.flags.get(key)
    if flag is None:
        missing = decide(rules, key, subject, gate=True)
        yield key, "exists", (missing.value, missing.reason)
        return
    yield key, "exists", None
    for parent in rules.lineage[key]:
        is_on = own_verdict(rules.flags.get(parent), subject)[0]
        yield parent, "requires", None if is_on else (False, Reason.PREREQUISITE_FAILED)
        if not is_on:
            return
    for name, step in STEPS:
        found = step(flag, subject)
        yield key, name, found
        if found is not None:
            return


def own_verdict(flag: Flag | None, subject: Subject) -> Verdict:
    """Steps 3 to 9 for one flag by itself. No flag (a parent that does not exist) counts as stage `admin_only`."""
    if flag is None:
        return (True, Reason.ADMIN) if subject.admin else (False, Reason.ADMIN_ONLY)
    for _name, step in STEPS:
        verdict = step(flag, subject)
        if verdict is not None:
            return verdict
    return False, Reason.ADMIN_ONLY


def _admin(_flag: Flag, subject: Subject) -> Verdict | None:
    return (True, Reason.ADMIN) if subject.admin else None


def _killed(flag: Flag, _subject: Subject) -> Verdict | None:
    return (False, Reason.KILLED) if flag.killed is not None else None


def _admin_only(flag: Flag, _subject: Subject) -> Verdict | None:
    return (False, Reason.ADMIN_ONLY) if flag.stage is Stage.ADMIN_ONLY else None


def _listed(flag: Flag, subject: Subject) -> Verdict | None:
    allow = flag.allow
    listed = (
        subject.user in allow.users
        or (flag.members is not None and flag.key in subject.listed)
        or not allow.orgs.isdisjoint(subject.orgs)
        or any(clauses.holds(rule, subject) for rule in allow.rules)
    )
    return (True, Reason.ALLOWLIST) if listed else None


def _allowlist(flag: Flag, _subject: Subject) -> Verdict | None:
    return (False, Reason.NOT_LISTED) if flag.stage is Stage.ALLOWLIST else None


def _percentage(flag: Flag, subject: Subject) -> Verdict | None:
    if flag.stage is not Stage.PERCENTAGE:
        return None
    return any(bucket.is_in(flag, unit_id) for unit_id in bucket.unit_ids(flag.unit, subject)), Reason.SPLIT


def _ga(flag: Flag, _subject: Subject) -> Verdict | None:
    return (True, Reason.GA) if flag.stage is Stage.GA else None


STEPS: tuple[tuple[str, Callable[[Flag, Subject], Verdict | None]], ...] = (
    ("admin", _admin),
    ("killed", _killed),
    ("admin_only", _admin_only),
    ("listed", _listed),
    ("allowlist", _allowlist),
    ("percentage", _percentage),
    ("ga", _ga),
)
