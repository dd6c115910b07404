"""Tokens seen before: an answer from memory is always the answer that a verification from scratch would give."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import many
from token_forge.own import (
    ACCESS,
    ACTIVE,
    ANY,
    AUDIENCE,
    ISSUER,
    KEYS,
    NEXT,
    NOW,
    PREVIOUS,
    good,
    signer,
    verifier,
    with_claims,
)

from headgate.tokens.claims import Credential, Kind
from headgate.tokens.keys import KeyState, PublicKey, key_set
from headgate.tokens.refusals import RefusalCode, TokenRefused
from headgate.tokens.verify import VerifiedTokens, Verifier


class Counted(Mapping[str, PublicKey]):
    """A key set whose keys count the signatures that they check."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getitem__(self, kid: str) -> PublicKey:
        self.asked.append(kid)
        return KEYS[kid]

    def __iter__(self) -> Iterator[str]:
        return iter(KEYS)

    def __len__(self) -> int:
        return len(KEYS)


def answer(gate: Verifier, token: str, now: float, kinds: frozenset[Kind] = ANY) -> Credential | RefusalCode:
    """The credential or the reason."""
    try:
        return gate.verify(token, now, kinds)
    except TokenRefused as refused:
        return refused.code


def test_a_token_seen_before_is_the_same_object() -> None:
    seen = VerifiedTokens()
    first = verifier(seen).verify(good(), NOW, ANY)
    assert verifier(seen).verify("".join(good()), NOW + 10, ANY) is first


def test_one_character_makes_it_another_token() -> None:
    seen = VerifiedTokens()
    verifier(seen).verify(good(), NOW, ANY)
    for bent in (good() + "=", good()[:-1], good() + ".", " " + good(), good().swapcase()):
        assert isinstance(answer(verifier(seen), bent, NOW), RefusalCode)
    assert len(seen) == 1


def test_a_revoked_key_is_refused_at_once() -> None:
    seen = VerifiedTokens()
    verifier(seen).verify(good(), NOW, ANY)
    revoked = key_set([ACTIVE.public(KeyState.REVOKED)])
    assert answer(Verifier(ISSUER, AUDIENCE, revoked, seen), good(), NOW) is RefusalCode.REVOKED_KEY
    assert answer(Verifier(ISSUER, AUDIENCE, {}, seen), good(), NOW) is RefusalCode.UNKNOWN_KEY


def test_another_key_under_the_same_id_is_checked_anew() -> None:
    seen = VerifiedTokens()
    verifier(seen).verify(good(), NOW, ANY)
    replaced = key_set([signer("key-active", 999).public()])
    assert answer(Verifier(ISSUER, AUDIENCE, replaced, seen), good(), NOW) is RefusalCode.SIGNATURE


def test_an_equal_key_made_anew_is_the_same_key() -> None:
    seen = VerifiedTokens()
    first = verifier(seen).verify(good(), NOW, ANY)
    again = key_set([signer("key-active", 101).public()])
    assert Verifier(ISSUER, AUDIENCE, again, seen).verify(good(), NOW, ANY) is first


def test_issuer_and_audience_are_checked_for_tokens_seen_before() -> None:
    seen = VerifiedTokens()
    verifier(seen).verify(good(), NOW, ANY)
    assert answer(Verifier("https://b.example", AUDIENCE, KEYS, seen), good(), NOW) is RefusalCode.ISSUER
    assert answer(Verifier(ISSUER, "headgate-dev", KEYS, seen), good(), NOW) is RefusalCode.AUDIENCE
    assert answer(verifier(seen), good(), NOW, frozenset({Kind.SESSION})) is RefusalCode.KIND


def test_one_verifier_per_domain_may_share_what_was_seen() -> None:
    seen = VerifiedTokens()
    domains = [f"https://{n}.example" for n in range(5)]
    tokens = [with_claims({"iss": domain}) for domain in domains]
    for _ in range(2):
        for domain in domains:
            gate = Verifier(domain, AUDIENCE, KEYS, seen)
            taken = [token for token in tokens if isinstance(answer(gate, token, NOW), Credential)]
            assert taken == [tokens[domains.index(domain)]]


def test_it_is_bounded_and_the_least_recently_used_goes_first() -> None:
    seen = VerifiedTokens(3)
    gate = verifier(seen)
    tokens = [with_claims({"jti": f"j-{n}"}) for n in range(4)]
    kept = [gate.verify(token, NOW, ANY) for token in tokens[:3]]
    assert gate.verify(tokens[0], NOW, ANY) is kept[0]
    gate.verify(tokens[3], NOW, ANY)
    assert len(seen) == 3
    assert gate.verify(tokens[0], NOW, ANY) is kept[0]
    assert gate.verify(tokens[1], NOW, ANY) is not kept[1]


def test_without_a_store_every_sight_is_the_first() -> None:
    assert verifier().verify(good(), NOW, ANY) is not verifier().verify(good(), NOW, ANY)


def test_a_bug_is_a_refusal_that_raises_an_alarm() -> None:
    class Exploding(Counted):
        def __getitem__(self, kid: str) -> PublicKey:
            raise ZeroDivisionError("token content")

    with pytest.raises(TokenRefused) as caught:
        Verifier(ISSUER, AUDIENCE, Exploding()).verify(good(), NOW, ANY)
    assert caught.value.code is RefusalCode.UNEXPECTED
    assert "content" not in str(caught.value)


def test_one_key_is_asked_for_and_only_by_the_id_in_the_header() -> None:
    keys = Counted()
    Verifier(ISSUER, AUDIENCE, keys).verify(good(by=NEXT), NOW, ANY)
    assert set(keys.asked) == {"key-next"}


times = st.one_of(
    st.integers(-400, 400),
    st.sampled_from([-31, -30.5, -30, -29, -0.1, 0, 299, 299.9, 300, 300.1, 330]),
)
steps = st.lists(
    st.tuples(
        times,
        st.sampled_from(sorted(Kind)),
        st.sampled_from(["revoke", "restore", "stay", "stay", "stay"]),
        st.sampled_from([ISSUER, ISSUER, "https://other.example"]),
        st.sampled_from([ANY, ANY, frozenset({Kind.ACCESS}), frozenset({Kind.SESSION, Kind.SERVICE})]),
    ),
    max_size=12,
)


@settings(max_examples=many(150, 1_500))
@given(steps)
def test_memory_and_scratch_always_agree(walk: list[tuple[float, Kind, str, str, frozenset[Kind]]]) -> None:
    seen, keys = VerifiedTokens(2), key_set([ACTIVE.public(), PREVIOUS.public()])
    for ahead, kind, change, issuer, kinds in walk:
        if change != "stay":
            state = KeyState.REVOKED if change == "revoke" else KeyState.PREVIOUS
            keys = {kid: replace(key, state=state) for kid, key in keys.items()}
        now = NOW + ahead
        remembered = Verifier(issuer, AUDIENCE, keys, seen)
        scratch = Verifier(issuer, AUDIENCE, keys)
        assert answer(remembered, good(kind), now, kinds) == answer(scratch, good(kind), now, kinds)


def test_nothing_of_a_person_is_in_the_repr() -> None:
    shown = repr(verifier().verify(with_claims({"attributes": {"plan": "secret-plan"}}), NOW, ANY))
    for private in (ACCESS["sub"], "org-1", "secret-plan", "web"):
        assert f"'{private}'" not in shown
