"""The signing keys' states: what a rotation moves, when it is refused, what a revocation ends, what is on record."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import many

from headgate.core.documents import Invalid
from headgate.core.keyring import (
    LONGEST_TOKEN_LIFE,
    LOST_KEYRING,
    CannotRotate,
    KeyRecord,
    Keyring,
    KeyState,
    in_use,
    is_revoked,
    keyring_document,
    parse_keyring,
    revoked,
    rotated,
    states,
)
from headgate.core.snapshot import EMPTY, apply_entries, read_keyring

POOL = ("k1", "k2", "k3")
NOW = 1_780_000_000
NEXT, ACTIVE, PREVIOUS, REVOKED = KeyState.NEXT, KeyState.ACTIVE, KeyState.PREVIOUS, KeyState.REVOKED


def shown(ring: Keyring, pool: tuple[str, ...] = POOL) -> str:
    """The states in the pool's order, a letter each; `-` for a key that is not in use."""
    held = states(ring, pool)
    return "".join(held[kid].value[0] if kid in held else "-" for kid in pool)


def test_a_pool_that_was_never_rotated_signs_with_its_first_key() -> None:
    assert shown(()) == "ann"
    assert shown((), ()) == ""
    assert in_use((), POOL)[0] == KeyRecord("k1", ACTIVE, 0)


def test_a_pool_of_three_goes_round() -> None:
    """Next signs, what signed stays known; the third rotation waits for the first key's last token."""
    first = rotated((), POOL, NOW)
    assert shown(first) == "pan"
    second = rotated(first, POOL, NOW + 10)
    assert shown(second) == "ppa"
    for too_soon in (NOW + 10, NOW + LONGEST_TOKEN_LIFE - 1):
        with pytest.raises(CannotRotate, match="still valid"):
            rotated(second, POOL, too_soon)
    third = rotated(second, POOL, NOW + LONGEST_TOKEN_LIFE)
    assert shown(third) == "app", "the second key's tokens live for ten seconds more"
    assert shown(rotated(third, POOL, NOW + LONGEST_TOKEN_LIFE + 10)) == "pap"
    assert {key.kid: key.since for key in third} == {
        "k1": NOW + LONGEST_TOKEN_LIFE,
        "k2": NOW + 10,
        "k3": NOW + LONGEST_TOKEN_LIFE,
    }


def test_rotated_once_an_hour_a_next_key_always_stands_ready() -> None:
    ring: Keyring = ()
    for turn in range(9):
        ring = rotated(ring, POOL, NOW + turn * LONGEST_TOKEN_LIFE)
        assert "n" in shown(ring) or turn == 1, turn


def test_with_one_key_revoked_the_other_two_take_turns() -> None:
    """A pool that lost a key could be rotated by no one if a next key had to be left over."""
    ring = revoked((), POOL, "k3", NOW)
    assert shown(ring) == "anr"
    for turn, expected in enumerate(("par", "apr", "par", "apr")):
        ring = rotated(ring, POOL, NOW + turn * LONGEST_TOKEN_LIFE)
        assert shown(ring) == expected
    with pytest.raises(CannotRotate):
        rotated(ring, POOL, NOW + 3 * LONGEST_TOKEN_LIFE + LONGEST_TOKEN_LIFE - 1)


def test_revoking_the_active_key_lets_the_next_sign() -> None:
    ring = revoked((), POOL, "k1", NOW)
    assert shown(ring) == "ran"
    assert shown(revoked(ring, POOL, "k2", NOW)) == "rra"
    assert is_revoked(ring, "k1")
    assert not is_revoked(ring, "k2")


def test_revoking_another_key_moves_nothing_else() -> None:
    once = rotated((), POOL, NOW)
    assert shown(revoked(once, POOL, "k1", NOW + 1)) == "ran"
    assert shown(revoked(once, POOL, "k3", NOW + 1)) == "par"
    late = revoked(once, POOL, "k3", NOW + LONGEST_TOKEN_LIFE)
    assert shown(late) == "nar", "what is dead by then stands ready at once"


def test_in_an_emergency_a_previous_key_signs_again_though_its_tokens_live() -> None:
    """Both next and active are lost within the hour: refusing to revoke would be worse than reusing a good key."""
    ring = revoked(rotated((), POOL, NOW), POOL, "k3", NOW + 1)
    assert shown(ring) == "par"
    ring = revoked(ring, POOL, "k2", NOW + 2)
    assert shown(ring) == "arr"
    twice = rotated(rotated((), POOL, NOW), POOL, NOW + 1)
    assert shown(revoked(twice, POOL, "k3", NOW + 2)) == "par", "the one that signed last"


def test_the_last_key_cannot_be_revoked_until_another_is_there() -> None:
    """Revoking it would end every token and all minting; a deployment that adds a key makes it possible."""
    ring = revoked(revoked((), POOL, "k1", NOW), POOL, "k2", NOW)
    with pytest.raises(CannotRotate, match="last key"):
        revoked(ring, POOL, "k3", NOW)
    assert shown(revoked(ring, (*POOL, "k4"), "k3", NOW), (*POOL, "k4")) == "rrra"


def test_twice_is_as_once() -> None:
    ring = revoked((), POOL, "k1", NOW)
    assert revoked(ring, POOL, "k1", NOW + 100) == ring


