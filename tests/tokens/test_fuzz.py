"""Seeded mutations of good tokens, aware of their structure; and the same judged by another library.

A failure repeats: seeds and signatures are fixed. Two invariants: text that our key did not sign is never taken, and
whatever is taken, joserfc takes too.
"""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from joserfc import jwt as jose
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from token_forge.own import ACCESS, ACTIVE, ANY, AUDIENCE, CLAIMS, HEADER, ISSUER, NOW, STRANGER, TYP, b64, good, sign
from token_forge.own import verifier as make_verifier

from headgate.tokens.claims import Credential, Kind
from headgate.tokens.compact import decode
from headgate.tokens.keys import ORDER
from headgate.tokens.refusals import RefusalCode, Refused

Dice = random.Random  # repeatable, which is what a test needs
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ODD = [None, True, False, 0, 1, -1, 2**63, 1.5, "", " ", "none", "a\0", "\u00e9", [], [1], ["x"], {}, {"a": 1}, "true"]
UNSIGNED, SIGNED, COMPARED = 5_000, 3_000, 2_000


def attempt(token: str) -> Credential | RefusalCode:
    """The credential or the reason; anything else that is raised fails the test."""
    try:
        return make_verifier().verify(token, NOW, ANY)
    except Refused as refused:
        return refused.code


def flip_bit(token: str, dice: Dice) -> str:
    at = dice.randrange(len(token))
    return token[:at] + chr(ord(token[at]) ^ 1 << dice.randrange(7)) + token[at + 1 :]


def flip_letter(token: str, dice: Dice) -> str:
    at = dice.randrange(len(token))
    return token[:at] + dice.choice(LETTERS) + token[at + 1 :]


def cut(token: str, dice: Dice) -> str:
    start, end = sorted(dice.sample(range(len(token) + 1), 2))
    return token[:start] + token[end:]


def insert(token: str, dice: Dice) -> str:
    at = dice.randrange(len(token) + 1)
    return token[:at] + dice.choice(["=", ".", " ", "\n", "A", "AAAA", "\u00e9", "%00", "\0", "-_"]) + token[at:]


def swap_parts(token: str, dice: Dice) -> str:
    parts = token.split(".") + good(dice.choice(list(Kind))).split(".")
    return ".".join(dice.sample(parts, 3))


def bend_signature(token: str, dice: Dice) -> str:
    head, _, signature = token.rpartition(".")
    raw = bytearray(decode(signature))
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    half = dice.choice(
        [(r, 0), (0, s), (s, r), (ORDER - r, s), (ORDER - r, ORDER - s), (r ^ 1, s), (r, s ^ 1 << dice.randrange(256))]
    )
    return f"{head}.{b64(half[0].to_bytes(32) + (half[1] % 2**256).to_bytes(32))}"


def twin(token: str) -> str:
    """The other text of the same signature: (r, n - s) verifies too, and is the same credential (Z37)."""
    head, _, signature = token.rpartition(".")
    raw = decode(signature)
    return f"{head}.{b64(raw[:32] + (ORDER - int.from_bytes(raw[32:])).to_bytes(32))}"


def change_without_signing(token: str, dice: Dice) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(decode(payload))
    claims[dice.choice(list(claims))] = dice.choice(ODD)
    return f"{header}.{b64(json.dumps(claims).encode())}.{signature}"


def by_a_stranger(token: str, dice: Dice) -> str:
    header, payload, _ = token.split(".")
    return sign(decode(header), decode(payload) + b" " * dice.randrange(3), STRANGER)


MUTATIONS: list[Callable[[str, random.Random], str]] = [
    flip_bit,
    flip_letter,
    cut,
    insert,
    swap_parts,
    bend_signature,
    change_without_signing,
    by_a_stranger,
]


