"""Invalid tokens signed by our own key: each is wrong in at least one way.

A stolen signing permission, a second signer, or a bug in the issuer could make them; they show that the checks
after the signature work on their own.
"""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from token_forge.own import AUDIENCE, CLAIMS, ISSUER, NOW, REVOKED, TYP, b64, sign, sign_parts, text
from token_forge.pool import SIGNERS, header_of, rich
from token_forge.unsigned import LETTERS, POINTERS

from headgate.tokens.claims import PROFILES, Kind
from headgate.tokens.keys import LocalSigner

Forger = Callable[[Random], str]

NOT_TEXT = (None, True, 0, 1.5, "", " ", "a b", "a\0", "\x7f", "x" * 257, "\u00e9" * 129, "\u2003", [], ["x"], {},
            "\ud800")  # fmt: skip
NOT_HANDLE = (*NOT_TEXT, "\u00e9", "a/b", "x" * 129, "a,b", "%00")
NOT_TIME = (None, True, False, "", str(NOW), float(NOW + 100), [NOW], {}, -1, 2**53, -(2**63), 10**30, 1e308)
NOT_NAMES = (None, True, 0, "org-1", {}, {"a": 1}, [1], [None], [""], [["a"]], ["a", "b c"], ["a\0"])
WRONG: Mapping[str, tuple[Any, ...]] = {
    "iss": (*NOT_TEXT, ISSUER + "/", ISSUER.upper(), ISSUER[:-1], "http" + ISSUER[5:], [ISSUER], ISSUER + "\u200b",
            ISSUER.replace("a", "\u0430")),
    "aud": (*NOT_TEXT, AUDIENCE + "-dev", AUDIENCE.upper(), [AUDIENCE], [AUDIENCE, "x"], f"{AUDIENCE}:"),
    "scope": (*NOT_TEXT, "openid", "access evaluate", "ACCESS", ["access"]),
    "sub": NOT_TEXT,
    "client_id": NOT_TEXT,
    "exp": (*NOT_TIME, NOW, NOW - 1, NOW + 3_601, NOW + 10**9, 0),
    "iat": (*NOT_TIME, NOW + 31, NOW + 300, NOW - 3_601, 0, NOW + 10**6),
    "nbf": (None, True, "", str(NOW), float(NOW), [NOW], {}, 2**53, 10**30, 1e308, NOW + 31, NOW + 10**6),
    "jti": NOT_HANDLE,
    "rev": (None, True, -1, 1.0, "7", [], {}, 2**53, -(2**70)),
    "orgs": NOT_NAMES,
    "entitlements": NOT_NAMES,
    "admin": (False, None, 0, 1, "true", "", [], [True], {}, 1.0),
    "attributes": (None, True, 0, "x", [], [{}], {"a": None}, {"a": {}}, {"a": [[1]]}, {"a": [None]}, {"": 1},
                   {"a b": 1}, {"x" * 129: 1}),
    "sid": NOT_HANDLE,
}  # fmt: skip
"""Invalid values by claim. They are also refused for a kind that must not have the claim."""
ALWAYS = ("iss", "aud", "sub", "client_id", "exp", "iat", "jti", "scope", "rev")


def _kind(dice: Random) -> tuple[Kind, LocalSigner, dict[str, Any]]:
    kind = dice.choice(list(Kind))
    return kind, dice.choice(SIGNERS), dict(dice.choice((CLAIMS[kind], rich(kind))))


def wrong_claim(dice: Random) -> str:
    """One claim of a wrong type or value."""
    kind, by, claims = _kind(dice)
    name = dice.choice([name for name in WRONG if name != "sid" or kind is Kind.SESSION])
    return sign(text(header_of(kind, by)), text(claims | {name: dice.choice(WRONG[name])}), by)


def missing_claim(dice: Random) -> str:
    """One required claim missing, sometimes with many unknown ones added."""
    kind, by, claims = _kind(dice)
    del claims[dice.choice((*ALWAYS, *PROFILES[kind].required))]
    if dice.random() < 0.3:
        claims |= {f"extra{n}": n for n in range(dice.randrange(9))}
    return sign(text(header_of(kind, by)), text(claims), by)


def forbidden_claim(dice: Random) -> str:
    """One claim that this kind must not have."""
    kind, by, claims = _kind(dice)
    claims[dice.choice(sorted(PROFILES[kind].forbidden))] = dice.choice((True, "town:1", [], {}, None, ["org-1"]))
    return sign(text(header_of(kind, by)), text(claims), by)


def another_kind(dice: Random) -> str:
    """The header of one kind, the claims of another."""
    one, other = dice.sample(list(Kind), 2)
    by = dice.choice(SIGNERS)
    return sign(text(header_of(one, by)), text(dice.choice((CLAIMS[other], rich(other)))), by)


def wrong_header(dice: Random) -> str:
    """One member added, removed, or wrong."""
    kind, by, claims = _kind(dice)
    header, change = header_of(kind, by), dice.randrange(3)
    if change == 0:
        header[dice.choice((*POINTERS, "x", "", "ALG"))] = dice.choice((None, True, "x", [], ["exp"], {"kty": "EC"}))
    elif change == 1:
        del header[dice.choice(("alg", "typ", "kid"))]
    else:
        name, values = dice.choice(list(_wrong_members(kind, by).items()))
        header[name] = dice.choice(values)
    return sign(text(header), text(claims), by)


