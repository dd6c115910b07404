"""Seeded mutations of good tokens, aware of their structure; and the same judged by another library.

A failure repeats: its message names the seed and the number, and `python tests/tokens/fuzz_tokens.py --seed … --only …`
makes it again. `make fuzz` does a million.
"""

import contextlib
from dataclasses import replace
from random import Random

import pytest
from token_forge.differences import DIFFERENCES
from token_forge.differential import BOTH, NEITHER, bent_and_signed, compare, taken_by_joserfc
from token_forge.fuzzing import FAMILIES, SAME, TWIN, forge, judge, run
from token_forge.own import ANY, AUDIENCE, ISSUER, NOW, good, verifier
from token_forge.pool import GOOD, TWINS

from headgate.tokens.claims import Kind
from headgate.tokens.refusals import RefusalCode, TokenRefused

FORGED, COMPARED, BENT = 50_000, 20_000, 3_000
REASONS = DIFFERENCES.keys() | {
    RefusalCode.NOT_OBJECT,
    RefusalCode.ALGORITHM,
    RefusalCode.SIGNATURE,
    RefusalCode.ISSUER,
}
"""All that this verifier can give where every kind is taken: those for which joserfc may differ, and four more."""


def test_what_our_key_did_not_sign_as_it_stands_is_never_taken() -> None:
    """Every family is tried, every reason met; all that is taken is the same text, or its twin."""
    tally = run(20_240_601, range(FORGED))
    assert tally.tried == FORGED
    assert min(counted.total() for counted in tally.outcomes.values()) >= FORGED // len(FAMILIES)
    met = {outcome for counted in tally.outcomes.values() for outcome in counted}
    assert met == {code.value for code in REASONS} | {SAME, TWIN}
    assert tally.count(TWIN) > FORGED * 0.03
    assert tally.count(SAME) < FORGED * 0.01


def test_a_forged_text_is_made_again_by_its_number() -> None:
    assert [forge(7, number) for number in range(500)] == [forge(7, number) for number in range(500)]
    assert forge(7, 1) != forge(8, 1)


def test_the_judgement_knows_what_must_not_be() -> None:
    (token, credential), (twin, _) = next(iter(GOOD.items())), next(iter(TWINS.items()))
    assert judge(token, credential) == SAME
    assert judge(twin, credential) == TWIN
    assert judge(token + "x", RefusalCode.SHAPE) == "shape"
    for text, found in (
        (token + "x", credential),
        (token, RefusalCode.SIGNATURE),
        (twin, RefusalCode.SIGNATURE),
        (twin, replace(credential, jti="another")),
        (token + "x", RefusalCode.UNEXPECTED),
    ):
        assert judge(text, found) is None


def test_what_is_taken_is_well_formed_whatever_was_signed() -> None:
    dice, ours, taken = Random(7), verifier(), []
    for _ in range(BENT):
        with contextlib.suppress(TokenRefused):
            taken.append(ours.verify(bent_and_signed(dice), NOW, ANY))
    assert len(taken) > BENT * 0.1
    for credential in taken:
        assert credential.issuer == ISSUER
        assert credential.audience == AUDIENCE
        assert credential.iat <= NOW + 30
        assert credential.iat < credential.exp <= credential.iat + 3_600
        assert credential.exp > NOW
        assert type(credential.admin) is bool
        assert credential.admin is False or credential.kind in (Kind.ACCESS, Kind.EVALUATE)
        assert (credential.sid is not None) == (credential.kind is Kind.SESSION)
        assert all(type(org) is str for org in credential.orgs + credential.entitlements)


def test_whatever_is_taken_joserfc_takes_too_and_each_difference_has_a_name() -> None:
    counted = compare(11, range(COMPARED))
    assert counted.total() == COMPARED
    assert counted[BOTH] > COMPARED * 0.15
    assert counted[NEITHER] > COMPARED * 0.15
    assert len(counted.keys() & {name for name, _ in DIFFERENCES.values()}) > 18


@pytest.mark.parametrize("kind", Kind)
def test_joserfc_takes_the_good_ones(kind: Kind) -> None:
    assert taken_by_joserfc(good(kind))