def test_what_is_not_in_the_pool_is_not_a_key() -> None:
    with pytest.raises(CannotRotate, match="no such key"):
        revoked((), POOL, "k9", NOW)
    ring = rotated((), POOL, NOW)
    assert shown(ring, ("k2", "k3")) == "an"
    assert states(ring, ("k9",)) == {"k9": NEXT}
    assert shown(rotated(ring, ("k3", "k4"), NOW), ("k3", "k4")) == "an"


def test_a_revoked_key_that_comes_back_into_the_pool_is_still_revoked() -> None:
    ring = rotated(revoked((), POOL, "k1", NOW), ("k2", "k3"), NOW)
    assert shown(ring, POOL)[0] == "r"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["rotate", *POOL]),
        st.sampled_from([0, 1, 600, LONGEST_TOKEN_LIFE - 1, LONGEST_TOKEN_LIFE, 86_400]),
    ),
    max_size=12,
)


@settings(max_examples=many(300, 3_000))
@given(STEPS)
def test_whatever_is_done_one_key_signs_and_tokens_stay_verifiable(steps: list[tuple[str, int]]) -> None:
    """Exactly one active key; a revoked one never returns; whoever signed is known until its tokens are dead."""
    ring, now = in_use((), POOL), NOW
    signed_at = {"k1": NOW}
    for step, later in steps:
        now += later
        before = states(ring, POOL)
        (active,) = (kid for kid, state in before.items() if state is ACTIVE)
        signed_at[active] = now
        try:
            after = rotated(ring, POOL, now) if step == "rotate" else revoked(ring, POOL, step, now)
        except CannotRotate:
            _may_be_refused(step, ring, before, now)
            continue
        held = states(after, POOL)
        assert list(held.values()).count(ACTIVE) == 1
        assert held.keys() == set(POOL)
        assert all(held[kid] is REVOKED for kid, state in before.items() if state is REVOKED)
        assert [kid for kid in POOL if held[kid] is REVOKED and before[kid] is not REVOKED] in ([], [step])
        assert all(held[kid] is not REVOKED for kid in signed_at if before[kid] is not REVOKED and kid != step)
        if step == "rotate":
            assert held[active] is PREVIOUS
            assert before[_active(held)] is NEXT or signed_at.get(_active(held), 0) + LONGEST_TOKEN_LIFE <= now
        ring = parse_keyring({"keys": keyring_document(after), "version": 1, "revision": 1})
        assert ring == after


def _active(held: Any) -> str:
    return next(kid for kid, state in held.items() if state is ACTIVE)


def _may_be_refused(step: str, ring: Keyring, before: Any, now: int) -> None:
    """A rotation for want of a key whose tokens are dead; a revocation of the last key only."""
    if step == "rotate":
        assert NEXT not in before.values()
        assert all(key.since + LONGEST_TOKEN_LIFE > now for key in ring if key.state is PREVIOUS)
    else:
        assert before[step] is ACTIVE
        assert list(before.values()).count(REVOKED) == len(POOL) - 1


@pytest.mark.parametrize(
    "document",
    [
        None, 7, "keys", [], {}, {"keys": []}, {"keys": None}, {"keys": {}}, {"keys": [7]}, {"keys": [{}]},
        {"keys": [{"kid": "k1"}]}, {"keys": [{"state": "active"}]}, {"keys": [{"kid": "", "state": "active"}]},
        {"keys": [{"kid": "k1", "state": "Active"}]}, {"keys": [{"kid": "k1", "state": "active", "since": -1}]},
        {"keys": [{"kid": "k1", "state": "active", "since": "1"}]}, {"keys": [{"kid": 1, "state": "active"}]},
        {"keys": [{"kid": "k1", "state": "active"}], "more": 1},
        {"keys": [{"kid": "k1", "state": "active", "more": 1}]},
        {"keys": [{"kid": "k1", "state": "revoked"}, {"kid": "k1", "state": "active"}]},
        {"keys": [{"kid": "k1", "state": "active"}, {"kid": "k2", "state": "active"}]},
        {"keys": [{"kid": f"k{n}", "state": "next"} for n in range(101)]},
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_read_gives_no_key(document: Any) -> None:
    """No token passes and none is signed; taking it for an empty record would bring back what was revoked."""
    ring = read_keyring(document)
    assert ring == LOST_KEYRING
    assert shown(ring) == "---"
    assert in_use(ring, POOL) == ()
    assert is_revoked(ring, "k1")
    for move in (lambda: rotated(ring, POOL, NOW), lambda: revoked(ring, POOL, "k1", NOW)):
        with pytest.raises(CannotRotate, match="cannot be read"):
            move()


MEMBERS = st.sampled_from(["keys", "kid", "state", "since"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
)


@given(DOCUMENTS)
def test_reading_a_record_never_fails_otherwise(document: Any) -> None:
    try:
        assert parse_keyring(document) == ()
    except Invalid:
        assert read_keyring(document) == LOST_KEYRING


def test_an_audit_entry_of_the_keys_moves_the_snapshot() -> None:
    ring = rotated((), POOL, NOW)
    entry = {"revision": 1, "action": "keys.rotate", "flag": None, "after": {"keys": keyring_document(ring)}}
    assert apply_entries(EMPTY, [entry]).keyring == ring
    assert apply_entries(EMPTY, [{**entry, "after": {"keys": "all"}}]).keyring == LOST_KEYRING
