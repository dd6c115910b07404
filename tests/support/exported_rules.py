"""The flags that a running gate exports, decided in this process: what a service with its own copy would answer."""

from collections.abc import Iterable

from running_gate import Gate, Person

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.core.parse import parse_flag
from headgate.core.ruleset import Ruleset, ruleset


def exported_rules(gate: Gate) -> Ruleset:
    """The flags of `GET /admin/v1/manifest`, salts included."""
    flags = gate.signed("GET", "/admin/v1/manifest").expect(200).json["flags"]
    return ruleset({document["key"]: parse_flag(document, salt="") for document in flags})


def subject_of(person: Person) -> Subject:
    """A person as decisions see them."""
    return Subject(person.user, person.orgs, person.admin, dict(person.attributes))


def is_on(rules: Ruleset, key: str, person: Person) -> bool:
    """The decision."""
    return decide(rules, key, subject_of(person)).value


def those_on(rules: Ruleset, key: str, people: Iterable[Person]) -> set[str]:
    """The users of all who are in."""
    return {person.user for person in people if is_on(rules, key, person)}