def test_text_that_our_key_did_not_sign_is_never_taken() -> None:
    dice = Dice(20_240_601)
    taken = {form for kind in Kind for form in (good(kind), twin(good(kind)))}
    tried = 0
    for n in range(UNSIGNED):
        token = good(dice.choice(list(Kind)))
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            mutation = MUTATIONS[n % len(MUTATIONS)]
            if token.count(".") == 2 or mutation in (flip_bit, flip_letter, cut, insert):
                try:
                    token = mutation(token, dice)
                except (Refused, ValueError, IndexError, UnicodeError):  # what is left cannot be mutated that way
                    break
        if token in taken:
            continue
        tried += 1
        assert isinstance(attempt(token), RefusalCode), token
    assert tried > UNSIGNED * 0.9


def bent_document(good_one: dict[str, Any], dice: Dice) -> bytes:
    """A header or a claims object with one to three things changed, as JSON text that may be changed once more."""
    document = dict(good_one)
    for _ in range(dice.choice([0, 1, 1, 2, 3])):
        name = dice.choice([*document, "x", "crit", "nbf", "admin", "attributes", "sid", "jku"])
        change = dice.randrange(4)
        if change == 0:
            document.pop(name, None)
        elif change == 1:
            document[name] = dice.choice(ODD)
        elif change == 2 and type(document.get(name)) is int:
            document[name] += dice.choice([-1, 1, -31, 31, 300, -300, 10**6])
        elif isinstance(document.get(name), str):
            document[name] = dice.choice([document[name].upper(), document[name] + "/", [document[name]]])
    raw = json.dumps(document).encode()
    if dice.random() < 0.15:
        raw = dice.choice([raw.replace(b":", b":" + b" " * 9), raw + b" ", b"\n" + raw, raw[:-1], raw + b"}", raw * 2])
    return raw


def bent_and_signed(dice: Dice) -> str:
    """A token with a bent header and bent claims, signed by our own key."""
    kind = dice.choice(list(Kind))
    header = HEADER | {"typ": TYP[kind]}
    return sign(
        bent_document(header, dice) if dice.random() < 0.4 else json.dumps(header).encode(),
        bent_document(CLAIMS[kind], dice),
    )


def test_what_is_taken_is_well_formed_whatever_was_signed() -> None:
    dice, taken = Dice(7), 0
    for _ in range(SIGNED):
        credential = attempt(bent_and_signed(dice))
        if isinstance(credential, RefusalCode):
            assert credential is not RefusalCode.UNEXPECTED
            continue
        taken += 1
        assert (credential.issuer, credential.audience) == (ISSUER, AUDIENCE)
        assert credential.iat - 30 <= NOW + 30
        assert credential.iat < credential.exp
        assert credential.exp > NOW
        assert type(credential.admin) is bool
        assert credential.admin is False or credential.kind in (Kind.ACCESS, Kind.EVALUATE)
        assert (credential.sid is not None) == (credential.kind is Kind.SESSION)
        assert all(type(org) is str for org in credential.orgs + credential.entitlements)
    assert taken > SIGNED * 0.1


JOSE_KEY = ECKey.import_key(ACTIVE.public().jwk())  # type: ignore[arg-type]
JOSE_CLAIMS = jose.JWTClaimsRegistry(
    now=NOW,
    leeway=30,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "values": [AUDIENCE, f"{AUDIENCE}:evaluate"]},
    sub={"essential": True},
    exp={"essential": True},
    iat={"essential": True},
    jti={"essential": True},
)


def taken_by_joserfc(token: str) -> bool:
    """Whether another library takes it, at its own strictness."""
    try:
        JOSE_CLAIMS.validate(jose.decode(token, JOSE_KEY, algorithms=["ES256"]).claims)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return True


def test_whatever_is_taken_joserfc_takes_too() -> None:
    dice, both, only_theirs = Dice(11), 0, 0
    for n in range(COMPARED):
        token = bent_and_signed(dice) if n % 2 else flip_letter(good(), dice)
        ours = isinstance(attempt(token), Credential)
        theirs = taken_by_joserfc(token)
        assert theirs or not ours, token
        both += ours
        only_theirs += theirs and not ours
    assert both > 100
    assert only_theirs > 50  # ours is the stricter


@pytest.mark.parametrize("kind", Kind)
def test_joserfc_takes_the_good_ones(kind: Kind) -> None:
    assert taken_by_joserfc(good(kind))
    assert ACCESS["iss"] == ISSUER
