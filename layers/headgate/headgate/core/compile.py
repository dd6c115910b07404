"""A flag compiled into the leanest thing that answers: a closure over sets, a threshold and ready-made decisions.

The steps of `decision`, with everything that is known of the flag decided once: a step that cannot match is left out,
each outcome is one object made beforehand, nothing is validated or allocated on the way.
"""

from collections.abc import Callable
from hashlib import sha256

from headgate.core import bucket, clauses
from headgate.core.limits import PERCENT_STEPS
from headgate.core.model import Algorithm, Allow, Decision, Flag, Reason, Stage, Subject, Unit

Evaluator = Callable[[Subject], Decision]


def compile_flag(flag: Flag, parents: tuple[Flag | None, ...], revision: int) -> Evaluator:
    """The whole decision for a flag; `parents` are all its ancestors, None for one that does not exist."""
    own = compile_own(flag, revision)
    if not parents:
        return own
    first, *more = (compile_own(parent or Flag(key="", salt=""), revision) for parent in parents)
    failed = Decision(False, Reason.PREREQUISITE_FAILED, flag.key, revision)
    if not more:
        return lambda subject: own(subject) if first(subject).value else failed
    above = (first, *more)

    def evaluate(subject: Subject) -> Decision:
        for parent in above:
            if not parent(subject).value:
                return failed
        return own(subject)

    return evaluate


def compile_own(flag: Flag, revision: int) -> Evaluator:
    """Steps 3 to 9 for one flag by itself."""

    def made(value: bool, reason: Reason) -> Decision:
        return Decision(value, reason, flag.key, revision)

    admin = made(True, Reason.ADMIN)
    if flag.killed is not None:
        return _constant(admin, made(False, Reason.KILLED))
    if flag.stage is Stage.ADMIN_ONLY:
        return _constant(admin, made(False, Reason.ADMIN_ONLY))
    listed = made(True, Reason.ALLOWLIST)
    if flag.stage is Stage.ALLOWLIST:
        return _listing(flag, admin, listed, made(False, Reason.NOT_LISTED))
    if flag.stage is Stage.GA:
        return _listing(flag, admin, listed, made(True, Reason.GA))
    split = _split(flag, admin, made(True, Reason.SPLIT), made(False, Reason.SPLIT))
    return _listing_then(flag, admin, listed, split)


def _constant(admin: Decision, others: Decision) -> Evaluator:
    return lambda subject: admin if subject.admin else others


def _listing(flag: Flag, admin: Decision, listed: Decision, others: Decision) -> Evaluator:
    """Admins, then the list, then the same for all others."""
    allow, users = flag.allow, flag.allow.users
    if _lists_nobody(flag):
        return _constant(admin, others)
    if allow.orgs or allow.rules or flag.members is not None:
        return _listing_then(flag, admin, listed, lambda _subject: others)

    def evaluate(subject: Subject) -> Decision:
        if subject.admin:
            return admin
        return listed if subject.user in users else others

    return evaluate


def _lists_nobody(flag: Flag) -> bool:
    return flag.allow == Allow() and flag.members is None


def _listing_then(flag: Flag, admin: Decision, listed: Decision, then: Evaluator) -> Evaluator:
    """Admins, then the list, then whatever follows."""
    if _lists_nobody(flag):
        return then
    is_listed = _membership(flag.allow)
    if flag.members is not None:
        is_listed = _also_long(flag.key, is_listed)

    def evaluate(subject: Subject) -> Decision:
        if subject.admin:
            return admin
        return listed if is_listed(subject) else then(subject)

    return evaluate


def _also_long(key: str, is_inline: Callable[[Subject], bool]) -> Callable[[Subject], bool]:
    """A list with a long part: who stands on that was looked up beforehand."""
    return lambda subject: key in subject.listed or is_inline(subject)


def _membership(allow: Allow) -> Callable[[Subject], bool]:
    """Whether the subject is on the list; one rule alone is asked by itself."""
    users, is_disjoint, rules = allow.users, allow.orgs.isdisjoint, tuple(map(clauses.compile_rule, allow.rules))
    if len(rules) == 1 and not users and not allow.orgs:
        return rules[0]

    def is_listed(subject: Subject) -> bool:
        if subject.user in users or not is_disjoint(subject.orgs):
            return True
        for holds in rules:  # noqa: SIM110 - a generator takes 150 ns more
            if holds(subject):
                return True
        return False

    return is_listed


def _split(flag: Flag, admin: Decision, inside: Decision, outside: Decision) -> Evaluator:
    """Admins, then the bucket. By user and SHA-256 it is one hash and one comparison of bytes."""
    if flag.unit is not Unit.USER or flag.algorithm is not Algorithm.SHA256_V1 or not 0 < flag.steps < PERCENT_STEPS:
        return _split_any(flag, admin, inside, outside)
    # a copy of what is hashed already takes less than a hash from its start (360 ns against 440), however long the salt
    begin = sha256(bucket.prefix(flag).encode("utf-8", "surrogatepass")).copy
    # 32 bytes are below 8 exactly when their first 8 are
    threshold = bucket.threshold(flag).to_bytes(8)

    def evaluate(subject: Subject) -> Decision:
        if subject.admin:
            return admin
        user = subject.user
        if not user:
            return outside
        digest = begin()
        try:
            digest.update(user.encode())
        except UnicodeEncodeError:  # a lone surrogate, which JSON can spell
            digest.update(user.encode("utf-8", "surrogatepass"))
        return inside if digest.digest() < threshold else outside

    return evaluate


def _split_any(flag: Flag, admin: Decision, inside: Decision, outside: Decision) -> Evaluator:
    unit = flag.unit

    def evaluate(subject: Subject) -> Decision:
        if subject.admin:
            return admin
        for unit_id in bucket.unit_ids(unit, subject):
            if bucket.is_in(flag, unit_id):
                return inside
        return outside

    return evaluate
