"""Revocations and ended sessions: what each refuses, and that no stored record makes the set refuse less."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.deny import EVERYONE, Denial, DenyKind, DenySet, parse_denial
from headgate.core.documents import Invalid
from headgate.core.snapshot import EMPTY, apply_entries, with_denials

AT = 1_780_000_000
SUBJECT, JTI, SESSION = DenyKind.SUBJECT, DenyKind.JTI, DenyKind.SESSION
NAMES = st.sampled_from(["alice", "bob", "a", "b"])
DENIALS = st.lists(
    st.builds(Denial, st.sampled_from(DenyKind), NAMES, st.integers(AT - 5, AT + 5), st.just(AT + 90_000)), max_size=8
)


def denied(*denials: Denial) -> DenySet:
    held = DenySet()
    for denial in denials:
        held = held.with_denials([denial])
    assert held == DenySet().with_denials(denials)
    return held


def one(kind: DenyKind, value: str, at: int = AT) -> DenySet:
    return denied(Denial(kind, value, at, at + 90_000))


@pytest.mark.parametrize(
    ("issued_at", "refused"),
    [(0, True), (AT - 1, True), (AT, True), (AT + 1, True), (AT + 2, False), (AT + 900, False)],
)
def test_a_subject_revocation_refuses_tokens_issued_up_to_the_second_after_it(issued_at: int, refused: bool) -> None:
    held = one(SUBJECT, "alice")
    assert held.refuses(subject="alice", jti="t1", issued_at=issued_at, session=None) is refused
    assert held.refuses(subject="alice", jti="t1", issued_at=issued_at, session="s1") is refused
    for other in ("bob", "Alice", "alice ", "", "t1"):
        assert not held.refuses(subject=other, jti="t1", issued_at=issued_at, session=None)


@pytest.mark.parametrize(("issued_at", "refused"), [(0, True), (AT + 1, True), (AT + 2, False)])
def test_a_confirmed_restore_refuses_every_token_issued_up_to_the_second_after_it(
    issued_at: int, refused: bool
) -> None:
    held = one(DenyKind.ALL, EVERYONE)
    for subject, session in (("alice", None), ("bob", "s1")):
        assert held.refuses(subject=subject, jti="t1", issued_at=issued_at, session=session) is refused


def test_a_jti_revocation_refuses_the_token_whenever_it_was_issued() -> None:
    """An id is never used twice, so the time of issue does not matter."""
    held = one(JTI, "t1")
    for issued_at in (0, AT, AT + 1):
        assert held.refuses(subject="alice", jti="t1", issued_at=issued_at, session=None)
        assert not held.refuses(subject="alice", jti="t2", issued_at=issued_at, session=None)
    assert not held.refuses(subject="t1", jti="t2", issued_at=0, session="t1"), "kinds do not mix"


def test_an_ended_session_is_refused_up_to_its_end_and_can_start_again() -> None:
    held = one(SESSION, "s1")
    assert held.refuses(subject="alice", jti="t1", issued_at=AT + 1, session="s1")
    assert not held.refuses(subject="alice", jti="t1", issued_at=AT + 2, session="s1")
    assert not held.refuses(subject="alice", jti="t1", issued_at=AT, session="s2")
    assert not held.refuses(subject="alice", jti="t1", issued_at=AT, session=None), "her access token is no session"


def test_an_empty_deny_set_refuses_nothing() -> None:
    assert not DenySet().refuses(subject="alice", jti="t1", issued_at=0, session="s1")


@given(DENIALS, st.randoms(use_true_random=False), NAMES, NAMES, st.integers(AT - 6, AT + 6), st.none() | NAMES)
def test_denials_apply_in_any_order_and_adding_one_never_refuses_less(
    denials: list[Denial], source: Any, subject: str, jti: str, issued_at: int, session: str | None
) -> None:
    """A load reads them in table order, a fold in audit order; the later of two denials of one name applies."""
    asked: Any = {"subject": subject, "jti": jti, "issued_at": issued_at, "session": session}
    shuffled = source.sample(denials, len(denials))
    assert denied(*denials) == denied(*shuffled)
    refused = [denied(*denials[:count]).refuses(**asked) for count in range(len(denials) + 1)]
    assert refused == sorted(refused)
    assert refused[-1] is any(denied(denial).refuses(**asked) for denial in denials)


@given(DENIALS)
def test_a_denial_reads_back_equal(denials: list[Denial]) -> None:
    for denial in denials:
        assert parse_denial({**denial.document, "version": 3, "revision": 9}) == denial
    entries = [
        {"revision": number, "action": "deny.revoke", "flag": None, "after": denial.document}
        for number, denial in enumerate(denials, 1)
    ]
    assert apply_entries(EMPTY, entries).denied == denied(*denials)


@pytest.mark.parametrize("value", ["alice", "auth0|5f7c8ec7c33c6c004bbafe82", "ä" * 128, "x" * 256, "arn:aws:iam::1:x"])
def test_every_valid_subject_can_be_revoked(value: str) -> None:
    assert parse_denial(Denial(SUBJECT, value, AT, AT + 1).document).value == value


GOOD: dict[str, Any] = {"kind": "subject", "value": "alice", "at": AT, "expires": AT + 1}


@pytest.mark.parametrize(
    "document",
    [
        None, 7, "subject", [], {}, {**GOOD, "kind": "user"}, {**GOOD, "kind": None}, {**GOOD, "value": ""},
        {**GOOD, "value": 7}, {**GOOD, "value": "a\nb"}, {**GOOD, "at": "1"}, {**GOOD, "at": -1}, {**GOOD, "at": True},
        {**GOOD, "expires": 2**41}, {**GOOD, "reason": "x"},
    ],
)  # fmt: skip
def test_an_unreadable_denial_leaves_the_others_in_force(document: Any) -> None:
    """The other denials still apply, and the rules are served."""
    with pytest.raises(Invalid):
        parse_denial(document)
    held = one(SUBJECT, "alice")
    assert with_denials(held, [document]) == held
    entry = {"revision": 1, "action": "deny.revoke", "flag": None, "after": document}
    assert apply_entries(EMPTY, [entry]).revision == 1
