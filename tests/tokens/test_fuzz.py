"""Seeded, structure-aware mutations of valid tokens, also judged by another library.

A failure can be repeated: its message names the seed and the number, and
`python tests/tokens/fuzz_tokens.py --seed … --only …` makes the text again. `make fuzz` runs a million.
"""

import contextlib
from dataclasses import replace
from random import Random

import pytest
from proofs import Tally, many
from token_forge.differences import DIFFERENCES
from token_forge.differential import BOTH, NEITHER, bent_and_signed, compare, taken_by_joserfc
from token_forge.fuzzing import FAMILIES, SAME, TWIN, forge, judge, run
from token_forge.own import ANY, AUDIENCE, ISSUER, NOW, good, verifier
from token_forge.pool import GOOD, TWINS

from headgate.tokens.claims import Kind
from headgate.tokens.refusals import RefusalCode, TokenRefused

FORGED, COMPARED, BENT = many(10_000, 50_000), many(4_000, 20_000), many(600, 3_000)
REASONS = DIFFERENCES.keys() | {
    RefusalCode.NOT_OBJECT,
    RefusalCode.ALGORITHM,
    RefusalCode.SIGNATURE,
    RefusalCode.ISSUER,
}
"""All refusal codes possible if every kind is accepted: those where joserfc may differ, and four more."""


@pytest.mark.proof("forged tokens")
def test_a_text_that_our_key_did_not_sign_is_never_accepted(tally: Tally) -> None:
    """Every family and every reason occurs; only the original text or its high-S twin is accepted."""
    found = run(20_240_601, range(FORGED))
    assert found.tried == FORGED
    assert min(counted.total() for counted in found.outcomes.values()) >= FORGED // len(FAMILIES)
    met = {outcome for counted in found.outcomes.values() for outcome in counted}
    assert met == {code.value for code in REASONS} | {SAME, TWIN}
    assert found.count(TWIN) > FORGED * 0.03
    assert found.count(SAME) < FORGED * 0.01
    tally.add(forged=FORGED)


def test_a_seed_and_a_number_reproduce_the_same_text() -> None:
    assert [forge(7, number) for number in range(500)] == [forge(7, number) for number in range(500)]
    assert forge(7, 1) != forge(8, 1)


def test_the_judge_detects_a_wrong_outcome() -> None:
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


@pytest.mark.proof("signed tokens of any content")
def test_an_accepted_credential_is_well_formed_whatever_was_signed(tally: Tally) -> None:
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
    tally.add(signed=BENT, accepted=len(taken))


@pytest.mark.proof("forged tokens, compared with joserfc")
def test_joserfc_accepts_every_text_that_we_accept_and_each_difference_has_a_name(tally: Tally) -> None:
    counted = compare(11, range(COMPARED))
    assert counted.total() == COMPARED
    assert counted[BOTH] > COMPARED * 0.15
    assert counted[NEITHER] > COMPARED * 0.15
    assert len(counted.keys() & {name for name, _ in DIFFERENCES.values()}) > 18
    tally.add(compared=COMPARED)


@pytest.mark.parametrize("kind", Kind)
def test_joserfc_accepts_the_valid_tokens(kind: Kind) -> None:
    assert taken_by_joserfc(good(kind))
