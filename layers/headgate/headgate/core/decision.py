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

It reads its arguments and nothing else, validates nothing and never raises.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from headgate.core import bucket, clauses
from headgate.core.model import Flag, Stage, Subject, Unit
from headgate.core.ruleset import Ruleset


class Reason(StrEnum):
    """Why a decision came out as it did."""

    FLAG_NOT_FOUND = "FLAG_NOT_FOUND"
    PREREQUISITE_FAILED = "PREREQUISITE_FAILED"
    ADMIN = "ADMIN"
    KILLED = "KILLED"
    ADMIN_ONLY = "ADMIN_ONLY"
    ALLOWLIST = "ALLOWLIST"
    NOT_LISTED = "NOT_LISTED"
    SPLIT = "SPLIT"
    GA = "GA"


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict on one flag, stamped with the revision of the rules it was made under."""

    value: bool
    reason: Reason
    flag: str
    revision: int


Verdict = tuple[bool, Reason]


def decide(rules: Ruleset, key: str, subject: Subject, *, gate: bool = False) -> Decision:
    """Decide one flag. `gate` is true where access hangs on it (mint, authorizer): a missing flag lets admins in."""
    value, reason = _verdict(rules, key, subject, gate=gate)
    return Decision(value, reason, key, rules.revision)


def _verdict(rules: Ruleset, key: str, subject: Subject, *, gate: bool) -> Verdict:
    flag = rules.flags.get(key)
    if flag is None:
        return (True, Reason.ADMIN) if gate and subject.admin else (False, Reason.FLAG_NOT_FOUND)
    for parent in rules.lineage[key]:
        if not own_verdict(rules.flags.get(parent), subject)[0]:
            return False, Reason.PREREQUISITE_FAILED
    return own_verdict(flag, subject)


def own_verdict(flag: Flag | None, subject: Subject) -> Verdict:
    """Steps 3 to 9 for one flag by itself. No flag (a parent that does not exist) counts as stage `admin_only`."""
    if flag is None:
        return (True, Reason.ADMIN) if subject.admin else (False, Reason.ADMIN_ONLY)
    for _name, step in STEPS:
        verdict = step(flag, subject)
        if verdict is not None:
            return verdict
    return False, Reason.ADMIN_ONLY


def trace(rules: Ruleset, key: str, subject: Subject) -> Iterator[tuple[str, str, Verdict | None]]:
    """What the decision at a gate asked, in order: (flag, step, verdict, or None where the step passed on)."""
    flag = rules.flags.get(key)
    yield key, "exists", None if flag else _verdict(rules, key, subject, gate=True)
    if flag is None:
        return
    for parent in rules.lineage[key]:
        verdict = own_verdict(rules.flags.get(parent), subject)
        yield parent, "requires", None if verdict[0] else (False, Reason.PREREQUISITE_FAILED)
        if not verdict[0]:
            return
    for name, step in STEPS:
        found = step(flag, subject)
        yield key, name, found
        if found is not None:
            return


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
        or not allow.orgs.isdisjoint(subject.orgs)
        or any(clauses.holds(rule, subject) for rule in allow.rules)
    )
    return (True, Reason.ALLOWLIST) if listed else None


def _allowlist(flag: Flag, _subject: Subject) -> Verdict | None:
    return (False, Reason.NOT_LISTED) if flag.stage is Stage.ALLOWLIST else None


def _percentage(flag: Flag, subject: Subject) -> Verdict | None:
    if flag.stage is not Stage.PERCENTAGE:
        return None
    return any(bucket.is_in(flag, unit_id) for unit_id in unit_ids(flag.unit, subject)), Reason.SPLIT


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


def unit_ids(unit: Unit, subject: Subject) -> tuple[str, ...]:
    """The ids that may put the subject in. None at all is out: an absent id is never bucket 0."""
    user = (subject.user,) if subject.user else ()
    if unit is Unit.USER:
        return user
    orgs = (subject.acting_org,) if subject.acting_org else subject.orgs
    return orgs or (user if unit is Unit.ORG_OR_USER else ())
