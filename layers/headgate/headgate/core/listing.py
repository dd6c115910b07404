"""A subject's known memberships in long lists, and whether a decision depends on one that could not be read.

Being listed can only turn a flag on. So a flag that is on without the unread list is on, and one that is off with it is
off. Otherwise the decision is unknown, and nobody is let in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.core.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Listing:
    """A subject with the long lists it is on. `unread` are the flags whose long list could not be read."""

    subject: Subject
    unread: frozenset[str] = frozenset()

    def unsure(self, rules: Ruleset, keys: Iterable[str]) -> frozenset[str]:
        """The flags among `keys` whose decision depends on a list that could not be read."""
        if not self.unread:
            return frozenset()
        most = replace(self.subject, listed=self.subject.listed | self.unread)
        return frozenset(
            key for key in keys if decide(rules, key, self.subject).value != decide(rules, key, most).value
        )


def concerned(rules: Ruleset, keys: Iterable[str]) -> frozenset[str]:
    """The flags whose long lists affect `keys`: themselves and their ancestors, if they have one."""
    if not rules.long:
        return frozenset()
    return frozenset(flag for key in keys for flag in (key, *rules.lineage.get(key, ())) if flag in rules.long)
