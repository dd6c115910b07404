"""Forged tokens by number, judged: a seed and a number give one text, on every machine.

The judgement knows three outcomes. A text that is a good token's own is taken. So is its twin by the symmetry of ECDSA,
and it is the same credential (Z37). Every other text is refused with a code, `unexpected` excepted: that is a bug.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from time import thread_time_ns

from token_forge.missigned import MISSIGNED
from token_forge.own import ANY, NOW, verifier
from token_forge.pool import GOOD, POOL, TWINS, twin
from token_forge.unsigned import PARTS, SIGNATURE, TEXT

from headgate.tokens.claims import Credential
from headgate.tokens.refusals import RefusalCode, TokenRefused
from headgate.tokens.verify import VerifiedTokens

SAME, TWIN = "the same text", "its twin"
_MUTATIONS = {**TEXT, **PARTS, **SIGNATURE, "twin": lambda token, _dice: twin(token)}
FAMILIES = (*_MUTATIONS, *MISSIGNED)
_AGAIN = 0.15
"""How often a forged text is mutated once more, as text."""


class Broken(AssertionError):
    """The verifier did what it must not. The text says how to have it again."""


@dataclass(frozen=True, slots=True)
class Forged:
    """A text and how it was made."""

    family: str
    token: str = field(repr=False)


def forge(seed: int, number: int) -> Forged:
    """The forged text of that number. Families take turns."""
    dice = Random(seed << 32 | number)
    family = FAMILIES[number % len(FAMILIES)]
    mutate = _MUTATIONS.get(family)
    token = mutate(dice.choice(POOL), dice) if mutate else MISSIGNED[family](dice)
    if token and dice.random() < _AGAIN:
        token = TEXT[dice.choice(list(TEXT))](token, dice)
    return Forged(family, token)


@dataclass
class Tally:
    """What came of the forged texts: outcomes by family, and nanoseconds of processor time by family."""

    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    times: dict[str, array] = field(default_factory=lambda: defaultdict(lambda: array("I")))

    @property
    def tried(self) -> int:
        """How many texts there were."""
        return sum(counted.total() for counted in self.outcomes.values())

    def count(self, outcome: str) -> int:
        """How many ended so."""
        return sum(counted[outcome] for counted in self.outcomes.values())

    def percentile(self, family: str, part: float) -> float:
        """Microseconds that this part of a family's verifications stayed within."""
        ordered = sorted(self.times[family])
        return ordered[int(part * (len(ordered) - 1))] / 1e3

    def slowest(self, part: float = 0.99) -> tuple[str, float]:
        """The family whose percentile is the largest, and that in microseconds."""
        return max(((family, self.percentile(family, part)) for family in self.times), key=lambda found: found[1])


def run(seed: int, numbers: Iterable[int]) -> Tally:
    """Forge and judge these numbers. Raises `Broken`.

    Every other text meets a verifier that has seen the good tokens before: nothing but their own text may be found so.
    """
    fresh, warm = verifier(), verifier(VerifiedTokens())
    for token in GOOD:
        warm.verify(token, NOW, ANY)
    tally = Tally()
    for number in numbers:
        forged = forge(seed, number)
        under_test = warm if number // len(FAMILIES) % 2 else fresh
        began = thread_time_ns()
        try:
            found: Credential | RefusalCode = under_test.verify(forged.token, NOW, ANY)
        except TokenRefused as refused:
            found = refused.code
        except BaseException as error:
            raise Broken(f"{type(error).__name__} left the verifier: {_again(seed, number, forged)}") from error
        tally.times[forged.family].append(min(thread_time_ns() - began, 2**32 - 1))
        outcome = judge(forged.token, found)
        if outcome is None:
            raise Broken(f"{found!r}: {_again(seed, number, forged)}")
        tally.outcomes[forged.family][outcome] += 1
    return tally


def judge(token: str, found: Credential | RefusalCode) -> str | None:
    """How it ended, or None where it must not have ended so."""
    for outcome, known in ((SAME, GOOD), (TWIN, TWINS)):
        if token in known:
            return outcome if found == known[token] else None
    if not isinstance(found, RefusalCode) or found is RefusalCode.UNEXPECTED:
        return None
    return found.value


def _again(seed: int, number: int, forged: Forged) -> str:
    return f"{forged.family}, seed {seed}, number {number}: {forged.token[:6_000]!r}"


def rows(tally: Tally) -> Iterable[str]:
    """A line of a Markdown table for each family: how many, how it ended, how long it took."""
    for family, outcomes in tally.outcomes.items():
        told = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common())
        half, most = (tally.percentile(family, part) for part in (0.5, 0.99))
        yield f"| {family} | {outcomes.total():,} | {told} | {half:.0f} | {most:.0f} |"