def _wrong_members(kind: Kind, by: LocalSigner) -> Mapping[str, tuple[Any, ...]]:
    typ, kid = TYP[kind], by.kid
    return {
        "alg": ("none", "es256", "ES256K", "ES384", "HS256", "RS256", "", None, 1, ["ES256"], {}, "ES256\0"),
        "typ": ("JWT", "jwt", "", None, 1, [typ], typ + ";v=1", f"application/{typ}", "at jwt"),
        "kid": ("", " ", None, 1, [kid], kid.upper(), kid + "\0", "../" + kid, REVOKED.kid, "x" * 300),
    }


def wrong_json(dice: Random) -> str:
    """Text that is not one JSON object in strict UTF-8, each member once, with finite numbers, not too deep."""
    kind, by, claims = _kind(dice)
    both = [text(header_of(kind, by)), text(claims)]
    at = dice.randrange(2)
    both[at] = _spoilt(both[at], dice)
    return sign(both[0], both[1], by)


def _spoilt(raw: bytes, dice: Random) -> bytes:
    open_, end = raw[:-1], raw[1:]
    name = raw.split(b'"')[1]
    spoilt = (
        raw + b"x", raw + raw, raw[:-1], raw[1:], raw + b",", b"[" + raw + b"]", json.dumps(raw.decode()).encode(),
        b"\xef\xbb\xbf" + raw, raw.decode().encode("utf-16"), raw.decode().encode("utf-16-le"),
        raw.decode().encode("utf-32"), open_ + b',"x":NaN}', open_ + b',"x":-Infinity}', open_ + b',"x":1e400}',
        open_ + b',"' + name + b'":1}', b'{"' + name + b'":1,' + end, open_ + b',"x":"\\ud800"}',
        open_ + b',"x":"\xff"}', open_ + b',"x":"\xc0\xaf"}', open_ + b',"x":"\xed\xa0\x80"}', open_ + b',"x":"\n"}',
        open_ + b",}", open_ + b"/**/}", raw.replace(b'"', b"'"), open_ + b',"x":01}', open_ + b',"x":1' + b"0" * 1_500,
        open_ + b',"x":' + b"[" * 40 + b"]" * 40 + b"}", b"[" * 900, b'{"a":' * 300 + b"1" + b"}" * 300,
        open_ + b',"x":' + b"[" * 1_100, b"null", b"true", b"0", b'""', b"[]", b"\0", b"\0" + raw, raw + b"\0",
        open_ + b',"x":"\\x41"}', open_ + b',"x":.5}', open_ + b',x:1}', raw.replace(b":", b"=", 1),
    )  # fmt: skip
    return dice.choice(spoilt)


def wrong_encoding(dice: Random) -> str:
    """Signed but not canonical base64url: stray bits, padding, the other alphabet."""
    kind, by, claims = _kind(dice)
    both = [text(header_of(kind, by)), text(claims)]
    at = dice.randrange(2)
    raw = both[at] + b" " * (-(len(both[at]) + 2) % 3)  # one or two bytes in the last group leave bits
    raw += b" " * dice.randrange(2)
    encoded = [b64(part) for part in both]
    part = b64(raw)
    encoded[at] = dice.choice(
        (
            part[:-1] + LETTERS[LETTERS.index(part[-1]) | 1],
            part + "=" * (-len(part) % 4 or 4),
            part + "A" * (1 if len(part) % 4 == 0 else 5 - len(part) % 4),
            f"{part[:20]}\n{part[20:]}",
            part + "+/",
        )
    )
    return sign_parts(*encoded, by=by)


def too_large(dice: Random) -> str:
    """Complete and signed, but larger than any token of ours."""
    kind, by, claims = _kind(dice)
    header, payload = text(header_of(kind, by)), text(claims)
    if dice.random() < 0.3:
        return sign(header[:-1] + b" " * dice.randrange(400, 900) + b"}", payload, by)
    return sign(header, payload + b" " * dice.randrange(3_000, 9_000), by)


def out_of_time(dice: Random) -> str:
    """Expired, not yet valid, or with too long a life; by a second or by years."""
    kind, by, claims = _kind(dice)
    away = dice.choice((0, 1, 29, 600, 10**6))
    iat, exp = dice.choice(
        (
            (NOW - 300 - away, NOW - min(away, 299)),
            (NOW + 31 + away, NOW + 331 + away),
            (NOW, NOW + 3_601 + away),
            (NOW - 3_590 - away, NOW + 11),
            (NOW, NOW - away),
        )
    )
    claims = {name: value for name, value in claims.items() if name != "nbf"} | {"iat": iat, "exp": exp}
    return sign(text(header_of(kind, by)), text(claims), by)


def revoked_key(dice: Random) -> str:
    """Complete, but signed by a revoked key (Z45)."""
    kind, _, claims = _kind(dice)
    return sign(text(header_of(kind, REVOKED)), text(claims), REVOKED)


MISSIGNED: Mapping[str, Forger] = {
    "signed: wrong claim": wrong_claim,
    "signed: missing claim": missing_claim,
    "signed: forbidden claim": forbidden_claim,
    "signed: another kind": another_kind,
    "signed: wrong header": wrong_header,
    "signed: wrong JSON": wrong_json,
    "signed: wrong encoding": wrong_encoding,
    "signed: out of its time": out_of_time,
    "signed: too large": too_large,
    "signed: revoked key": revoked_key,
}
