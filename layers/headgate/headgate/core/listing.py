"""What is known of a subject's place on long lists, and whether a verdict hangs on what is not.

To be listed only ever opens: so what is on without an unread list is on, and what is off with it is off. Between the
two nothing can be said, and nobody is let in.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.core.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Listing:
    """The subject with the long lists on which it stands; `unread` are flags of which that could not be read."""

    subject: Subject
    unread: frozenset[str] = frozenset()

    def unsure(self, rules: Ruleset, keys: Iterable[str]) -> frozenset[str]:
        """The flags among `keys` whose verdict hangs on a list that could not be read."""
        if not self.unread:
            return frozenset()
        most = replace(self.subject, listed=self.subject.listed | self.unread)
        return frozenset(
            key for key in keys if decide(rules, key, self.subject).value != decide(rules, key, most).value
        )


def concerned(rules: Ruleset, keys: Iterable[str]) -> frozenset[str]:
    """The flags whose long lists these hang on: their own, and those of their lineage."""
    if not rules.long:
        return frozenset()
    return frozenset(flag for key in keys for flag in (key, *rules.lineage.get(key, ())) if flag in rules.long)
