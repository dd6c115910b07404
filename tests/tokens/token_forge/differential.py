"""The same text judged by joserfc, and every difference named: ours takes a subset of what another library takes.

joserfc gets each key by its id, the expected issuer and audiences, and our leeway; what it does not ask beyond that is
ours to ask.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from joserfc import jwt as jose
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from token_forge.differences import DIFFERENCES, Reading
from token_forge.fuzzing import Broken
from token_forge.missigned import MISSIGNED, WRONG
from token_forge.own import ACTIVE, ANY, AUDIENCE, CLAIMS, ISSUER, NOW, REVOKED, sign, verifier
from token_forge.pool import POOL, SIGNERS, header_of, rich
from token_forge.unsigned import ODD, PARTS, SIGNATURE, TEXT

from headgate.tokens.claims import Kind
from headgate.tokens.refusals import RefusalCode, TokenRefused

_KEYS = {key.kid: ECKey.import_key(key.public().jwk()) for key in (*SIGNERS, REVOKED)}  # type: ignore[arg-type]
_CLAIMS = jose.JWTClaimsRegistry(
    now=NOW,
    leeway=30,
    iss={"essential": True, "value": ISSUER},
    aud={"essential": True, "values": [AUDIENCE, f"{AUDIENCE}:evaluate"]},
    sub={"essential": True},
    exp={"essential": True},
    iat={"essential": True},
    jti={"essential": True},
)
_TEXT = {**TEXT, **PARTS, **SIGNATURE}


def taken_by_joserfc(token: str) -> bool:
    """Whether it takes the text, at its own strictness."""
    try:
        _CLAIMS.validate(jose.decode(token, _key, algorithms=["ES256"]).claims)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False
    return True


def _key(token: Any) -> ECKey:
    kid = token.headers().get("kid")
    return _KEYS.get(kid, _KEYS[ACTIVE.kid]) if isinstance(kid, str) else _KEYS[ACTIVE.kid]


# -- what is compared


def compared(seed: int, number: int) -> str:
    """The text of that number: half of them bent at random and signed by us, so that many are good and many nearly."""
    dice = Random(seed << 32 | number)
    turn = number % 8
    if turn < 5:
        return bent_and_signed(dice)
    if turn < 7:
        return MISSIGNED[dice.choice(list(MISSIGNED))](dice)
    return _TEXT[dice.choice(list(_TEXT))](dice.choice(POOL), dice)


def bent_and_signed(dice: Random) -> str:
    """A token with a bent header and bent claims, signed by our own key."""
    kind, by = dice.choice(list(Kind)), dice.choice((*SIGNERS, *SIGNERS, REVOKED))
    header, claims = header_of(kind, by), dice.choice((CLAIMS[kind], rich(kind)))
    plain = json.dumps(header).encode()
    return sign(bent_document(header, dice) if dice.random() < 0.3 else plain, bent_document(claims, dice), by)


def bent_document(good_one: Mapping[str, Any], dice: Random) -> bytes:
    """A header or a claims object with some things changed, as JSON text that may be changed once more."""
    document = dict(good_one)
    for _ in range(dice.choice((0, 0, 1, 1, 2, 3))):
        name = dice.choice([*document, "x", "crit", "nbf", "admin", "attributes", "sid", "jku"])
        change = dice.randrange(5)
        if change == 0:
            document.pop(name, None)
        elif change == 1:
            document[name] = dice.choice((*ODD, *WRONG.get(name, ())))
        elif change == 2 and type(document.get(name)) is int:
            document[name] += dice.choice((-1, 1, -31, 31, 300, -300, 3_301, 10**6))
        elif change == 3:
            document[dice.choice(("note", "version", "x-1"))] = dice.choice(ODD)
        elif isinstance(document.get(name), str):
            document[name] = dice.choice((document[name].upper(), document[name] + "/", [document[name]]))
    raw = json.dumps(document).encode()
    if dice.random() < 0.15:
        forms = (raw.replace(b":", b":" + b" " * 9), raw + b" ", b"\n" + raw, raw[:-1], raw + b"}", raw * 2,
                 raw[:-1] + b',"x":1,"x":1}', raw.decode().encode("utf-16"), raw.replace(b": 7", b": 7.0"))  # fmt: skip
        raw = dice.choice(forms)
    return raw


BOTH, NEITHER = "both take it", "neither takes it"


def compare(seed: int, numbers: Iterable[int]) -> Counter[str]:
    """How many texts ended how: both, neither, or by a difference's name. Raises `Broken` where none explains it."""
    ours, counted = verifier(), Counter[str]()
    for number in numbers:
        token = compared(seed, number)
        try:
            ours.verify(token, NOW, ANY)
            code = None
        except TokenRefused as refused:
            code = refused.code
        ending = _ending(token, code, theirs=taken_by_joserfc(token))
        if ending is None:
            raise Broken(f"not explained: {code or 'only ours'}, seed {seed}, number {number}: {token!r}")
        counted[ending] += 1
    return counted


def _ending(token: str, code: RefusalCode | None, *, theirs: bool) -> str | None:
    if code is None:
        return BOTH if theirs else None
    if not theirs:
        return NEITHER
    name, seen = DIFFERENCES.get(code, ("", lambda _read: False))
    return name if seen(Reading.of(token)) else None
