"""The cases for all contestants: neutral flags, the people who are decided, and the right answers.

A contestant translates each `Spec` into its own rules. One without a kind of flag skips that case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a flag."""

    GA = "on for everybody"
    SPLIT = "on for 25 % of users"
    LISTED = "on for the users of a list"
    CHILD = "on for everybody for whom its parent is on"
    RULE = "on where plan is pro and seats are above 10"


@dataclass(frozen=True, slots=True)
class Spec:
    """One flag. `users` belongs to LISTED, `parent` to CHILD."""

    key: str
    kind: Kind
    users: Sequence[str] = ()
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A person to decide for. `attributes` are plan and seats."""

    user: str
    number: int
    attributes: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Case:
    """Flags, and the key of the one to evaluate; without `key`, all of them at once."""

    name: str
    specs: Sequence[Spec]
    key: str = ""

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of flags that a contestant must support."""
        return frozenset(spec.kind for spec in self.specs)

    @property
    def asked(self) -> list[Spec]:
        """The flags that are evaluated."""
        return [spec for spec in self.specs if self.key in ("", spec.key)]

    @property
    def crowd(self) -> Sequence[Person]:
        """The people: with attributes only if an answer reads them, since some convert them at every call."""
        return CROWD if any(spec.kind is Kind.RULE for spec in self.asked) else BARE


PERCENT = 25
CROWD = [
    Person(f"user-{n:04}", n, {"plan": "pro" if n % 2 else "free", "seats": n % 20}) for n in range(2_000)
]  # a quarter of them is pro with more than ten seats
BARE = [Person(person.user, person.number, {}) for person in CROWD]
LISTED = [person.user for person in CROWD if person.number % 4 < 2]
"""1,000 of them, spread evenly."""


def is_right(spec: Spec, person: Person) -> bool | None:
    """The right answer for one person; None if only the share of a crowd is known (SPLIT)."""
    match spec.kind:
        case Kind.SPLIT:
            return None
        case Kind.LISTED:
            return person.user in spec.users
        case Kind.RULE:
            return person.attributes["plan"] == "pro" and int(person.attributes["seats"]) > 10
        case _:
            return True


def mixture(count: int) -> list[Spec]:
    """Of ten flags: four open to all, three at 25 %, two with a list of ten, one with a rule."""
    kinds = [Kind.GA] * 4 + [Kind.SPLIT] * 3 + [Kind.LISTED] * 2 + [Kind.RULE]
    return [
        Spec(f"flag-{n:04}", kind, users=LISTED[n % 900 :][:10] if kind is Kind.LISTED else ())
        for n, kind in ((n, kinds[n % 10]) for n in range(count))
    ]


GA = Case("GA", [Spec("open", Kind.GA)], "open")
SPLIT = Case("25 % by user", [Spec("quarter", Kind.SPLIT)], "quarter")
CASES = (
    GA,
    SPLIT,
    Case("list of 1,000", [Spec("listed", Kind.LISTED, users=LISTED)], "listed"),
    Case("prerequisite", [Spec("open", Kind.GA), Spec("child", Kind.CHILD, parent="open")], "child"),
    Case("attribute rule", [Spec("pro", Kind.RULE)], "pro"),
    Case("100 flags at once", mixture(100)),
    Case("one of 5,000 flags", mixture(5_000), "flag-2500"),
)
