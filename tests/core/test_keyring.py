"""The signing keys' states: what a rotation changes, when it is refused, what a revocation ends, what is stored."""

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


def test_a_pool_without_rotations_signs_with_its_first_key() -> None:
    assert shown(()) == "ann"
    assert shown((), ()) == ""
    assert in_use((), POOL)[0] == KeyRecord("k1", ACTIVE, 0)


def test_rotations_cycle_through_a_pool_of_three() -> None:
    """The next key signs, the previous one verifies; a third rotation waits until the first key's tokens expire."""
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


def test_hourly_rotation_always_leaves_a_next_key() -> None:
    ring: Keyring = ()
    for turn in range(9):
        ring = rotated(ring, POOL, NOW + turn * LONGEST_TOKEN_LIFE)
        assert "n" in shown(ring) or turn == 1, turn


def test_with_one_key_revoked_the_other_two_alternate() -> None:
    """If a rotation had to leave a next key, a pool that lost a key could never rotate."""
    ring = revoked((), POOL, "k3", NOW)
    assert shown(ring) == "anr"
    for turn, expected in enumerate(("par", "apr", "par", "apr")):
        ring = rotated(ring, POOL, NOW + turn * LONGEST_TOKEN_LIFE)
        assert shown(ring) == expected
    with pytest.raises(CannotRotate):
        rotated(ring, POOL, NOW + 3 * LONGEST_TOKEN_LIFE + LONGEST_TOKEN_LIFE - 1)


def test_revoking_the_active_key_activates_the_next() -> None:
    ring = revoked((), POOL, "k1", NOW)
    assert shown(ring) == "ran"
    assert shown(revoked(ring, POOL, "k2", NOW)) == "rra"
    assert is_revoked(ring, "k1")
    assert not is_revoked(ring, "k2")


def test_revoking_an_inactive_key_changes_no_other_key() -> None:
    once = rotated((), POOL, NOW)
    assert shown(revoked(once, POOL, "k1", NOW + 1)) == "ran"
    assert shown(revoked(once, POOL, "k3", NOW + 1)) == "par"
    late = revoked(once, POOL, "k3", NOW + LONGEST_TOKEN_LIFE)
    assert shown(late) == "nar", "what is dead by then stands ready at once"


def test_a_previous_key_signs_again_if_active_and_next_are_revoked() -> None:
    """Active and next are lost within the hour: refusing to revoke would be worse than reusing a good key."""
    ring = revoked(rotated((), POOL, NOW), POOL, "k3", NOW + 1)
    assert shown(ring) == "par"
    ring = revoked(ring, POOL, "k2", NOW + 2)
    assert shown(ring) == "arr"
    twice = rotated(rotated((), POOL, NOW), POOL, NOW + 1)
    assert shown(revoked(twice, POOL, "k3", NOW + 2)) == "par", "the one that signed last"


def test_revoking_the_last_key_is_refused_until_another_is_configured() -> None:
    """It would end every token and all minting; a deployment that adds a key makes it possible."""
    ring = revoked(revoked((), POOL, "k1", NOW), POOL, "k2", NOW)
    with pytest.raises(CannotRotate, match="last key"):
        revoked(ring, POOL, "k3", NOW)
    assert shown(revoked(ring, (*POOL, "k4"), "k3", NOW), (*POOL, "k4")) == "rrra"


def test_revoking_a_key_twice_changes_nothing_more() -> None:
    ring = revoked((), POOL, "k1", NOW)
    assert revoked(ring, POOL, "k1", NOW + 100) == ring


def test_a_key_outside_the_pool_is_unknown() -> None:
    with pytest.raises(CannotRotate, match="no such key"):
        revoked((), POOL, "k9", NOW)
    ring = rotated((), POOL, NOW)
    assert shown(ring, ("k2", "k3")) == "an"
    assert states(ring, ("k9",)) == {"k9": NEXT}
    assert shown(rotated(ring, ("k3", "k4"), NOW), ("k3", "k4")) == "an"


def test_a_revoked_key_that_returns_to_the_pool_stays_revoked() -> None:
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
def test_after_any_changes_one_key_signs_and_unexpired_tokens_verify(steps: list[tuple[str, int]]) -> None:
    """Exactly one active key; a revoked one never returns; a key that signed verifies until its tokens expire."""
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
    """A rotation without a key whose tokens have expired; a revocation of the last key."""
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
def test_an_unreadable_key_record_leaves_no_usable_key(document: Any) -> None:
    """No token passes and none is signed; reading it as an empty record would un-revoke keys."""
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
def test_reading_any_key_record_never_raises(document: Any) -> None:
    try:
        assert parse_keyring(document) == ()
    except Invalid:
        assert read_keyring(document) == LOST_KEYRING


def test_an_audit_entry_of_the_keys_updates_the_snapshot() -> None:
    ring = rotated((), POOL, NOW)
    entry = {"revision": 1, "action": "keys.rotate", "flag": None, "after": {"keys": keyring_document(ring)}}
    assert apply_entries(EMPTY, [entry]).keyring == ring
    assert apply_entries(EMPTY, [{**entry, "after": {"keys": "all"}}]).keyring == LOST_KEYRING
