"""The flags that a running gate exports, decided in this process: what a service with its own copy would answer."""

from collections.abc import Iterable

from running_gate import Gate, Person

from headgate.core.decision import decide
from headgate.core.flag import load_flag
from headgate.core.model import Subject
from headgate.core.ruleset import Ruleset, ruleset


def exported_rules(gate: Gate) -> Ruleset:
    """The flags as the admin API gives them, salts and kills included."""
    return ruleset({key: load_flag(document) for key, document in gate.flags().items()})


def subject_of(person: Person) -> Subject:
    """A person as decisions see them."""
    return Subject(person.user, person.orgs, person.admin, dict(person.attributes))


def is_on(rules: Ruleset, key: str, person: Person) -> bool:
    """The decision."""
    return decide(rules, key, subject_of(person)).value


def those_on(rules: Ruleset, key: str, people: Iterable[Person]) -> set[str]:
    """The users of all who are in."""
    return {person.user for person in people if is_on(rules, key, person)}
